"""What an experiment says, against counting by hand; and that what does harm is stopped by itself."""

from datetime import timedelta

import numpy as np
import pytest
from django.db import connection

from dashboards import experiment_results, experiment_watch, rollups, user_days
from dashboards.experiment_metrics import METRICS
from dashboards.stats.measures import MEASURES
from ranking import assignment
from ranking import experiment_lifecycle as lifecycle
from ranking.experiment_models import Experiment, ExperimentDecision, Exposure
from ranking.experiments.draft import parse
from tests.dashboards.conftest import NOW, at, event, send, view

pytestmark = pytest.mark.django_db
ARMS = ("control", "treatment")


def experiment(**more):
    told = parse(
        {
            "key": "hooks", "title": "Hooks", "goals": ["views", "retention_d1"],
            "guardrails": [{"metric": "negative_rate"}], "tuned_for": 200,
            "arms": [{"key": "control"}, {"key": "treatment", "overrides": {"theta": 3.0}}], **more,
        },
        metrics=list(METRICS),
    )  # fmt: skip
    lifecycle.create(told, by="ada", now=at(9, "00:00"))
    lifecycle.start("hooks", by="ada", reason="to learn", plan={"per_arm": 400}, now=at(9, "00:00"))
    assignment.forget()
    return Experiment.objects.get(pk="hooks")


def expose(users, day=10):
    """Users in turns to either arm, at noon of a day."""
    Exposure.objects.bulk_create(
        Exposure(experiment="hooks", phase=1, user_id=user, arm=ARMS[n % 2], exposed_at=at(day, "12:00"))
        for n, user in enumerate(users)
    )


def metric(data, key):
    return next(each for each in data["metrics"] if each["key"] == key)


def values(data, key):
    return [arm["value"] for arm in metric(data, key)["arms"]]


@pytest.fixture
def world():
    """120 users in turns in two arms; treatment watches more and comes back more often. What each did is counted."""
    rng = np.random.default_rng(1)
    users = [f"u{n:03d}" for n in range(120)]
    told, done = [], {user: {"before": 0, "since": 0, "next": False} for user in users}
    for n, user in enumerate(users):
        taste = rng.gamma(3.0, 1.0)
        for day in range(4, 14):
            since, treated = day >= 10, n % 2 == 1
            views = int(rng.poisson(taste * (1.6 if since and treated else 1.0)))
            if day == 10:
                views += 1
            told += [view(user, at(day, f"13:{number % 60:02d}"), 5.0, f"c{number}") for number in range(views)]
            done[user]["since" if since else "before"] += views
            if day == 11:
                done[user]["next"] = views > 0
    send(*told)
    experiment()
    expose(users)
    rollups.measure_kpis(until=NOW)
    return users, done


def test_figures_are_those_of_counting_by_hand(world):
    users, done = world
    data = experiment_results.read(Experiment.objects.get(), now=NOW)
    assert data["exposed"] == [60, 60]
    for arm in (0, 1):
        mine = [done[user] for n, user in enumerate(users) if n % 2 == arm]
        assert values(data, "views")[arm] == pytest.approx(np.mean([each["since"] for each in mine]))
        assert values(data, "retention_d1")[arm] == pytest.approx(100 * np.mean([each["next"] for each in mine]))
    assert metric(data, "views")["adjusted"]
    effect = metric(data, "views")["arms"][1]["effect"]
    assert effect["lower"] < 0.6 < effect["upper"]
    assert effect["p_adjusted"] >= effect["p_value"]
    assert metric(data, "views")["role"] == "goal"
    assert data["split"]["p_value"] == 1.0
    assert not data["split"]["blocks"]
    assert data["power"]["per_arm"] == 400


def test_what_users_did_before_is_taken_off_and_makes_it_surer(world):
    row = Experiment.objects.get()
    sure = experiment_results.read(row, now=NOW)
    Exposure.objects.update(exposed_at=at(4, "00:01"))
    unsure = experiment_results.read(row, now=NOW)
    width = [each["arms"][1]["effect"]["upper"] - each["arms"][1]["effect"]["lower"]
             for each in (metric(sure, "views"), metric(unsure, "views"))]  # fmt: skip
    assert not metric(unsure, "views")["adjusted"]
    assert width[0] < width[1]


def test_a_day_that_has_not_passed_is_nobodys_return(world):
    data = experiment_results.read(Experiment.objects.get(), now=at(11, "18:00"))
    assert metric(data, "retention_d1")["arms"][0]["value"] is None
    assert metric(data, "retention_d1")["arms"][1]["effect"] is None
    assert metric(experiment_results.read(Experiment.objects.get(), now=at(12, "00:30")), "retention_d1")["arms"][0][
        "value"
    ]


def test_every_day_has_its_interval_and_later_ones_are_of_more(world):
    timeline = experiment_results.read(Experiment.objects.get(), now=at(13, "23:00"))["timeline"]
    assert [each["day"] for each in timeline] == [f"2026-03-{day}" for day in (10, 11, 12, 13)]
    assert all(each["exposed"] == [60, 60] for each in timeline)
    widths = [each["effects"]["views"][0]["upper"] - each["effects"]["views"][0]["lower"] for each in timeline]
    assert widths[-1] < widths[0]


def test_late_events_and_another_order_change_the_rollup_as_a_whole(world):
    before = {day.day: day for day in user_days.read(at(10, "00:00").date(), at(10, "00:00").date())}
    send(view("u000", at(10, "20:00")), event("like", "u000", at(10, "20:01")))
    rollups.measure_kpis(until=NOW)
    (after,) = user_days.read(at(10, "00:00").date(), at(10, "00:00").date())
    (first,) = before.values()
    gained = after.measures.sum(axis=1) - first.measures.sum(axis=1)
    assert gained[MEASURES.index("views")] == 1
    assert gained[MEASURES.index("likes")] == 1
    assert gained[MEASURES.index("users")] == 0


def test_who_met_two_arms_is_counted_in_neither(world):
    users, _ = world
    Exposure.objects.create(experiment="hooks", phase=1, user_id=users[0], arm="treatment", exposed_at=at(11, "12:00"))
    data = experiment_results.read(Experiment.objects.get(), now=NOW)
    assert (data["exposed"], data["multiple"], data["multiple_warns"]) == ([59, 60], 1, False)


def test_a_split_that_is_off_blocks(world):
    expose([f"late{n}" for n in range(200)], day=11)
    Exposure.objects.filter(user_id__startswith="late", arm="treatment").update(arm="control")
    data = experiment_results.read(Experiment.objects.get(), now=NOW)
    assert data["split"]["blocks"]
    assert data["split_by_day"] == ["2026-03-11"]


def test_the_sum_of_a_days_users_is_the_day(world):
    (day,) = user_days.read(at(10, "00:00").date(), at(10, "00:00").date())
    with connection.cursor() as cursor:
        cursor.execute("SELECT measures FROM kpi_cell WHERE dimension = 'all' AND grain = 'day' AND start = %s",
                       [at(10, "00:00")])  # fmt: skip
        (cell,) = cursor.fetchone()
    assert day.measures.sum(axis=1).tolist() == cell


def harm(users, rate):
    """On the day of the exposure everybody is shown ten clips; treatment hides many of them."""
    rng = np.random.default_rng(2)
    told = []
    for n, user in enumerate(users):
        for clip in range(10):
            shown = at(10, "13:00") + timedelta(seconds=20 * clip)
            told.append(event("impression", user, shown, f"c{clip}", session_id=f"s-{user}"))
            if rng.random() < (rate if n % 2 else 0.03):
                told.append(event("hide", user, shown + timedelta(seconds=3), f"c{clip}", session_id=f"s-{user}"))
    send(*told)


def test_an_arm_that_does_harm_is_stopped_and_the_log_says_by_what():
    users = [f"u{n:03d}" for n in range(160)]
    experiment()
    expose(users)
    harm(users, 0.25)
    rollups.measure_kpis(until=NOW)
    report = experiment_watch.watch(now=at(10, "18:00"))
    assert (report.read, report.stopped) == (("hooks",), ("hooks",))
    assert Experiment.objects.get().state == "stopped"
    stop = ExperimentDecision.objects.get(kind="auto_stop")
    assert stop.by == "system"
    assert "Negative feedback of treatment is +" in stop.reason
    assert stop.numbers["guardrails"][0]["harm"] == "breached"
    # And once only.
    assert experiment_watch.watch(now=at(10, "18:05")).read == ()


def test_an_arm_without_harm_goes_on():
    users = [f"u{n:03d}" for n in range(160)]
    experiment()
    expose(users)
    harm(users, 0.03)
    rollups.measure_kpis(until=NOW)
    assert experiment_watch.watch(now=at(10, "18:00")).stopped == ()
    assert Experiment.objects.get().state == "running"


def test_harm_in_a_split_that_is_off_stops_nothing_by_itself():
    users = [f"u{n:03d}" for n in range(160)]
    experiment()
    expose(users)
    Exposure.objects.filter(arm="treatment", user_id__lt="u100").delete()
    harm(users, 0.25)
    rollups.measure_kpis(until=NOW)
    assert experiment_watch.watch(now=at(10, "18:00")).stopped == ()


def test_an_experiment_that_nobody_met_says_so():
    experiment()
    data = experiment_results.read(Experiment.objects.get(), now=NOW)
    assert data["exposed"] == [0, 0]
    assert data["timeline"] == []
    assert metric(data, "views")["arms"][1]["effect"] is None


def test_metrics_are_every_kpi_that_adds_up_over_users():
    assert {"watch_min_per_user", "watch_h", "ctr", "negative_rate", "sessions", "retention_d1", "retention_d7",
            "days_active", "bounce_rate"} <= set(METRICS)  # fmt: skip
    assert "coverage" not in METRICS
    assert "retention_d30" not in METRICS
