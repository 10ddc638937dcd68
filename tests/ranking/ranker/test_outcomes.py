"""What followed an exposure, head by head, on logs one can read."""

import numpy as np
import pytest

from ranking.ranker.examples import known_at, label_exposures
from ranking.ranker.heads import COLUMN, HEADS, PRIOR_CHANCE, Labels, base_chance
from tests.ranking.ranker.logs import NAN, catalogue, log

CLIPS = {"a": 60.0, "b": 8.0, "c": NAN, "d": 1.5}
DAY = 86_400.0
LATER = 10 * DAY


def impression(at, content, user="u", **more):
    return {"at": at, "user": user, "type": "impression", "content": content} | more


def view(at, content, watch_s=NAN, user="u", **more):
    return {"at": at, "user": user, "type": "view", "content": content, "watch_s": watch_s} | more


def found(*rows, until=LATER, creators=None):
    return label_exposures(log(*rows), catalogue(CLIPS, creators), until=until)


def first(*rows, **how):
    """The heads that the first exposure answers with yes, returning left out."""
    told = found(*rows, **how).labels.heads[0]
    return {head for head in HEADS if told[COLUMN[head]] == 1 and head != "return_24h"}


@pytest.mark.parametrize(
    ("content", "outcome", "heads"),
    [
        ("a", view(20, "a", 20.0), {"long_view"}),
        ("a", view(61, "a", 60.0), {"long_view", "completion"}),
        ("b", view(13, "b", 12.5), {"long_view", "completion", "replay"}),
        ("b", view(13, "b", 12.0), {"long_view", "completion"}),
        ("c", view(30, "c", 30.0), {"long_view"}),
        ("a", view(2, "a", 1.9), {"skip"}),
        ("a", view(2, "a", 2.0), set()),
        ("d", view(2, "d", 1.5), {"long_view", "completion"}),
        ("a", (5, "u", "skip", "a"), {"skip"}),
        ("a", (5, "u", "complete_view", "a"), {"long_view", "completion"}),
        ("a", (5, "u", "replay", "a"), {"completion", "replay"}),
        ("a", (5, "u", "comment", "a"), {"comment"}),
        ("a", (5, "u", "save", "a"), {"save"}),
        ("a", (DAY, "u", "share", "a"), {"share"}),
        ("a", (DAY + 1, "u", "share", "a"), set()),
        ("a", (DAY, "u", "report", "a"), {"report"}),
        ("a", (9, "u", "unlike", "a"), set()),
        ("a", view(700, "a", 30.0), set()),
    ],
)
def test_each_head_has_its_rule_and_its_window(content, outcome, heads):
    assert first(impression(0, content), outcome) == heads


def test_skip_is_no_skip_when_the_clip_was_completed():
    assert first(impression(0, "b"), (3, "u", "skip", "b"), view(9, "b", 8.0)) == {"long_view", "completion"}


def test_like_and_hide_are_both_told_and_an_unhide_takes_the_hide_back():
    shown = (impression(0, "a"), (5, "u", "like", "a"), (6, "u", "hide", "a"))
    assert first(*shown) == {"like", "hide"}
    assert first(*shown, (7, "u", "unhide", "a")) == {"like"}


@pytest.mark.parametrize(
    ("outcomes", "watch_s"),
    [
        ([], 0.0),
        ([view(5, "a", 5.0)], 5.0),
        ([view(5, "a", 5.0), view(20, "a", 7.0)], 12.0),
        ([{"at": 3, "user": "u", "type": "skip", "content": "a", "watch_s": 0.5}], 0.5),
        ([view(5, "a", 5.0), {"at": 6, "user": "u", "type": "skip", "content": "a", "watch_s": 0.5}], 5.0),
        ([(61, "u", "complete_view", "a")], 60.0),
        ([view(5, "a")], NAN),
        ([view(500, "a", 3_000.0)], 600.0),
        ([(5, "u", "like", "a")], 0.0),
        ([view(601, "a", 30.0)], 0.0),
    ],
)
def test_watch_time_is_that_of_the_views_within_ten_minutes(outcomes, watch_s):
    assert found(impression(0, "a"), *outcomes).labels.watch_s[0] == pytest.approx(watch_s, nan_ok=True)


def test_return_is_another_visit_within_a_day_of_the_end_of_this_one():
    rows = [impression(0, "a"), impression(1_000, "b"), impression(1_000 + DAY, "c"), impression(3 * DAY, "a", "w")]
    at = dict(zip(found(*rows).timestamp, found(*rows).labels.of("return_24h"), strict=True))
    assert (at[0], at[1_000]) == (1.0, 1.0)
    late = [impression(0, "a"), impression(DAY + 1, "c"), impression(9 * DAY, "a", "w")]
    assert found(*late).labels.of("return_24h")[:2].tolist() == [0.0, 0.0]


def test_return_is_unknown_until_its_day_is_over_even_if_it_happened():
    rows = [impression(0, "a"), impression(5_000, "b"), impression(DAY, "c", "w")]
    assert np.isnan(found(*rows, until=DAY - 1).labels.of("return_24h")).all()
    assert found(*rows, until=DAY + 600).labels.of("return_24h")[0] == 1.0


def test_return_is_unknown_beyond_the_end_of_an_imported_log():
    rows = [impression(0, "a"), impression(50_000, "b", "w")]
    assert np.isnan(found(*rows, until=400 * DAY).labels.of("return_24h")).all()


def test_late_like_is_a_positive_of_the_next_training_only():
    events = log(impression(0, "a"), impression(100, "b"), (4_000, "u", "like", "a"), impression(9_000, "b"))
    clips = catalogue(CLIPS)
    now = label_exposures(events, clips, until=LATER)
    then = known_at(now, events, clips, places=np.arange(3), until=1_000.0)
    assert now.labels.of("like").tolist() == [1, 0, 0]
    assert then.labels.of("like").tolist() == [0, 0, 0]
    kept = known_at(now.rows(np.array([1, 2])), events, clips, places=np.array([1, 2]), until=1_000.0)
    assert kept.timestamp.tolist() == [100, 9_000]


def test_events_after_the_moment_change_no_label():
    rng = np.random.default_rng(3)
    kinds = ["impression", "view", "like", "hide", "unhide", "skip", "follow", "complete_view"]
    rows = [
        {"at": float(rng.integers(0, 3 * DAY)), "user": str(rng.choice(list("uvw"))), "type": str(rng.choice(kinds)),
         "content": str(rng.choice(list("abcd"))), "watch_s": float(rng.uniform(0, 30))}
        for _ in range(600)
    ]  # fmt: skip
    until = 2 * DAY
    events = log(*rows)
    whole = label_exposures(events, catalogue(CLIPS), until=until)
    before = label_exposures(events.rows(events.timestamp <= until), catalogue(CLIPS), until=until)
    assert len(whole) > 100
    np.testing.assert_array_equal(whole.labels.heads, before.labels.heads)
    np.testing.assert_array_equal(whole.labels.watch_s, before.labels.watch_s)


def test_base_chance_pulls_a_few_answers_to_the_prior():
    told = np.full((80, len(HEADS)), np.nan, np.float32)
    told[:, COLUMN["like"]] = 1.0
    told[:40, COLUMN["skip"]] = 0.0
    base = base_chance(Labels(told, np.zeros(80, np.float32)))
    assert base[COLUMN["like"]] == pytest.approx((80 + 20 * 0.03) / 100)
    assert base[COLUMN["skip"]] == pytest.approx(20 * 0.3 / 60)
    assert base[COLUMN["report"]] == PRIOR_CHANCE[COLUMN["report"]]
