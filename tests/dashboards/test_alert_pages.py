"""Alerts, funnels and saved views as pages and through the API: who may what, and that both say the same."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from dashboards import alerts, live, rollups, saved_views
from dashboards.alert_admin import RuleForm
from dashboards.alert_models import AlertIncident, AlertRule, AlertSilence
from dashboards.signal_models import SystemReading
from dashboards.view_models import SavedView
from events import catalogue
from events.errors import InvalidRequest
from tests.dashboards.conftest import NOW, at, event, send, view

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(db):
    rule = AlertRule.objects.get(name="Active users fell")
    found = AlertIncident.objects.create(
        rule=rule, fingerprint=alerts.fingerprint(rule), first_period="2026-03-02", last_period="2026-03-02",
        value=70.0, expected=100.0, reason="-30.0 % in a week", fired_at=NOW,
        chart=[["2026-03-01", 100.0], ["2026-03-02", 70.0]],
    )  # fmt: skip
    AlertRule.objects.filter(pk=rule.pk).update(state="firing")
    alerts._note(found, "fired", "-30.0 % in a week", now=NOW)
    return found


def test_an_analyst_sees_acknowledges_and_silences(staff, incident):
    analyst = staff("analyst")
    page = analyst.get(reverse("dashboards:alerts")).content.decode()
    assert "1 incident is open" in page
    assert "-30.0 % in a week" in page
    assert page.count('<tr><th scope="row">') >= AlertRule.objects.count()
    address = reverse("dashboards:incident", args=[incident.pk])
    page = analyst.get(address).content.decode()
    assert "2026-03-02: 70 users" in page, "the chart as it fired"
    assert "docs/runbooks.md#activeusers" in page
    analyst.post(reverse("dashboards:incident-ack", args=[incident.pk]), {"note": "a holiday"}, format="multipart")
    incident.refresh_from_db()
    assert (incident.acked_by, incident.note) == ("analyst", "a holiday")
    silence = reverse("dashboards:incident-silence", args=[incident.pk])
    for wrong in ("", "9999", "-1", "4.0"):
        analyst.post(silence, {"hours": wrong, "note": "x"}, format="multipart")
    assert not AlertSilence.objects.exists()
    analyst.post(silence, {"hours": "4", "note": "known"}, format="multipart")
    silence = AlertSilence.objects.get()
    assert (silence.rule, silence.author, silence.end - silence.start) == (incident.rule, "analyst", timedelta(hours=4))
    assert "acknowledged" in analyst.get(address).content.decode()


def test_who_may_not_is_refused(staff, incident):
    lead = staff("moderation lead")
    for name in ("alerts", "incident"):
        args = [incident.pk] if name == "incident" else []
        assert lead.get(reverse(f"dashboards:{name}", args=args)).status_code == 403
    assert lead.post(reverse("dashboards:incident-ack", args=[incident.pk])).status_code == 403
    assert staff("analyst").get(reverse("dashboards:incident-ack", args=[incident.pk])).status_code == 405
    assert staff("analyst").get(reverse("dashboards:incident", args=[10**9])).status_code == 404
    # The secrets of channels are not the analysts'.
    assert staff("analyst").get(reverse("admin:dashboards_alertchannel_changelist")).status_code == 403


def test_every_rule_that_ships_can_be_saved_as_it_is_and_impossible_ones_cannot(db):
    names = RuleForm.Meta.fields
    for rule in AlertRule.objects.all():
        form = RuleForm({name: getattr(rule, f"{name}_id" if name == "quiet_under" else name) for name in names},
                        instance=rule)  # fmt: skip
        assert form.is_valid(), (rule, form.errors)
    good = {"name": "x", "kpi": "dau", "grain": "day", "kind": "below", "bound": 5, "in_row": 1, "least_users": 0,
            "severity": "info"}  # fmt: skip
    assert RuleForm(good).is_valid()
    for wrong, field in (
        ({"grain": "hour"}, "grain"), ({"kpi": "feed_p95_ms"}, "grain"), ({"bound": "inf"}, "bound"),
        ({"kpi": "feed_p95_ms", "grain": "reading", "kind": "anomaly"}, "kind"), ({"kpi": "none"}, "kpi"),
        ({"quiet_under": AlertRule.objects.get(name="Active users fell").pk}, "quiet_under"),
    ):  # fmt: skip
        assert field in RuleForm(good | wrong).errors, wrong


def test_the_api_tells_rules_and_incidents(analyst, incident):
    rules = analyst.get("/api/v1/alerts/rules").json()["rules"]
    assert len(rules) == AlertRule.objects.count() >= 20
    (fell,) = (rule for rule in rules if rule["name"] == "Active users fell")
    assert (fell["state"], fell["watches"], fell["grain"], fell["quiet_under"]) == (
        "firing",
        "dau",
        "day",
        "Nobody came",
    )
    (found,) = analyst.get("/api/v1/alerts/incidents").json()["incidents"]
    assert found["chart"] == [["2026-03-01", 100.0], ["2026-03-02", 70.0]]
    assert [moment["what"] for moment in found["timeline"]] == ["fired"]
    assert analyst.get("/api/v1/alerts/incidents", {"state": "over"}).json()["incidents"] == []
    rows = list(csv.reader(io.StringIO(analyst.get("/api/v1/alerts/incidents?format=csv").content.decode("utf-8-sig"))))
    # A reason that begins with a sign must not be a formula of a spreadsheet.
    assert rows[1][8] == "'-30.0 % in a week"
    wrong = analyst.get("/api/v1/alerts/incidents", {"state": "x' OR 1"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "invalid_choice")
    assert analyst.post(f"/api/v1/alerts/incidents/{incident.pk}/ack").status_code in {401, 403}


def test_staff_acknowledge_through_the_api(staff, incident):
    client = staff("analyst")
    answer = client.post(f"/api/v1/alerts/incidents/{incident.pk}/ack", {"note": "seen"}, format="json")
    assert (answer.status_code, answer.json()["acked_by"]) == (200, "analyst")
    assert client.post("/api/v1/alerts/incidents/999999/ack", {}, format="json").status_code == 404
    long = client.post(f"/api/v1/alerts/incidents/{incident.pk}/ack", {"note": "x" * 300}, format="json")
    assert long.status_code == 400
    assert staff("moderator").post(f"/api/v1/alerts/incidents/{incident.pk}/ack", {}, format="json").status_code == 403


def test_the_api_tells_real_time_and_the_system(analyst):
    live.forget()
    minutes = analyst.get("/api/v1/live").json()["minutes"]
    assert len(minutes) == live.MINUTES
    now = datetime.now(UTC)
    SystemReading.objects.create(at=now - timedelta(minutes=5), values={"feed_p95_ms": 81.5}, details={"counters": {}})
    body = analyst.get("/api/v1/system", {"hours": 1}).json()
    assert body["readings"][0]["values"]["feed_p95_ms"] == 81.5
    assert body["readings"][0]["values"]["queued"] is None
    assert {"key": "feed_p95_ms", "unit": "ms"}.items() <= body["signals"][0].items()
    assert analyst.get("/api/v1/system", {"hours": "0"}).status_code == 400


@pytest.fixture
def walkers(db):
    """Six people in two countries come to different steps; a program comes through all of them at once."""
    for name, country in (("ann", "DE"), ("bob", "DE"), ("cleo", "DE"), ("dan", "DE"), ("eve", "DE"), ("fay", "FR")):
        catalogue.update_profile(catalogue.NewProfile(name, {"country": country}))
    sent = []
    for place, name in enumerate(("ann", "bob", "cleo", "dan", "eve", "fay")):
        sent.append(event("impression", name, at(5, "10:00")))
        if place < 4:
            sent.append(view(name, at(5, "10:01"), 20.0))
        if place < 2:
            sent.append(event("like", name, at(5, "10:05")))
    # A like before the view, and a view a day too late, lead no further.
    sent.append(event("like", "cleo", at(5, "09:00")))
    sent.append(view("eve", at(7, "10:00"), 20.0))
    send(*sent)
    rollups.measure_kpis(until=NOW)


MARCH = {"from": "2026-03-05", "to": "2026-03-05"}


def figure(client, name, **query):
    answer = client.get(f"/api/v1/metrics/{name}", {"from": "2026-03-05", "to": "2026-03-08", **query})
    assert answer.status_code == 200, answer.content
    return answer.json()["groups"]


@pytest.mark.parametrize("name", ["impressions", "views", "dau", "active_users", "new_users", "watch_min_per_user"])
def test_a_filter_counts_what_the_breakdown_shows(analyst, walkers, name):
    for user in "abcdefgh":
        send(event("impression", user, at(6, "09:00"), "c9"), view(user, at(6, "09:00"), 9.0, "c9"))
    catalogue.update_profiles(catalogue.NewProfile(user, {"country": "FR"}) for user in "abcdefgh")
    rollups.measure_kpis(until=NOW)
    groups = {group["group"]: group for group in figure(analyst, name, breakdown="country")}
    (only,) = figure(analyst, name, filter="country:FR")
    assert [point["value"] for point in only["points"]] == [point["value"] for point in groups["FR"]["points"]]
    assert [point["suppressed"] for point in only["points"]][:2] == [True, False], "one person of the fifth is hidden"
    (both,) = figure(analyst, name, filter="country:DE,FR")
    pairs = list(zip(both["points"], groups["all"]["points"], strict=True))
    assert [mine["suppressed"] for mine, _ in pairs] == [True, False, True, False]
    assert all(mine["value"] == whole["value"] for mine, whole in pairs if not mine["suppressed"])


def test_who_is_in_several_values_is_counted_once(analyst):
    catalogue.register_contents(
        catalogue.NewContent(name, "k", at(1, "08:00"), {"category": kind}) for name, kind in (("a", "x"), ("b", "y"))
    )
    for user, clock, content in (("ann", "10:00", "a"), ("ann", "10:10", "b"), ("bob", "11:00", "b")):
        send(view(user, at(5, clock), 5.0, content))
    rollups.measure_kpis(until=NOW)
    (found,) = figure(analyst, "dau", filter="category:x,y")
    assert found["points"][0]["value"] == 2
    (views,) = figure(analyst, "views", filter="category:x,y")
    assert views["points"][0]["value"] == 3


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("dau", {"filter": "country"}), ("dau", {"filter": "country:"}), ("dau", {"filter": "country:DE,,FR"}),
        ("dau", {"filter": "planet:earth"}), ("sessions", {"filter": "category:x"}),
        ("dau", {"filter": "country:DE", "breakdown": "country"}),
        ("views", {"filter": "country:DE,FR", "grain": "hour", "from": "2026-03-05", "to": "2026-03-05"}),
        ("coverage", {"filter": "country:DE"}),
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_is_refused(analyst, name, query):
    answer = analyst.get(f"/api/v1/metrics/{name}", query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_filter")


def test_the_page_of_a_metric_keeps_its_filter(admin_client, walkers):
    address = reverse("dashboards:metric", args=["views"])
    page = admin_client.get(address, {**MARCH, "by": "country", "values": "DE, FR"}).content.decode()
    assert "filter=country%3ADE%2CFR" in page
    assert "Only country:DE,FR: take it off" in page
    assert "take it off" not in admin_client.get(address, {**MARCH, "filter": "planet:earth"}).content.decode()


def test_a_funnel_counts_people_by_order_and_time(analyst, walkers):
    body = analyst.get("/api/v1/funnels", {**MARCH, "steps": "impression,view,like"}).json()
    (everybody,) = body["groups"]
    assert [step["users"] for step in everybody["steps"]] == [6, 4, 2]
    assert [step["median_s"] for step in everybody["steps"]] == [0.0, 60.0, 300.0]
    assert everybody["steps"][2]["of_previous_pct"] == 50.0
    longer = analyst.get("/api/v1/funnels", {**MARCH, "steps": "impression,view", "within": 72}).json()
    assert [step["users"] for step in longer["groups"][0]["steps"]] == [6, 5]


def test_a_funnel_by_country_hides_the_few(analyst, walkers):
    groups = analyst.get("/api/v1/funnels", {**MARCH, "steps": "impression,view", "breakdown": "country"}).json()[
        "groups"
    ]
    found = {group["group"]: [step["users"] for step in group["steps"]] for group in groups}
    assert found == {"all": [6, 4], "DE": [5, 4], "FR": [None, None]}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"steps": "impression"}, "invalid_steps"), ({"steps": "impression,dance"}, "invalid_steps"),
        ({"steps": ",".join(["view"] * 7)}, "invalid_steps"), ({"within": "0"}, "invalid_number"),
        ({"within": "721"}, "invalid_number"), ({"from": "2026-01-01", "to": "2026-03-01"}, "range_too_long"),
        ({"breakdown": "arm"}, "invalid_choice"), ({"tz": "Asia/Tokyo"}, "other_time_zone"),
        ({"step": "view"}, "unknown_parameter"),
    ],
)  # fmt: skip
def test_a_funnel_that_cannot_be_is_refused_by_name(analyst, query, code):
    answer = analyst.get("/api/v1/funnels", query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_the_page_of_funnels_shows_the_same_numbers(admin_client, walkers):
    page = admin_client.get(reverse("dashboards:funnel"), {**MARCH, "step": ["impression", "view", "like"]})
    html = page.content.decode()
    assert '<th scope="row">like</th><td class="number">2</td>' in html
    assert "33.3 %" in html
    wrong = admin_client.get(reverse("dashboards:funnel"), {"step": ["impression", "dance"]}).content.decode()
    assert "a step is an event type" in wrong


def test_a_saved_view_brings_back_the_page_with_its_state(staff):
    analyst, other = staff("analyst"), staff("developer")
    address = "/dashboards/metric/ctr?days=14&breakdown=category"
    kept = analyst.post(
        reverse("dashboards:view-save"), {"name": "CTR", "address": address, "shared": "1"}, format="multipart"
    )
    assert (kept.status_code, kept["Location"]) == (302, address)
    private = "/dashboards/board/growth?grain=week"
    analyst.post(reverse("dashboards:view-save"), {"name": "mine", "address": private}, format="multipart")
    listed = other.get(reverse("dashboards:views")).content.decode()
    assert 'href="/dashboards/metric/ctr?days=14&amp;breakdown=category"' in listed
    assert "mine" not in listed
    assert "mine" in analyst.get(reverse("dashboards:views")).content.decode()
    theirs = SavedView.objects.get(name="CTR")
    other.post(reverse("dashboards:view-forget", args=[theirs.pk]))
    assert SavedView.objects.filter(pk=theirs.pk).exists(), "only its owner removes it"
    analyst.post(reverse("dashboards:view-forget", args=[theirs.pk]))
    assert not SavedView.objects.filter(pk=theirs.pk).exists()


def test_what_is_behind_a_point_has_names_for_who_may_see_them(analyst, staff, walkers):
    path = "/api/v1/metrics/dau/behind"
    by_key = analyst.get(path, {"day": "2026-03-05"}).json()
    assert (by_key["kind"], by_key["total"]) == ("users", 4)
    assert {each["name"] for each in by_key["items"]} == {None}
    by_person = staff("analyst").get(path, {"day": "2026-03-05"}).json()
    assert {each["name"] for each in by_person["items"]} == {"ann", "bob", "cleo", "dan"}
    by_stranger = staff("ml-engineer").get(path, {"day": "2026-03-05"}).json()
    assert {each["name"] for each in by_stranger["items"]} == {None}
    week = analyst.get(path, {"day": "2026-03-02", "grain": "week"})
    assert week.json()["error"]["code"] == "invalid_grain", "daily users are there by day only"
    for query, status, code in (
        ({}, 400, "missing_parameter"), ({"day": "soon"}, 400, "invalid_date"),
        ({"day": "2026-03-05", "who": "x"}, 400, "unknown_parameter"),
    ):  # fmt: skip
        answer = analyst.get(path, query)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert analyst.get("/api/v1/metrics/watch_h/behind", {"day": "2026-03-05"}).status_code == 404
    assert analyst.get("/api/v1/metrics/none/behind", {"day": "2026-03-05"}).status_code == 404


@pytest.mark.parametrize(
    "address",
    ["https://example.com/dashboards/", "//example.com/dashboards/", "/admin/", "/dashboards/none", "",
     "/dashboards/../admin/", "/dashboards/?x=" + "y" * 600],
)  # fmt: skip
def test_only_pages_of_the_dashboards_are_saved(address):
    user = User.objects.create_user("reader", is_staff=True)
    with pytest.raises(InvalidRequest, match="only pages of the dashboards"):
        saved_views.keep(user, "x", address, shared=False, now=NOW)
    with pytest.raises(InvalidRequest, match="1 to 60"):
        saved_views.keep(user, " ", "/dashboards/", shared=False, now=NOW)
