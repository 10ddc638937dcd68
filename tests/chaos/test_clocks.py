"""F13 and F14: clocks that are wrong, and a week that arrives shuffled, doubled and late."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from dashboards.models import KpiCell, KpiDay, KpiPoint, KpiUsers
from dashboards.rollups import measure_kpis
from dashboards.stats.user_sets import count, unpacked
from events.cleaning.rules import Sending
from events.ingestion import ingest
from events.models import Event, EventId, Session, WindowFill
from events.sessions import rebuild_sessions
from features.materialize import materialize
from features.models import ContentFeatures, ContentWindow, PopulationWindow
from tests.events.conftest import NOW, make_event
from tests.features.clips import CLIPS, days_of_events, register
from tests.features.clips import NOW as END
from tests.features.conftest import snapshots  # noqa: F401

pytestmark = [pytest.mark.chaos, pytest.mark.django_db]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("off", [2 * HOUR, -2 * HOUR, 3 * 365 * DAY, EPOCH - NOW], ids=["+2h", "-2h", "+3y", "1970"])
def test_a_clock_that_is_off_is_set_right_by_the_time_of_sending(off):
    client_now = NOW + off
    event = make_event(timestamp=(client_now - MINUTE).isoformat())
    assert ingest([event], now=NOW, source="test", sending=Sending(sent_at=client_now)).accepted == 1
    row = Event.objects.get()
    assert row.timestamp == NOW - MINUTE
    assert row.additional_info["clock_adjusted"] == (client_now - MINUTE).isoformat()


@pytest.mark.parametrize("said", [NOW + 2 * HOUR, NOW + 3 * 365 * DAY, "soon", "9999-99-99T00:00:00Z"])
def test_without_a_time_of_sending_nothing_lies_in_the_future(said):
    event = make_event(timestamp=said if isinstance(said, str) else said.isoformat())
    assert ingest([event], now=NOW, source="test").accepted == 1
    row = Event.objects.get()
    assert row.timestamp == row.received_at == NOW
    assert row.additional_info["clock_adjusted"]


def test_without_a_time_of_sending_what_lies_back_is_believed_within_reason():
    behind, first = make_event(timestamp=(NOW - 2 * HOUR).isoformat()), make_event(timestamp="1970-01-01T00:00:00Z")
    report = ingest([behind, first], now=NOW, source="test", sending=Sending(oldest=NOW - 7 * DAY))
    assert [(one.index, one.code) for one in report.rejected] == [(1, "timestamp_out_of_range")]
    late = ingest([make_event(timestamp=(NOW - 8 * DAY).isoformat())], now=NOW, source="test",
                  sending=Sending(oldest=NOW - 7 * DAY))  # fmt: skip
    assert late.rejected[0].code == "too_late"
    assert Event.objects.get().timestamp == NOW - 2 * HOUR


def test_wrong_clocks_neither_make_future_hours_nor_other_daily_users():
    for number, off in enumerate([0 * HOUR, 2 * HOUR, -2 * HOUR, 3 * 365 * DAY, EPOCH - NOW]):
        for sent_at in (NOW + off, None):
            event = make_event(user_id=f"u{number}", timestamp=(NOW + off - MINUTE).isoformat())
            ingest([event], now=NOW, source="test", sending=Sending(sent_at=sent_at))
    rebuild_sessions(until=NOW + MINUTE, now=NOW)
    measure_kpis(until=NOW + DAY)
    assert max(WindowFill.objects.values_list("window_start", flat=True)) <= NOW
    users = KpiUsers.objects.get(role="active", dimension="all", day=NOW.date()).users
    assert count(unpacked(bytes(users), 1)) == 5
    assert not KpiDay.objects.exclude(day=NOW.date()).exists()


DERIVED_OF_CONTENTS = (ContentFeatures, ContentWindow, PopulationWindow)


def derived():
    """Every row that is derived from the log, but for when it was computed."""
    columns = {
        Session: [field.attname for field in Session._meta.concrete_fields],
        WindowFill: ["family", "window_start", "state", "events"],
        ContentFeatures: [field.attname for field in ContentFeatures._meta.concrete_fields if field.attname != "id"],
        ContentWindow: [field.attname for field in ContentWindow._meta.concrete_fields],
        PopulationWindow: [field.attname for field in PopulationWindow._meta.concrete_fields],
        KpiCell: [field.attname for field in KpiCell._meta.concrete_fields],
        KpiPoint: ["kpi", "grain", "day", "value"],
    }
    return {model.__name__: sorted(map(repr, model.objects.values_list(*names))) for model, names in columns.items()}


def compute():
    rebuild_sessions(until=END)
    materialize(until=END)
    measure_kpis(until=END)


def test_a_week_that_comes_shuffled_doubled_and_late_gives_the_same_rows_byte_for_byte(snapshots):  # noqa: F811
    register(CLIPS)
    events = sorted(days_of_events(days=7, events=700), key=lambda event: event["timestamp"])
    assert ingest(events, now=END, source="test").accepted == len(events)
    compute()
    in_order = derived()
    assert len(in_order["Session"]) > 300
    # One state per content and day, one table of counts per hour.
    assert len(in_order["ContentFeatures"]) > 150
    assert len(in_order["ContentWindow"]) > 100
    for model in (Event, EventId, Session, WindowFill, *DERIVED_OF_CONTENTS, KpiCell, KpiUsers, KpiPoint, KpiDay):
        model.objects.all().delete()
    rng = random.Random(14)
    shuffled = rng.sample(events, len(events))
    timely, late = shuffled[: len(events) * 95 // 100], shuffled[len(events) * 95 // 100 :]
    doubled = timely + rng.sample(timely, len(events) // 20)
    accepted = 0
    for start in range(0, len(doubled), 400):
        accepted += ingest(doubled[start : start + 400], now=END, source="test").accepted
        compute()
    accepted += ingest(late, now=END + 2 * DAY, source="test").accepted
    compute()
    assert accepted == len(events)
    assert derived() == in_order
