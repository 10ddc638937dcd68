"""What an arm changes of a page, and what is written down of it."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from features import trends
from ranking import assignment, registry
from ranking import experiment_lifecycle as lifecycle
from ranking.experiment_models import Experiment, Exposure
from ranking.experiment_queries import mark_of
from ranking.experiments.allocation import held_out
from ranking.feed_config import USUAL
from ranking.feed_request import FeedRequest
from ranking.merging import merge_users
from ranking.models import Served
from tests.ranking.experiment_cases import draft, run, user_in
from tests.ranking.feeds import NOW, Viewer, indifferent_graph, page, promote_model


def exposures():
    return sorted(Exposure.objects.values_list("experiment", "phase", "user_id", "arm"))


def placed_for(user):
    return assignment.place(FeedRequest(user), mark_of(Experiment.objects.filter(state__in=("running", "shipped"))))


def sources_of(feed):
    return {source for item in feed.items for source in item.sources}


def test_without_an_experiment_nothing_is_different(snapshot, viewer):
    feed = page(viewer)
    assert feed.experiments == ()
    assert set(Served.objects.values_list("arm", "config")) == {("default", USUAL.version)}
    assert exposures() == []


def test_each_arm_gets_its_own_pages_and_the_log_says_which(snapshot):
    told = run(draft(treatment={"for_you": {"sequential": 0, "content_based": 0, "popular": 0, "trending": 0}}))
    seen = {}
    for arm in ("control", "treatment"):
        user = user_in(told, arm)
        feed = page(Viewer(user))
        assert feed.experiments == (("hooks", arm),)
        assert set(Served.objects.filter(user_id=user).values_list("arm", flat=True)) == {f"hooks={arm}"}
        seen[arm] = sources_of(feed), Served.objects.filter(user_id=user).values_list("config", flat=True)[0]
    assert "popular" in seen["control"][0]
    assert seen["treatment"][0] <= {"fresh", "following"}
    assert seen["control"][1] == USUAL.version != seen["treatment"][1]


def test_a_user_is_exposed_once_at_the_first_page(snapshot):
    told = run(draft())
    viewer = Viewer(user_in(told, "treatment"))
    page(viewer)
    first = Exposure.objects.get()
    assert (first.experiment, first.phase, first.arm, first.exposed_at) == ("hooks", 1, "treatment", viewer.now)
    viewer.now += timedelta(minutes=5)
    page(viewer)
    assert Exposure.objects.get().exposed_at == first.exposed_at


@pytest.mark.parametrize(
    ("treatment", "asked", "acts"),
    [
        ({"for_you": {"fresh": 90}}, {}, True),
        ({"for_you": {"fresh": 90}}, {"surface": "latest"}, False),
        ({"trending": {"popular": 50}}, {}, False),
        ({"trending": {"popular": 50}}, {"surface": "trending"}, True),
        ({"theta": 9.0}, {"surface": "trending"}, False),
        ({"explorer": "linear"}, {}, True),
        ({"explorer": "linear"}, {"exploration": 0.0}, False),
        ({"explorer": "linear"}, {"profiling": False}, False),
        ({"explorer": "linear", "theta": 9.0}, {"exploration": 0.0}, True),
    ],
)
def test_exposed_is_only_whom_the_arm_could_do_something_to_whichever_arm_it_is(snapshot, treatment, asked, acts):
    told = run(draft(treatment=treatment))
    for arm in ("control", "treatment"):
        user = user_in(told, arm)
        feed = page(Viewer(user), **asked)
        assert (("hooks", arm) in feed.experiments) == acts
        assert (("hooks", 1, user, arm) in exposures()) == acts
        assert set(Served.objects.filter(user_id=user).values_list("arm", flat=True)) == {
            f"hooks={arm}" if acts else "default"
        }


def test_without_a_snapshot_no_arm_could_act(catalogue):
    told = run(draft())
    assert page(Viewer(user_in(told, "treatment"))).fallback_level == "latest"
    assert exposures() == []


def test_whom_coverage_leaves_out_and_the_holdout_are_served_as_ever(snapshot):
    told = run(draft(coverage=0.5))
    out = user_in(told, None)
    assert page(Viewer(out)).experiments == ()
    held = next(user for user in (f"user-{n}" for n in range(10_000)) if held_out(user, 0.02))
    assert page(Viewer(held)).experiments == ()
    assert dict(Served.objects.values_list("user_id", "arm")) == {out: "default", held: "holdout"}
    assert exposures() == []


def test_staff_see_the_arm_they_chose_and_are_not_counted(snapshot, settings):
    settings.INTERNAL_USERS = frozenset({"mia", "leo"})
    run(draft(chosen={"mia": "treatment"}))
    assert page(Viewer("mia")).experiments == (("hooks", "treatment"),)
    assert page(Viewer("leo")).experiments == ()
    assert exposures() == []


def test_an_arm_serves_its_own_model_and_weights(champion):
    best = champion()
    other = registry.register(
        indifferent_graph(0.5), kind="test", dims=registry.load_version(best).manifest.dims, config={},
        metrics={}, trained_until=NOW, now=NOW,
    )  # fmt: skip
    told = run(draft(treatment={"model": other, "weights": {"all": {"like": 9.0}}}))
    assert page(Viewer(user_in(told, "control"))).model_version == best
    viewer = Viewer(user_in(told, "treatment"))
    assert page(viewer).model_version == other
    placed = placed_for(viewer.user_id)
    assert placed.serving(registry.champion()).policy.document()["new"]["like"] == 9.0
    assert registry.champion().policy.document()["new"]["like"] != 9.0


def test_a_model_that_is_lost_leaves_the_champions_pages_and_says_so(champion, settings, caplog, tmp_path):
    best = champion()
    other = promote_model(0.7)
    registry.promote(best, now=NOW)
    told = run(draft(treatment={"model": other}))
    settings.MODEL_DIR = tmp_path / "lost"
    with caplog.at_level(logging.ERROR):
        assignment.forget()
        feed = page(Viewer(user_in(told, "treatment")))
    assert feed.experiments == (("hooks", "treatment"),)
    assert f"experiments go on without {other}" in caplog.text


def test_no_page_asks_the_database_for_experiments_by_itself(snapshot, django_assert_num_queries):
    told = run(draft())
    viewer = Viewer(user_in(told, "treatment"))
    page(viewer)
    viewer.now += timedelta(seconds=5)
    trends.forget()
    # The user, the shortlist, the log with the exposure, and the trends: as without experiments.
    with django_assert_num_queries(4):
        assert page(viewer).experiments


def test_a_stop_serves_control_to_the_very_next_page(snapshot):
    told = run(draft())
    viewer = Viewer(user_in(told, "treatment"))
    page(viewer)
    lifecycle.stop("hooks", by="ada", reason="enough", now=NOW)
    viewer.now += timedelta(seconds=5)
    assert page(viewer).experiments == ()


def test_two_experiments_act_together_and_the_log_names_both(snapshot):
    one = run(draft("hooks"))
    other = run(draft("diverse", treatment={"theta": 9.0}))
    user = next(
        user for user in (f"user-{n}" for n in range(9999))
        if one.allocation(1).arm_of(user) == other.allocation(1).arm_of(user) == "treatment"
        and not held_out(user, 0.02)
    )  # fmt: skip
    feed = page(Viewer(user))
    assert set(feed.experiments) == {("hooks", "treatment"), ("diverse", "treatment")}
    config = placed_for(user).config
    assert config.theta == 9.0
    assert "popular" not in config.for_you
    assert set(Served.objects.values_list("arm", flat=True)) == {"diverse=treatment,hooks=treatment"}


def test_what_was_shipped_serves_all_but_the_holdout(snapshot):
    told = run(draft(treatment={"theta": 7.0}))
    lifecycle.ship("hooks", "treatment", by="ada", reason="it is better", now=NOW)
    held = next(user for user in (f"user-{n}" for n in range(10_000)) if held_out(user, 0.02))
    assert placed_for(user_in(told, "control")).config == replace(USUAL, theta=7.0)
    assert placed_for(held).config == USUAL
    lifecycle.withdraw("hooks", by="ada", reason="it is not", now=NOW)
    assert placed_for(user_in(told, "control")).config == USUAL


def test_a_device_that_becomes_somebody_has_met_both_arms(snapshot):
    told = run(draft())
    Exposure.objects.create(experiment="hooks", phase=1, user_id="anon:d", arm="control", exposed_at=NOW)
    user = user_in(told, "treatment")
    page(Viewer(user))
    merge_users("anon:d", user)
    assert exposures() == [("hooks", 1, user, "control"), ("hooks", 1, user, "treatment")]
    merge_users("anon:d", user)
    assert len(exposures()) == 2


def test_a_set_up_of_another_time_is_left_out_and_said(snapshot, viewer, caplog):
    run(draft())
    Experiment.objects.update(arms=[{"key": "a", "overrides": {"gone": 1}}, {"key": "b"}], revision=9)
    assignment.forget()
    with caplog.at_level(logging.ERROR):
        assert page(viewer).experiments == ()
    assert "unknown parts ['gone']" in caplog.text
