"""Rollups over the real log: late events, midnight, another zone, runs that die, who is left out."""

import io
import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.management import call_command

from dashboards import ranges, rollup_rows, rollups, series
from dashboards.kpis import BY_KEY
from dashboards.models import KpiCell, KpiDay, KpiPoint, KpiUser, KpiUsers
from dashboards.stats.periods import Grain
from events import traffic
from events.catalogue import NewContent, NewProfile, register_contents, update_profiles
from events.cleaning.rules import Sending
from events.ingestion import ingest
from events.models import Event
from ranking.models import Served
from tests.dashboards.conftest import NOW, at, event, send, view

pytestmark = pytest.mark.django_db
DAY = date(2026, 3, 1)


def value(key, day=DAY, *, now=NOW, **options):
    found = series.series(BY_KEY[key], day, day, Grain.DAY, now=now, **options)
    return found.total.points[0].value


def groups(key, dimension, day=DAY):
    found = series.series(BY_KEY[key], day, day, Grain.DAY, now=NOW, dimension=dimension)
    return {group.name: group.points[0].value for group in found.groups}


@pytest.fixture
def three_users():
    """Ann comes on days 1, 2 and 8, Bob on days 1 and 3, Cleo on day 2."""
    send(
        view("ann", at(1, "10:00"), 30.0), view("ann", at(1, "10:10"), 90.0), view("ann", at(2, "09:00")),
        view("ann", at(8, "09:00")), view("bob", at(1, "23:50"), 60.0), view("bob", at(3, "00:10")),
        view("cleo", at(2, "12:00")),
    )  # fmt: skip
    rollups.measure_kpis(until=NOW)


def rows():
    """Everything that is stored, but for numbers that a sequence gave away."""
    found = {}
    for model in (KpiCell, KpiDay, KpiUsers, KpiPoint, KpiUser):
        names = [field.attname for field in model._meta.concrete_fields if field.attname != "id"]
        listed = [[bytes(each) if isinstance(each, memoryview) else each for each in row]
                  for row in model.objects.values_list(*names)]  # fmt: skip
        found[model.__name__] = sorted(map(repr, listed))
    return found


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
    before = rows()
    assert rollups.measure_kpis(until=NOW).days_rebuilt == ()
    assert rows() == before


def test_a_late_event_rebuilds_its_day_and_moves_the_first_day_of_its_user(three_users):
    send(view("cleo", at(1, "08:00")))
    assert rollups.measure_kpis(until=NOW).days_rebuilt == (DAY,)
    assert (value("dau"), value("new_users"), value("new_users", date(2026, 3, 2))) == (3, 3, 0)
    assert value("retention_d1") == pytest.approx(200 / 3)


def test_retention_of_a_day_that_has_not_passed_has_no_value():
    now = at(2, "18:00")
    send(view("ann", at(1, "10:00")), view("ann", at(2, "09:00")), now=now)
    rollups.measure_kpis(until=now)
    assert value("retention_d1", now=now) is None
    assert value("retention_d1", now=at(3, "00:00")) == 100.0


def test_the_running_day_is_incomplete_and_a_young_one_provisional(three_users):
    found = series.series(BY_KEY["dau"], DAY, date(2026, 3, 9), Grain.DAY, now=at(8, "10:00")).total.points
    assert [point.complete for point in found] == [True] * 7 + [False] * 2
    assert [point.provisional for point in found] == [False] * 4 + [True] * 3 + [False] * 2
    assert found[-1].value is None, "what has not begun has no value"


def test_another_time_zone_rebuilds_every_day_and_so_does_the_first_one_again(three_users, settings):
    before = rows()
    settings.REPORTING_TIME_ZONE = "Asia/Kathmandu"
    # 45 minutes off: an hour of UTC belongs to two days there. 23:50 of day 1 is 05:35 of day 2.
    assert rollups.measure_kpis(until=NOW).days_rebuilt == tuple(date(2026, 3, day) for day in (1, 2, 3, 8))
    assert (value("dau"), value("dau", date(2026, 3, 2))) == (1, 3)
    assert rollups.measure_kpis(until=NOW).days_rebuilt == ()
    settings.REPORTING_TIME_ZONE = "UTC"
    rollups.measure_kpis(until=NOW)
    assert rows() == before


def test_an_hour_that_belongs_to_two_days_rebuilds_both(settings):
    settings.REPORTING_TIME_ZONE = "Asia/Kathmandu"
    send(view("ann", at(1, "18:10")), view("bob", at(1, "18:20")))
    assert rollups.measure_kpis(until=NOW).days_rebuilt == (DAY, date(2026, 3, 2))
    assert (value("dau"), value("dau", date(2026, 3, 2))) == (1, 1)


def test_hours_of_a_day_add_up_when_the_clocks_change(settings):
    settings.REPORTING_TIME_ZONE = "America/New_York"
    send(*(view(f"u{hour}", at(8, "05:30") + timedelta(hours=hour)) for hour in range(23)))
    rollups.measure_kpis(until=NOW)
    day = date(2026, 3, 8)
    hours = series.series(BY_KEY["views"], day, day, Grain.HOUR, now=NOW).total.points
    assert [point.value for point in hours] == [1.0] * 23
    assert value("views", day) == 23


class PowerCut(BaseException):
    """No error of a day, but the end of the process."""


@pytest.mark.parametrize("where", ["a day", "what follows from days"])
def test_a_run_that_dies_leaves_its_work_to_the_next_one(three_users, monkeypatch, where):
    send(view("dora", at(1, "15:00")), view("dora", at(2, "15:00")))
    calls = []

    def dies(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2 or where != "a day":
            raise PowerCut
        return whole(*arguments, **options)

    owner, name = (rollups, "write_day") if where == "a day" else (rollups.settling, "settle")
    whole = getattr(owner, name)
    monkeypatch.setattr(owner, name, dies)
    with pytest.raises(PowerCut):
        rollups.measure_kpis(until=NOW)
    monkeypatch.undo()
    expected = (date(2026, 3, 2),) if where == "a day" else ()
    assert rollups.measure_kpis(until=NOW).days_rebuilt == expected
    assert (value("dau"), value("dau", date(2026, 3, 2)), value("new_users")) == (3, 3, 3)


def test_bots_and_staff_are_left_out_and_their_share_is_a_figure(settings):
    settings.INTERNAL_USERS = frozenset({"staff"})
    send(view("ann", at(1, "10:00"), 60.0), view("staff", at(1, "10:00"), 60.0))
    ingest([view("crawler", at(20, "11:00"))], now=NOW, source="test", sending=Sending(bot=True))
    send(*(view("blind", at(1, "11:00") + timedelta(seconds=number), 0.0) for number in range(60)))
    rollups.measure_kpis(until=NOW)
    assert (value("dau"), value("dau", date(2026, 3, 20))) == (2, 0)
    assert value("excluded_share", date(2026, 3, 20)) == 100.0
    traffic.mark_automated(until=NOW)
    # The marks have opened the hour again.
    assert rollups.measure_kpis(until=NOW).days_rebuilt == (DAY,)
    assert (value("dau"), value("watch_min_per_user"), value("sessions")) == (1, 1.0, 1)
    assert value("excluded_share") == pytest.approx(100 * 61 / 62)


def request():
    return {"request_id": str(uuid.uuid4())}


def test_a_click_after_midnight_counts_for_the_impression_before_it():
    told = request()
    send(event("impression", "ann", at(1, "23:59"), **told), event("impression", "bob", at(1, "12:00"), **request()))
    rollups.measure_kpis(until=NOW)
    assert value("ctr") == 0
    send(view("ann", at(2, "00:01"), 9.0, **told), event("like", "ann", at(2, "00:02"), **told))
    rollups.measure_kpis(until=NOW)
    assert (value("ctr"), value("engagement_rate")) == (50.0, 50.0)
    assert value("unattributed_clicks", date(2026, 3, 2)) == 0
    # The click is erased: the day before does not change, and yet its rate does.
    Event.objects.filter(user_id="ann", timestamp__day=2).delete()
    rollups.measure_kpis(until=NOW)
    assert value("ctr") == 0


def test_the_impression_that_a_click_was_waiting_for_comes_late():
    told = request()
    send(view("ann", at(2, "00:01"), 9.0, **told))
    rollups.measure_kpis(until=NOW)
    assert value("unattributed_clicks", date(2026, 3, 2)) == 1
    send(event("impression", "ann", at(1, "23:59"), **told))
    assert rollups.measure_kpis(until=NOW).days_rebuilt == (DAY, date(2026, 3, 2))
    assert (value("ctr"), value("unattributed_clicks", date(2026, 3, 2))) == (100.0, 0)


def test_a_session_over_midnight_belongs_to_its_first_day_and_grows_there():
    send(view("ann", at(1, "23:50"), 60.0))
    rollups.measure_kpis(until=NOW)
    assert value("session_mean_s") == 60
    send(view("ann", at(2, "00:15"), 60.0))
    assert rollups.measure_kpis(until=NOW).days_rebuilt == (DAY, date(2026, 3, 2))
    assert value("session_mean_s") == 25 * 60 + 60
    assert (value("sessions"), value("sessions", date(2026, 3, 2))) == (1, 0)


def test_figures_are_broken_down_by_what_was_served():
    first, second = request(), request()
    for told, source, arm in ((first, "fresh", "a"), (second, "similar", "b")):
        Served.objects.create(
            request_id=told["request_id"], position=0, user_id="ann", content_id="c1", source=source, sources=[source],
            model_version="m1", surface="for_you", arm=arm, score=1.0, propensity=1.0, served_at=at(1, "09:59"),
        )  # fmt: skip
        send(event("impression", "ann", at(1, "10:00"), **told))
    send(view("ann", at(1, "10:01"), 9.0, **first), event("impression", "bob", at(1, "10:00"), **request()))
    rollups.measure_kpis(until=NOW)
    assert groups("ctr", "source") == {"all": pytest.approx(100 / 3), "fresh": 100.0, "similar": 0.0, "(none)": 0.0}
    assert groups("impressions", "arm") == {"all": 3, "a": 1, "b": 1, "(none)": 1}
    assert groups("impressions", "model") == {"all": 3, "m1": 2, "(none)": 1}
    assert groups("impressions", "surface") == {"all": 3, "for_you": 2, "(none)": 1}


def test_the_ten_largest_values_the_others_and_none_make_the_total():
    register_contents(NewContent(f"c{n}", "k", at(1, "00:00"), {"category": f"topic{n:02d}"}) for n in range(13))
    events = [view(f"u{n}", at(1, "10:00") + timedelta(seconds=40 * m), content=f"c{n}") for n in range(13)
              for m in range(n + 1)]  # fmt: skip
    send(*events, view("u0", at(1, "11:00"), content="unknown"))
    rollups.measure_kpis(until=NOW)
    views = groups("views", "category")
    assert list(views)[:2] == ["all", "topic12"]
    assert list(views)[-2:] == ["(other)", "(none)"]
    assert sum(views.values()) == 2 * views["all"]
    users = groups("dau", "category")
    assert (users["all"], users["(other)"], users["(none)"]) == (13, 3, 1)


def test_countries_of_fewer_than_five_users_are_not_shown():
    update_profiles(NewProfile(f"u{n}", {"country": "DE" if n < 6 else "FR"}, {}) for n in range(8))
    send(*(view(f"u{n}", at(1, "10:00")) for n in range(8)))
    rollups.measure_kpis(until=NOW)
    assert groups("dau", "country") == {"all": 8, "DE": 6, "FR": None}
    assert groups("sessions", "country")["DE"] == 6


def test_an_erased_user_leaves_no_name_behind(three_users):
    Event.objects.filter(user_id="cleo").delete()
    rollups.measure_kpis(until=NOW)
    assert set(KpiUser.objects.values_list("name", flat=True)) == {"ann", "bob"}
    send(view("dora", at(4, "10:00")))
    rollups.measure_kpis(until=NOW)
    assert value("new_users", date(2026, 3, 4)) == 1
    assert value("dau", date(2026, 3, 2)) == 1


def test_a_board_reads_a_whole_range_in_a_few_queries(three_users, django_assert_max_num_queries):
    asked = ranges.Range(DAY, date(2026, 3, 9), Grain.DAY, now=NOW)
    with django_assert_max_num_queries(20):
        for kpi in BY_KEY.values():
            if Grain.DAY in kpi.grains:
                series.of(kpi, asked)


def test_an_empty_log_has_no_days():
    assert rollups.measure_kpis(until=datetime.now(UTC)).days_rebuilt == ()
    assert ranges.span() is None
    assert rollup_rows.read_sets("active", "all", DAY, DAY, 1) == {}


def test_the_command_measures_as_the_task_does(three_users):
    send(view("dora", at(1, "15:00")))
    out = io.StringIO()
    call_command("measure_kpis", stdout=out)
    assert "1 days rebuilt" in out.getvalue()
    assert value("dau") == 3
