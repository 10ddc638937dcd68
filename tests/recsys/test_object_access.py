"""OWASP API1 and API3, made from the API's own description: no object of somebody else, no field that is not yours."""

import json
import re
from functools import cache
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from dashboards import moderation_reports
from events import api_keys, catalogue, client_tokens, queries
from events.catalogue import NewContent, NewProfile, register_content, update_profile

pytestmark = pytest.mark.django_db
METHODS = ("get", "post", "put", "patch", "delete")
OWNED = {"user_id", "report_id"}
"""Parameters of paths that name something of one user."""
OPEN = {"content_id", "creator_id", "name"}
"""Parameters that name what is everybody's to see, or by itself needs the scope of a server."""
STAFF = {"case_id", "decision_id", "batch", "stop_id", "view_id", "key"}
"""Parameters of doors that know staff only."""
STOLEN = {
    "status": "removed", "role": "admin", "score": 1.0, "is_staff": True, "feed_eligible": True, "priority": 99,
    "weight": 1.0, "imposed_age_rating": "everyone", "outcome": "agreed", "is_superuser": True,
}  # fmt: skip


@cache
def description():
    """The API's description, as a client would read it."""
    import io  # noqa: PLC0415  for this alone

    told = io.StringIO()
    call_command("spectacular", format="openapi-json", stdout=told)
    return json.loads(told.getvalue())


def operations():
    for path, item in description()["paths"].items():
        for method in METHODS:
            if method in item:
                yield method, path, item[method]


def named(operation, where):
    return {each["name"] for each in operation.get("parameters", []) if each["in"] == where}


@pytest.fixture
def world(settings):
    """Mia with a profile, a clip and a report; and Eve, who is curious."""
    settings.RATE_LIMITS = {}
    for user_id in ("mia", "eve"):
        update_profile(NewProfile(user_id, preferences={"secret": user_id}))
    register_content(NewContent("clip", "mara", timezone.now(), {"caption": "a clip"}))
    subject = moderation_reports.subject_of("content", "clip")
    filed = moderation_reports.report(
        subject, reporter_id="mia", reason="spam", now=timezone.now(), details="secret mia"
    )
    return {
        "user_id": "mia",
        "report_id": str(filed.report_id),
        "content_id": "clip",
        "creator_id": "mara",
        "name": "dau",
        "key": "no-such-experiment",
    }


def client_of(user_id):
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {client_tokens.mint(user_id, now=timezone.now())[0]}")
    return client


def test_every_parameter_of_a_path_says_whose_it_is():
    unknown = {each for _, _, operation in operations() for each in named(operation, "path")} - OWNED - OPEN - STAFF
    assert unknown == set(), "say in this file whose objects these are"


def test_no_object_of_somebody_else_is_told_or_changed(world):
    eve, tried = client_of("eve"), 0
    before = (queries.profile("mia"), queries.profile("eve"))
    for method, path, operation in operations():
        if not named(operation, "path") & OWNED:
            continue
        tried += 1
        address = re.sub(r"{(\w+)}", lambda found: world[found.group(1)], path)
        answer = getattr(eve, method)(address, {} if method in {"post", "put", "patch"} else None, format="json")
        assert answer.status_code in {403, 404}, (method, address, answer.status_code)
        assert b"secret mia" not in answer.content
    assert tried >= 18
    assert (queries.profile("mia"), queries.profile("eve")) == before


def test_no_query_or_body_speaks_for_somebody_else(world):
    eve, tried = client_of("eve"), 0
    for method, path, operation in operations():
        if named(operation, "path") or "user_id" not in named(operation, "query"):
            continue
        tried += 1
        answer = getattr(eve, method)(f"{path}?user_id=mia", {} if method != "get" else None, format="json")
        assert answer.status_code in {400, 403, 404}, (method, path, answer.status_code)
        assert b"secret mia" not in answer.content
    for path, body in {
        "/api/v1/reports": {"content_id": "clip", "reason": "spam", "reporter_id": "mia"},
        "/api/v1/appeals": {"decision_id": str(uuid4()), "text": "no", "user_id": "mia"},
        "/api/v1/feed": {"user_id": "mia"},
        "/api/v1/rank": {"user_id": "mia", "content_ids": ["clip"]},
        "/api/v1/users/merge": {"from_user_id": "mia", "to_user_id": "eve"},
    }.items():
        tried += 1
        answer = eve.post(path, body, format="json")
        assert answer.status_code in {400, 403}, (path, answer.status_code, answer.content)
    assert tried >= 8


def test_the_owner_gets_through_where_others_do_not(world):
    mia = client_of("mia")
    assert mia.get("/api/v1/users/mia").status_code == 200
    assert mia.get(f"/api/v1/reports/{world['report_id']}").json()["reason"] == "spam"


def test_staff_doors_know_no_key_and_no_token(world):
    server = APIClient()
    server.credentials(HTTP_AUTHORIZATION=f"Bearer {api_keys.create_key('server')[1]}")
    tried = 0
    for method, path, operation in operations():
        if operation.get("security") != [{"cookieAuth": []}]:
            continue
        address = path.replace("{batch}", str(uuid4())).replace("{decision_id}", str(uuid4()))
        address = re.sub(r"{\w+}", "1", address)
        for client in (server, client_of("eve"), APIClient()):
            tried += 1
            assert getattr(client, method)(address, format="json").status_code in {401, 403}, (method, address)
    assert tried >= 30


def test_fields_that_are_not_the_callers_are_refused_by_name_at_every_door(world):
    server = APIClient(raise_request_exception=False)
    server.credentials(HTTP_AUTHORIZATION=f"Bearer {api_keys.create_key('server')[1]}")
    tried = set()
    for method, path, operation in operations():
        body = operation.get("requestBody", {}).get("content", {})
        if "application/json" not in body or operation.get("security") == [{"cookieAuth": []}]:
            continue
        address = re.sub(r"{(\w+)}", lambda found: world[found.group(1)], path)
        address += (
            "?content_id=clip" if path.endswith("/contents") else "?user_id=mia" if path.endswith("/users") else ""
        )
        for name, value in STOLEN.items():
            answer = getattr(server, method)(address, {name: value}, format="json")
            assert answer.status_code in {400, 422}, (method, address, name, answer.status_code, answer.content[:200])
        tried.add(path)
    assert len(tried) >= 12
    assert queries.content("clip")["status"] == "active"


@pytest.mark.parametrize("name", ["status", "feed_eligible", "imposed_age_rating", "score", "imposed_geo_deny"])
def test_a_whole_and_right_content_with_one_such_field_changes_nothing(name, world):
    server = APIClient()
    server.credentials(HTTP_AUTHORIZATION=f"Bearer {api_keys.create_key('server')[1]}")
    before = queries.content("clip")
    body = {"creator_id": "mara", "metadata": {"caption": "another"}, name: STOLEN.get(name, ["DE"])}
    for method in (server.put, server.patch):
        answer = method("/api/v1/contents/clip", body, format="json")
        assert answer.status_code == 400
        assert name in json.dumps(answer.json())
    assert queries.content("clip") == before


def test_what_moderation_removed_is_not_brought_back_by_saying_that_it_is_active(world):
    server = APIClient()
    server.credentials(HTTP_AUTHORIZATION=f"Bearer {api_keys.create_key('server')[1]}")
    catalogue.set_moderation_state("clip", status="removed")
    body = {"creator_id": "mara", "metadata": {"caption": "another"}, "status": "active"}
    assert server.put("/api/v1/contents/clip", body, format="json").status_code == 200
    assert queries.content("clip")["status"] == "removed"
    assert queries.eligible(["clip"]) == set()
