"""Each explorer in the whole pipeline of a feed: the chance that is logged is the chance with which it picks."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from events import queries
from events.cleaning.audience import Audience
from features import profiles
from ranking import explorers
from ranking.explorers import Budget, linear_of, linear_posterior
from ranking.feed import FeedRequest, build_feed
from ranking.feed_config import EXPLORERS, config_of
from ranking.models import Served
from ranking.pipeline.memory import remember
from ranking.pipeline.shelf import followed
from ranking.rerank.posteriors import BayesianLinear, BetaPosteriors
from ranking.shelves import RankerFeatures, current_stock
from ranking.shortlist import Person, Supplies, shortlist
from tests.ranking.feeds import NOW, Viewer

PAGES, PAGE = 400, 3


@pytest.fixture
def person(snapshot) -> Person:
    """Somebody who watched ten clips."""
    viewer = Viewer("mia")
    for clip in range(10):
        viewer.watch(f"{('ocean', 'neon')[clip % 2]}-{clip:02d}")
    history = queries.recent_history("mia")
    met = dict(zip(history.content_id.tolist(), history.timestamp.tolist(), strict=True))
    return Person(
        history, profiles.stranger(), Audience(), remember(met, {}, walked=frozenset()), frozenset(), None,
        frozenset(followed(history, frozenset())),
    )  # fmt: skip


def pages_of(person: Person, explorer: str, pages: int):
    """Content and logged chance of each position, for many seeds; nothing else differs."""
    stock = current_stock()
    # A catalogue that is mostly new has no new contents by the rule; here every third is.
    object.__setattr__(stock, "new", np.arange(len(stock.shelf)) % 3 == 0)
    supplies = Supplies(stock, None, np.empty(0, np.int64), config_of(explorer))
    request = FeedRequest("mia", PAGE, exploration=0.5)
    for seed in range(pages):
        features = RankerFeatures(person.history, stock, now=NOW, profile=person.profile, surface="for_you")
        found = shortlist(request, person, supplies, features, release=False, seed=seed, now=NOW, deadline=math.inf)
        yield [(pick.content_id, pick.propensity) for pick, _ in zip(found.picks, range(PAGE), strict=False)]


@pytest.mark.parametrize("explorer", EXPLORERS)
def test_the_logged_chances_are_those_of_the_picks(person, explorer):
    shown = [Counter() for _ in range(PAGE)]
    logged: list[dict[str, list[float]]] = [{} for _ in range(PAGE)]
    for picks in pages_of(person, explorer, PAGES):
        for place, (content_id, chance) in enumerate(picks):
            shown[place][content_id] += 1
            logged[place].setdefault(content_id, []).append(chance)
    assert max(len(each) for each in shown) > 5, "it tries something out"
    for counts, chances in zip(shown, logged, strict=True):
        expected = {each: PAGES * float(np.mean(values)) for each, values in chances.items()}
        common = [each for each, count in expected.items() if count >= 20]
        off = sum((counts[each] - expected[each]) ** 2 / expected[each] for each in common)
        # Chances that have no closed form are shares of 256 draws, whose mean over the pages is nearly exact.
        assert stats.chi2.sf(off / 1.15, len(common)) > 1e-3
        assert sum(expected.values()) == pytest.approx(PAGES, rel=0.05), "chances of what a place may show add up to 1"


@pytest.mark.parametrize("explorer", EXPLORERS)
def test_a_page_logs_its_chances_and_the_configuration_that_made_it(snapshot, settings, explorer):
    settings.FEED_EXPLORER = explorer
    Viewer("mia").watch("ocean-00")
    feed = build_feed(FeedRequest("mia", 20, exploration=0.5, explain=True), now=NOW)
    assert any(move.reason == "exploration" for item in feed.items for move in item.explanation.moves)
    assert feed.account.failures == []
    rows = Served.objects.filter(request_id=feed.request_id).order_by("position")
    assert {row.config for row in rows} == {config_of(explorer).version}
    np.testing.assert_allclose([row.propensity for row in rows], [item.propensity for item in feed.items])
    assert min(row.propensity for row in rows) < 1.0


@pytest.mark.parametrize("explorer", EXPLORERS)
def test_without_exploration_every_position_is_certain(snapshot, settings, explorer):
    settings.FEED_EXPLORER = explorer
    feed = build_feed(FeedRequest("mia", 20, exploration=0.0), now=NOW)
    assert {item.propensity for item in feed.items} == {1.0}


def test_the_linear_posterior_is_that_of_the_events_one_by_one(snapshot):
    shelf = current_stock().shelf
    few = replace_trials(current_stock().belief, len(shelf))
    model = BayesianLinear(shelf.embedding.shape[1])
    for row, trials in enumerate(few.trials.astype(int)):
        for _ in range(trials):
            model.observe(shelf.embedding[row].astype(np.float64), 1.0)
    np.testing.assert_allclose(linear_posterior(shelf, few).model.inverse, model.inverse, atol=1e-9)


def replace_trials(belief: BetaPosteriors, count: int) -> BetaPosteriors:
    trials = np.random.default_rng(3).integers(0, 4, count).astype(np.float64)
    return BetaPosteriors(np.minimum(belief.successes, trials), trials, belief.prior)


def test_what_is_like_well_known_contents_is_known_better(snapshot):
    stock = current_stock()
    spread = linear_of(stock).spread(np.arange(len(stock.shelf)))
    assert linear_of(stock) is linear_of(stock), "made once"
    alone = BetaPosteriors(np.zeros(len(stock.shelf)), np.zeros(len(stock.shelf)), stock.belief.prior)
    assert (spread <= linear_posterior(stock.shelf, alone).spread(np.arange(len(stock.shelf))) + 1e-12).all()


def test_the_budget_counts_what_is_guaranteed():
    usual = config_of("thompson")
    assert Budget(None, guaranteed=False).slots(usual).block == 10
    assert Budget(None, guaranteed=True).slots(usual).block == 20
    assert Budget(0.5, guaranteed=False).slots(usual).block == 2
    assert Budget(0.05, guaranteed=True).slots(usual).block == 20, "a budget that is spent leaves what was asked for"
    assert replace(usual, explorer="linear").exploration == usual.exploration
    assert explorers.EXPLORERS["thompson"] is explorers.thompson
