"""The worked fixture of the KPI definitions, every number of it, through the API and in three time zones."""

import random

import pytest

from dashboards import rollups
from events.models import Event
from tests.dashboards.conftest import NOW, send
from tests.events.test_sessions import fixture

pytestmark = pytest.mark.django_db
MARCH = {"from": "2026-03-01", "to": "2026-03-09"}
DAILY_USERS = {
    "UTC": [3, 3, 3, 1, 1, 0, 0, 1, 1],
    "America/New_York": [3, 2, 3, 1, 1, 0, 0, 1, 1],
    "Asia/Tokyo": [2, 3, 3, 1, 1, 0, 0, 1, 1],
}
# First of March, then the second: who came back exactly 0, 1, ... 8 days later.
COHORTS = {
    "UTC": [[3, 2, 1, 1, 0, 0, 0, 1, 0]],
    "America/New_York": [[3, 1, 1, 1, 0, 0, 0, 1, 0]],
    "Asia/Tokyo": [[2, 1, 1, 0, 0, 0, 0, 1, 0], [2, 1, 1, 0, 0, 0, 0, 1, 0]],
}
# Day of March: new, returning, resurrecting, dormant.
LIFECYCLE = {
    1: (3, 0, 0, 0), 2: (1, 2, 0, 1), 3: (1, 2, 0, 1), 4: (0, 0, 1, 3), 5: (0, 0, 1, 1), 6: (0, 0, 0, 1),
    7: (0, 0, 0, 0), 8: (0, 0, 1, 0), 9: (0, 0, 1, 1),
}  # fmt: skip


@pytest.fixture(params=["in order", "shuffled, doubled and late"])
def loaded(request, settings):
    """Loads the fixture under a time zone, in order and at once or in pieces, each event twice."""

    def load(zone):
        settings.REPORTING_TIME_ZONE = zone
        events = list(fixture())
        if request.param == "in order":
            send(*events)
        else:
            doubled = events * 2
            random.Random(3).shuffle(doubled)
            for start in range(0, len(doubled), 7):
                send(*doubled[start : start + 7])
                rollups.measure_kpis(until=NOW)
        rollups.measure_kpis(until=NOW)

    return load


def values(analyst, name, **params):
    answer = analyst.get(f"/api/v1/metrics/{name}", {**MARCH, **params})
    assert answer.status_code == 200, answer.content
    (group,) = answer.json()["groups"]
    return [point["value"] for point in group["points"]]


def returned(analyst, cohort=0, **params):
    answer = analyst.get("/api/v1/retention", {**MARCH, "columns": 8, **params})
    assert answer.status_code == 200, answer.content
    return answer.json()["cohorts"][cohort]["returned"]


@pytest.mark.parametrize("zone", DAILY_USERS)
def test_daily_users_and_cohorts_in_every_time_zone(loaded, analyst, zone):
    loaded(zone)
    assert values(analyst, "dau") == DAILY_USERS[zone]
    for number, cohort in enumerate(COHORTS[zone]):
        assert returned(analyst, number) == cohort


def test_weekly_users_count_each_once(loaded, analyst):
    loaded("UTC")
    assert values(analyst, "wau")[-1] == 4
    assert values(analyst, "mau")[-1] == 5
    assert values(analyst, "stickiness")[-1] == pytest.approx(20)


def test_or_later_and_brackets(loaded, analyst):
    loaded("UTC")
    assert returned(analyst, mode="unbounded") == [3, 2, 2, 2, 1, 1, 1, 1, 0]
    assert returned(analyst, mode="bracket", brackets="1,2-3,4-7") == [2, 2, 1]


def test_brackets_of_new_york(loaded, analyst):
    loaded("America/New_York")
    assert returned(analyst, mode="bracket", brackets="1,2-3,4-7") == [1, 2, 1]


def test_lifecycle_of_every_day(loaded, analyst):
    loaded("UTC")
    phases = [values(analyst, f"{phase}_users") for phase in ("new", "returning", "resurrecting", "dormant")]
    assert dict(enumerate(zip(*phases, strict=True), start=1)) == LIFECYCLE
    active = values(analyst, "active_users")
    assert [sum(parts[:3]) for parts in zip(*phases, strict=True)] == active


def test_sessions(loaded, analyst):
    loaded("UTC")
    month = {"grain": "month"}
    assert values(analyst, "sessions", **month) == [13]
    assert values(analyst, "session_mean_s", **month) == [pytest.approx(92.3077, abs=5e-5)]
    assert values(analyst, "session_median_s", **month) == [0]
    assert values(analyst, "session_nonzero_mean_s", **month) == [1200]


def test_a_partly_erased_log_gives_the_numbers_of_what_is_left(loaded, analyst):
    loaded("UTC")
    Event.objects.filter(user_id="A", timestamp__day=1).delete()
    rollups.measure_kpis(until=NOW)
    assert values(analyst, "dau") == [2, 3, 3, 1, 1, 0, 0, 1, 1]
    # A's first day is now the second.
    assert values(analyst, "new_users") == [2, 2, 1, 0, 0, 0, 0, 0, 0]
    assert returned(analyst, 1) == [2, 2, 0, 0, 0, 0, 1, 1, 0]
