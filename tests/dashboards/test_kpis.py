"""KPI rollups over the real log: exact values, late events, days that have not passed."""

import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils.html import escape

from dashboards import kpis
from dashboards.models import KpiPoint, UserDay
from events import traffic
from events.cleaning.rules import Sending
from events.ingestion import ingest

pytestmark = pytest.mark.django_db

DAY = date(2026, 3, 1)


def at(day, clock):
    return datetime.fromisoformat(f"2026-03-{day:02d}T{clock}:00+00:00")


def view(user, when, seconds=5.0, content="c1"):
    return {
        "event_id": str(uuid.uuid4()),
        "event_type": "view",
        "user_id": user,
        "content_id": content,
        "timestamp": when.isoformat(),
        "watch_duration": seconds,
    }


def send(*events, now):
    report = ingest(events, now=now, source="test", historical=True)
    assert not report.rejected, report.rejected


def value(key, day=DAY):
    return KpiPoint.objects.get(kpi=key, day=day).value


@pytest.fixture
def three_users():
    """Ann comes on days 1, 2 and 8, Bob on days 1 and 3, Cleo on day 2."""
    now = at(20, "12:00")
    send(
        view("ann", at(1, "10:00"), 30.0),
        view("ann", at(1, "10:10"), 90.0),
        view("ann", at(2, "09:00")),
        view("ann", at(8, "09:00")),
        view("bob", at(1, "23:50"), 60.0),
        view("bob", at(3, "00:10")),
        view("cleo", at(2, "12:00")),
        now=now,
    )
    kpis.measure_kpis(until=now)
    return now


def test_daily_values_are_exact(three_users):
    assert value("dau") == 2
    assert value("new_users") == 2
    assert value("new_users", date(2026, 3, 2)) == 1
    assert value("watch_min_per_user") == pytest.approx((30 + 90 + 60) / 60 / 2)
    assert value("session_mean_s") == pytest.approx(((600 + 90) + 60) / 2)
    assert value("retention_d1") == 50.0
    assert value("retention_d7") == 50.0
    assert value("retention_d1", date(2026, 3, 2)) == 0.0


def test_a_second_run_rebuilds_nothing(three_users):
    before = list(UserDay.objects.order_by("day", "user_id").values())
    assert kpis.measure_kpis(until=three_users).days_rebuilt == ()
    assert list(UserDay.objects.order_by("day", "user_id").values()) == before


def test_a_late_event_rebuilds_its_day_and_its_cohort(three_users):
    send(view("bob", at(2, "08:00")), now=three_users)
    assert kpis.measure_kpis(until=three_users).days_rebuilt == (date(2026, 3, 2),)
    assert value("dau", date(2026, 3, 2)) == 3
    assert value("retention_d1") == 100.0


def test_retention_of_a_day_that_has_not_passed_has_no_value():
    now = at(2, "18:00")
    send(view("ann", at(1, "10:00")), view("ann", at(2, "09:00")), now=now)
    kpis.measure_kpis(until=now)
    assert value("retention_d1") is None


def test_days_follow_the_reporting_time_zone(settings):
    settings.REPORTING_TIME_ZONE = "Asia/Tokyo"
    now = at(20, "12:00")
    send(view("bob", at(1, "23:50")), now=now)
    kpis.measure_kpis(until=now)
    assert value("dau", date(2026, 3, 2)) == 1
    assert not KpiPoint.objects.filter(day=DAY).exists()


def test_another_time_zone_rebuilds_every_day(three_users, settings):
    settings.REPORTING_TIME_ZONE = "Asia/Kathmandu"
    # 45 minutes off: an hour of UTC belongs to two days there. 23:50 of day 1 is 05:35 of day 2.
    rebuilt = kpis.measure_kpis(until=three_users).days_rebuilt
    assert rebuilt == tuple(date(2026, 3, day) for day in (1, 2, 3, 8))
    assert (value("dau"), value("dau", date(2026, 3, 2))) == (1, 3)
    assert kpis.measure_kpis(until=three_users).days_rebuilt == ()


def test_an_hour_that_belongs_to_two_days_rebuilds_both(settings):
    settings.REPORTING_TIME_ZONE = "Asia/Kathmandu"
    now = at(20, "12:00")
    send(view("ann", at(1, "18:10")), view("bob", at(1, "18:20")), now=now)
    assert kpis.measure_kpis(until=now).days_rebuilt == (DAY, date(2026, 3, 2))
    assert (value("dau"), value("dau", date(2026, 3, 2))) == (1, 1)


class PowerCut(BaseException):
    """No error of a day, but the end of the process."""


def test_a_run_that_dies_leaves_its_days_to_the_next_one(three_users, monkeypatch):
    send(view("dora", at(1, "15:00")), view("dora", at(2, "15:00")), now=three_users)
    whole = kpis._daily_values
    calls = []

    def dies_at_the_second_day(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise PowerCut
        return whole(*arguments)

    monkeypatch.setattr(kpis, "_daily_values", dies_at_the_second_day)
    with pytest.raises(PowerCut):
        kpis.measure_kpis(until=three_users)
    assert (value("dau"), value("dau", date(2026, 3, 2))) == (3, 2)
    monkeypatch.undo()
    assert kpis.measure_kpis(until=three_users).days_rebuilt == (date(2026, 3, 2),)
    assert value("dau", date(2026, 3, 2)) == 3


def test_bots_and_staff_are_left_out_and_their_share_is_a_figure(settings):
    settings.INTERNAL_USERS = frozenset({"staff"})
    now = at(20, "12:00")
    send(view("ann", at(1, "10:00"), 60.0), view("staff", at(1, "10:00"), 60.0), now=now)
    ingest([view("crawler", at(20, "11:00"))], now=now, source="test", sending=Sending(bot=True))
    send(*(view("blind", at(1, "11:00") + timedelta(seconds=number), 0.0) for number in range(60)), now=now)
    kpis.measure_kpis(until=now)
    assert (value("dau"), value("dau", date(2026, 3, 20))) == (2, 0)
    assert value("excluded_share", date(2026, 3, 20)) == 100.0
    traffic.mark_automated(until=now)
    # The marks have opened the hour again.
    assert kpis.measure_kpis(until=now).days_rebuilt == (DAY,)
    assert (value("dau"), value("watch_min_per_user")) == (1, 1.0)
    assert value("excluded_share") == pytest.approx(100 * 61 / 62)


def test_nobody_spends_more_time_than_there_was():
    now = at(20, "12:00")
    send(*(view("ann", at(1, "10:00") + timedelta(seconds=10 * number), 3000.0) for number in range(4)), now=now)
    kpis.measure_kpis(until=now)
    # The first and the last view have a side without bound; the two between had ten seconds to each side.
    assert value("watch_min_per_user") == pytest.approx((2 * 3000 + 2 * 12) / 60)


def test_the_board_shows_every_kpi_to_staff_only(three_users, client, admin_client):
    assert client.get(reverse("dashboards:overview")).status_code == 302
    page = admin_client.get(reverse("dashboards:overview"), {"days": "7"}).content.decode()
    for kpi in kpis.KPIS:
        assert kpi.title in page
        assert escape(kpi.definition) in page


def test_a_period_is_compared_with_a_whole_one_only(admin_client):
    now = at(20, "12:00")
    days = [view(user, at(day, "10:00")) for day in range(6, 20) for user in ("ann", "bob")[: 1 + (day > 12)]]
    send(*days, now=now)
    kpis.measure_kpis(until=now)
    board = reverse("dashboards:overview")
    assert "+100.0 % against the 7 days before" in admin_client.get(board, {"days": "7"}).content.decode()
    assert "against the 14 days before" not in admin_client.get(board, {"days": "14"}).content.decode()


def test_an_unknown_range_falls_back_to_the_default(three_users, admin_client):
    page = admin_client.get(reverse("dashboards:overview"), {"days": "-1'"}).content.decode()
    assert '<a href="?days=30" aria-current="true">' in page


def test_an_empty_log_shows_an_empty_board(admin_client):
    kpis.measure_kpis(until=datetime.now(UTC) - timedelta(days=1))
    assert "No day has been measured yet" in admin_client.get(reverse("dashboards:overview")).content.decode()
