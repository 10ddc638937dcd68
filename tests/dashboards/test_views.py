"""The pages: who may see them, what stands on them, and that their addresses say what they show."""

import itertools
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils.html import escape

from dashboards import live, rollups, urls
from dashboards.boards import BOARDS, keys_of
from dashboards.kpis import BY_KEY, KPIS
from dashboards.stats.periods import Grain
from tests.dashboards.conftest import NOW, at, event, send, view

pytestmark = pytest.mark.django_db
MARCH = {"from": "2026-03-01", "to": "2026-03-14"}


@pytest.fixture
def fortnight(db):
    """Two users on every day, a third on some; what each is shown, watches and likes."""
    events = []
    for day in range(1, 15):
        for user in ("ann", "bob", *(["cleo"] if day % 3 == 0 else [])):
            events += [event("impression", user, at(day, "10:00")), view(user, at(day, "10:00"), 30.0 + day)]
            events.append(event("like", user, at(day, "10:02")))
    send(*events)
    rollups.measure_kpis(until=NOW)


def page(client, name, *args, **params):
    answer = client.get(reverse(f"dashboards:{name}", args=args), params)
    assert answer.status_code == 200, (name, args, params)
    return answer.content.decode()


PAGES = [
    ("overview", ()), ("board", ("growth",)), ("metric", ("dau",)), ("chart-svg", ("dau",)),
    ("behind", ("dau", "2026-03-03")), ("retention-table", ()), ("live", ()), ("live-part", ()), ("system", ()),
    ("funnel", ()), ("views", ()), ("experiments", ()),
]  # fmt: skip


def test_every_page_is_for_staff_with_the_permission(client, fortnight):
    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_kpipoint"))
    for user, expected in (
        (None, 302), (User.objects.create_user("customer"), 403),
        (User.objects.create_user("moderator", is_staff=True), 403), (reader, 200),
    ):  # fmt: skip
        if user:
            client.force_login(user)
        for name, args in PAGES:
            assert client.get(reverse(f"dashboards:{name}", args=args), MARCH).status_code == expected, (user, name)


def test_every_path_of_the_dashboards_is_in_that_list():
    # Alerts and experiments ask for more, and what changes something for a POST: test_alert_pages, test_experiment_api.
    others = {"alerts", "incident", "incident-ack", "incident-silence", "view-save", "view-forget"}
    others |= {"experiment", "experiment-new", "experiment-step"}
    assert {pattern.name for pattern in urls.urlpatterns} == {name for name, _ in PAGES} | others


def test_a_board_shows_each_of_its_kpis_with_definition_and_sql(admin_client, fortnight):
    for name, grain in itertools.product(BOARDS, Grain):
        board = page(admin_client, "board", name, grain=grain, **MARCH)
        for key in keys_of(name):
            assert BY_KEY[key].title in board, (name, grain)
            assert escape(BY_KEY[key].definition) in board
            assert escape(BY_KEY[key].sql) in board


def test_every_kpi_stands_on_a_board():
    assert {key for name in BOARDS for key in keys_of(name)} == {kpi.key for kpi in KPIS}


def test_well_being_stands_beside_the_key_metrics(admin_client, fortnight):
    overview = page(admin_client, "overview", **MARCH)
    order = [overview.index(f'id="kpi-{key}"') for key in ("dau", "watch_min_per_user", "night_share")]
    assert order == sorted(order)
    assert overview.count('class="tile guardrail"') == 3


def test_the_address_is_the_state_of_the_page(admin_client, fortnight):
    shown = page(admin_client, "metric", "dau", compare="0", **MARCH)
    assert "?from=2026-03-01&amp;to=2026-03-14&amp;compare=0" in shown
    assert "2026-03-14" in shown
    assert "2026-03-15" not in shown.split("<tbody>")[1]
    for wrong in ({"days": "-1'"}, {"from": "2026-03-09", "to": "2026-03-01"}, {"grain": "century"}):
        assert '?days=30" aria-current="true"' in page(admin_client, "overview", **wrong)


def test_a_whole_period_is_compared_and_half_a_one_is_not(admin_client, fortnight):
    week = page(admin_client, "metric", "watch_h", **{"from": "2026-03-08", "to": "2026-03-14"})
    assert re.search(r"\+\d+\.\d % against the period before", week)
    # Retention of a day that lies before the log has no value.
    assert "against" not in page(admin_client, "metric", "retention_d1", **MARCH)


def test_a_breakdown_adds_up_and_hides_few_users(admin_client, fortnight):
    by_country = page(admin_client, "metric", "views", breakdown="country", **MARCH)
    assert "Fewer than five users" in by_country
    assert "nothing by country" not in by_country
    assert page(admin_client, "metric", "dau", breakdown="'; DROP", **MARCH)


def test_the_chart_is_a_file_by_itself(admin_client, fortnight):
    answer = admin_client.get(reverse("dashboards:chart-svg", args=["dau"]), MARCH)
    assert answer["Content-Type"] == "image/svg+xml"
    assert 'filename="dau_2026-03-01_2026-03-14.svg"' in answer["Content-Disposition"]
    svg = answer.content.decode()
    assert svg.count("<circle") == 14
    assert "class=" not in svg, "a file has no stylesheet"


def test_behind_a_point_stand_names_only_for_who_may_see_them(admin_client, client, fortnight):
    address = reverse("dashboards:behind", args=["dau", "2026-03-03"])
    everybody = admin_client.get(address).content.decode()
    assert all(name in everybody for name in ("ann", "bob", "cleo"))
    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_kpipoint"))
    client.force_login(reader)
    pseudonyms = client.get(address).content.decode()
    assert "no. 0" in pseudonyms
    assert not any(f">{name}<" in pseudonyms for name in ("ann", "bob", "cleo"))
    contents = admin_client.get(reverse("dashboards:behind", args=["coverage", "2026-03-03"])).content.decode()
    assert ">c1<" in contents


def test_cohorts_are_a_heat_map(admin_client, fortnight):
    for mode, cohort in itertools.product(["n_day", "unbounded", "bracket", "nonsense"], ["day", "week", "month"]):
        table = page(admin_client, "retention-table", mode=mode, cohort=cohort, **MARCH)
        assert "All, weighted" in table
        if cohort == "day":
            assert "100.0 %" in table
            assert 'class="number h10"' in table


def test_nothing_measured_is_an_empty_board(admin_client):
    assert "No day has been measured yet" in page(admin_client, "overview")
    assert "No day has been measured yet" in page(admin_client, "retention-table")


@pytest.mark.parametrize("path", ["board/none", "metric/none", "metric/dau/behind/yesterday", "metric/ctr/chart.svg/x"])
def test_what_is_not_there_is_not_found(admin_client, path):
    assert admin_client.get(f"/dashboards/{path}").status_code == 404


def test_pages_carry_no_inline_code(admin_client, fortnight):
    for name, args in PAGES:
        html = admin_client.get(reverse(f"dashboards:{name}", args=args), MARCH).content.decode()
        assert not re.search(r"<script(?![^>]*src=)|\son\w+=|<[^>]+\sstyle=", html), name


def test_a_passed_minute_is_counted_once(django_assert_num_queries):
    live.forget()
    now = NOW
    send(*(view("ann", now - timedelta(minutes=n, seconds=5)) for n in range(6)), now=now)
    minutes = live.minutes(now)
    assert len(minutes) == live.MINUTES
    assert sum(each.events for each in minutes) == 6
    with django_assert_num_queries(0):
        assert live.minutes(now) is minutes
    with django_assert_num_queries(1) as queries:
        later = live.minutes(now + timedelta(minutes=1))
    assert later[-3].events == 1
    # Only the newest minutes are read again, not the half hour.
    assert "12:00:00" in queries.captured_queries[0]["sql"]
    assert "11:" not in queries.captured_queries[0]["sql"]


def test_open_incidents_are_one_link_away_for_who_may_see_them(client, admin_client, fortnight):
    address = reverse("dashboards:alerts")
    assert f'href="{address}"' in page(admin_client, "overview", **MARCH)
    assert admin_client.get(address).status_code == 200
    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_kpipoint"))
    client.force_login(reader)
    assert address not in page(client, "overview", **MARCH)
