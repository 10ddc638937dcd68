"""The analyst's API: JSON and CSV of the same numbers, refusals that name the value, closed to everybody else."""

import csv
import io

import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.test import APIClient

from dashboards import rollups
from dashboards.kpis import KPIS
from dashboards.stats.periods import Grain
from events import api_keys, client_tokens
from events.scopes import SERVER_SCOPES
from tests.dashboards.conftest import NOW, at, event, send, view

pytestmark = pytest.mark.django_db
MARCH = {"from": "2026-03-01", "to": "2026-03-04"}
PATHS = [
    "/api/v1/metrics/definitions",
    "/api/v1/metrics/dau",
    "/api/v1/retention",
    "/api/v1/active-days?day=2026-03-02",
]


@pytest.fixture
def measured(db):
    send(
        view("ann", at(1, "10:00"), 30.0, surface="=cmd()"), event("impression", "ann", at(1, "10:00")),
        view("ann", at(2, "10:00")), view("bob", at(2, "11:00")),
    )  # fmt: skip
    rollups.measure_kpis(until=NOW)


def parsed(answer):
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = answer.content.decode()
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:])))


def test_every_metric_is_defined_with_unit_and_sql(analyst):
    metrics = analyst.get("/api/v1/metrics/definitions").json()["metrics"]
    assert [each["key"] for each in metrics] == [kpi.key for kpi in KPIS]
    assert all(each["definition"].endswith(".") and "SELECT" in each["sql"] for each in metrics)
    rows = parsed(analyst.get("/api/v1/metrics/definitions", {"format": "csv"}))
    assert len(rows) == len(KPIS) + 1


def test_every_metric_answers_at_every_grain_and_breakdown(analyst, measured):
    for kpi in KPIS:
        for grain in kpi.grains:
            answer = analyst.get(f"/api/v1/metrics/{kpi.key}", {**MARCH, "grain": grain, "compare": "previous"})
            assert answer.status_code == 200, (kpi.key, grain, answer.content)
            assert {point["value"] for point in answer.json()["before"][0]["points"]} == {None}, (
                "nobody was counted then"
            )
        for dimension in kpi.dimensions:
            answer = analyst.get(
                f"/api/v1/metrics/{kpi.key}", {**MARCH, "grain": kpi.grains[0], "breakdown": dimension}
            )
            assert answer.json()["groups"][0]["group"] == "all", (kpi.key, dimension)


def test_the_csv_has_the_numbers_of_the_json(analyst, measured):
    told = analyst.get("/api/v1/metrics/dau", MARCH).json()["groups"][0]["points"]
    rows = parsed(analyst.get("/api/v1/metrics/dau", {**MARCH, "format": "csv"}))
    assert [row[4] for row in rows[1:]] == [str(point["value"]) for point in told] == ["1.0", "2.0", "0.0", "0.0"]
    heat = parsed(analyst.get("/api/v1/retention", {**MARCH, "columns": "2", "format": "csv"}))
    assert heat[1] == ["2026-03-01", "1", "100.0", "100.0", "0.0"]
    assert heat[-1] == ["weighted", "", "100.0", "50.0", "0.0"]


def test_a_cell_that_would_be_a_formula_is_text(analyst, measured):
    answer = analyst.get("/api/v1/metrics/views", {**MARCH, "breakdown": "surface"}).json()
    assert "=cmd()" in [group["group"] for group in answer["groups"]]
    rows = parsed(analyst.get("/api/v1/metrics/views", {**MARCH, "breakdown": "surface", "format": "csv"}))
    assert {row[1] for row in rows[1:]} == {"all", "'=cmd()", "(none)"}


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("metrics/fame", {}, 404, "unknown_metric"),
        ("metrics/dau", {"from": "yesterday"}, 400, "invalid_date"),
        ("metrics/dau", {"from": "2026-02-30"}, 400, "invalid_date"),
        ("metrics/dau", {"to": "0001-01-01"}, 400, "invalid_date"),
        ("metrics/dau", {"from": "2026-03-02", "to": "2026-03-01"}, 400, "invalid_range"),
        ("metrics/dau", {"from": "2001-03-02", "to": "2026-03-01"}, 400, "range_too_long"),
        ("metrics/dau", {"grain": "hour"}, 400, "invalid_grain"),
        ("metrics/dau", {"grain": "fortnight"}, 400, "invalid_grain"),
        ("metrics/dau", {"breakdown": "user_id"}, 400, "invalid_breakdown"),
        ("metrics/coverage", {"breakdown": "country"}, 400, "invalid_breakdown"),
        ("metrics/dau", {"tz": "Mars/Olympus"}, 400, "other_time_zone"),
        ("metrics/dau", {"format": "xml"}, 400, "invalid_choice"),
        ("metrics/dau", {"compare": "never"}, 400, "invalid_choice"),
        ("metrics/dau", {"grian": "day"}, 400, "unknown_parameter"),
        ("retention", {"cohort": "hour"}, 400, "invalid_choice"),
        ("retention", {"mode": "bracket", "brackets": "3-1"}, 400, "invalid_brackets"),
        ("retention", {"mode": "bracket", "brackets": "1-3,2"}, 400, "invalid_brackets"),
        ("retention", {"columns": "0"}, 400, "invalid_number"),
        ("active-days", {"window": "9"}, 400, "invalid_choice"),
    ],
)
def test_a_refusal_names_the_value_as_json(analyst, path, params, status, code):
    answer = analyst.get(f"/api/v1/{path}", params)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    wrong = path.rsplit("/", 1)[1] if path == "metrics/fame" else next(iter(params.values()))
    assert wrong in answer.json()["error"]["message"] or code == "unknown_parameter"


@pytest.mark.parametrize("path", PATHS)
def test_the_door_is_closed_to_everybody_else(db, path):
    assert APIClient().get(path).status_code == 401
    for secret in (
        api_keys.create_key("x", scopes=SERVER_SCOPES - {"metrics:read", "admin"})[1],
        client_tokens.mint("ann", now=NOW.replace(year=2126))[0],
    ):
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
        assert client.get(path).status_code in {401, 403}
    for staff, permitted, expected in ((False, True, 401), (True, False, 403), (True, True, 200)):
        user = User.objects.create_user(f"user{staff}{permitted}", is_staff=staff)
        if permitted:
            user.user_permissions.add(Permission.objects.get(codename="view_kpipoint"))
        client = APIClient()
        client.force_login(user)
        assert client.get(path).status_code == expected, (staff, permitted)
        assert client.post(path).status_code in {401, 403, 405}


def test_before_the_first_fill_there_are_no_values_and_no_errors(analyst):
    for kpi in KPIS:
        grain = Grain.DAY if Grain.DAY in kpi.grains else kpi.grains[0]
        assert analyst.get(f"/api/v1/metrics/{kpi.key}", {"grain": grain}).status_code == 200, kpi.key
    assert analyst.get("/api/v1/retention").status_code == 200
    assert analyst.get("/api/v1/active-days").json()["error"]["code"] == "invalid_request"


def test_the_description_lists_the_doors(client):
    schema = client.get("/api/schema?format=json").json()
    for path in ("metrics/definitions", "metrics/{name}", "retention", "active-days"):
        answers = schema["paths"][f"/api/v1/{path}"]["get"]["responses"]["200"]["content"]
        assert set(answers) == {"application/json", "text/csv"}
