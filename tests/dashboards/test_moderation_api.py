"""Reports, appeals and decisions over HTTP: who may see what, and what is refused by name."""

import json
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from dashboards import moderation, moderation_appeals, moderation_reports
from dashboards.moderation_models import Report
from events import queries
from events.cleaning.schema import EVENT_TYPES
from tests.dashboards.cases import ANN, NOW, case_of, clip, decide, report

pytestmark = pytest.mark.django_db
OTHERS = str(uuid.uuid4())


@pytest.fixture
def decided():
    clip()
    report()
    return str(decide(case_of(), "remove", note="internal words"))


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_a_user_reports_and_reads_the_report_and_nobody_else_does(as_user, server):
    clip()
    mia = as_user("mia")
    first = mia.post("/api/v1/reports", {"content_id": "c1", "reason": "spam"}, format="json")
    again = mia.post("/api/v1/reports", {"content_id": "c1", "reason": "hate"}, format="json")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    path = f"/api/v1/reports/{first.json()['report_id']}"
    assert mia.get(path).json()["state"] == "waiting"
    assert server.get(path).status_code == 200
    assert code(as_user("leo").get(path)) == (404, "not_found")
    decide(case_of(), "remove")
    assert mia.get(path).json()["state"] == "agreed"


def test_who_reports_a_clip_refused_it_for_good_and_is_counted_once(as_user):
    clip()
    body = {"content_id": "c1", "reason": "spam"}
    for _ in range(2):
        as_user("mia").post("/api/v1/reports", body, format="json")
    history = queries.recent_history("mia")
    assert [EVENT_TYPES[code] for code in history.event_type] == ["report"]
    assert list(history.content_id) == ["c1"]
    assert moderation_reports.take_reports(until=timezone.now() + timedelta(minutes=1)) == 0
    assert Report.objects.count() == 1


def test_a_server_names_who_reports(server):
    clip()
    body = {"content_id": "c1", "reason": "spam"}
    assert code(server.post("/api/v1/reports", body, format="json")) == (400, "missing_field")
    assert server.post("/api/v1/reports", {**body, "reporter_id": "mia"}, format="json").status_code == 201
    assert Report.objects.get().reporter_id == "mia"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"reason": "spam"}, (400, "invalid_fields")),
        ({"content_id": "c1"}, (400, "invalid_fields")),
        ({"content_id": "c1", "user_id": "x", "reason": "spam"}, (400, "invalid_fields")),
        ({"content_id": "c1", "reason": "ugly"}, (400, "invalid_fields")),
        ({"content_id": "c1", "reason": "spam", "status": "removed"}, (400, "invalid_fields")),
        ({"content_id": "c1", "reason": "spam", "weight": 100}, (400, "invalid_fields")),
        ({"content_id": "c1", "reason": "spam", "details": "a\x00b"}, (400, "invalid_fields")),
        ({"content_id": "c1", "reason": "spam", "reporter_id": "leo"}, (403, "forbidden_user")),
        ({"content_id": "nope", "reason": "spam"}, (404, "not_found")),
        ({"comment_id": "nope", "reason": "spam"}, (404, "not_found")),
        ({"user_id": "mia", "reason": "spam"}, (404, "not_found")),
        ([], (400, "invalid_fields")),
    ],
)
def test_a_wrong_report_is_refused_by_name(as_user, body, expected):
    clip()
    assert code(as_user("mia").post("/api/v1/reports", body, format="json")) == expected
    assert not Report.objects.exists()


def test_a_lone_surrogate_is_refused_and_not_stored(as_user):
    clip()
    body = '{"content_id": "c1", "reason": "spam", "details": "\\ud800"}'
    answer = as_user("mia").generic("POST", "/api/v1/reports", body, content_type="application/json")
    assert answer.status_code == 400


def test_reports_hide_a_clip_from_the_next_feed_of_everybody(as_user):
    clip()
    clip("c2")
    for number in range(6):
        assert set(queries.eligible_cards(["c1", "c2"])) == {"c1", "c2"}
        as_user(f"u{number}").post("/api/v1/reports", {"content_id": "c1", "reason": "hate"}, format="json")
    assert set(queries.eligible_cards(["c1", "c2"])) == {"c2"}


def test_an_author_reads_decisions_without_who_made_them(as_user, decided, server):
    answer = as_user("creator").get("/api/v1/users/creator/decisions")
    (item,) = answer.json()["items"]
    assert item["decision_id"] == decided
    assert item["statements"][0]["explanation"] == "Your content was removed. It is spam or a scam."
    assert "internal words" not in answer.content.decode()
    assert "actor" not in answer.content.decode()
    assert server.get("/api/v1/users/creator/decisions").json() == answer.json()
    assert code(as_user("mia").get("/api/v1/users/creator/decisions")) == (403, "forbidden_user")
    assert as_user("mia").get("/api/v1/users/mia/decisions").json()["items"] == []


def test_an_author_appeals_once_and_nobody_elses_decision(as_user, decided):
    body = {"decision_id": decided, "text": "It is satire."}
    assert code(as_user("mia").post("/api/v1/appeals", body, format="json")) == (404, "not_found")
    creator = as_user("creator")
    made = creator.post("/api/v1/appeals", body, format="json")
    assert made.status_code == 201
    assert creator.post("/api/v1/appeals", body, format="json").json() == made.json()
    other = {**body, "text": "And another thing."}
    assert code(creator.post("/api/v1/appeals", other, format="json")) == (409, "already_appealed")
    assert code(creator.post("/api/v1/appeals", {**body, "upheld": False}, format="json")) == (400, "invalid_fields")
    assert creator.get("/api/v1/users/creator/decisions").json()["items"][0]["appeal"] == "waiting"


@pytest.mark.parametrize("method", ["get", "post"])
def test_keys_of_apps_mean_nothing_in_the_queue(server, as_user, method):
    for client in (server, as_user("mia")):
        assert code(getattr(client, method)("/api/v1/moderation/cases/next"))[0] in {401, 405}
        assert code(client.get("/api/v1/moderation/cases")) == (401, "unauthorized")


def test_a_session_without_its_csrf_token_changes_nothing(staff):
    clip()
    report()
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(staff("moderator").user)
    assert code(client.post("/api/v1/moderation/cases/next", {}, format="json")) == (403, "forbidden")
    assert case_of().claimed_by is None


@pytest.mark.parametrize("named", [False, True])
def test_media_that_no_page_may_show_are_named_by_their_host(staff, settings, named):
    settings.MEDIA_ORIGINS = ("https://cdn.example.com",) if named else ()
    address = "https://cdn.example.com/c1"
    clip(media_url=f"{address}.mp4", thumbnail_url=f"{address}.jpg")
    report()
    facts = staff("moderator").post("/api/v1/moderation/cases/next", {}, format="json").json()
    found = [facts["content"][name] for name in ("media_url", "thumbnail_url", "media_elsewhere")]
    assert found == ([f"{address}.mp4", f"{address}.jpg", ""] if named else ["", "", "https://cdn.example.com"])


def test_a_moderator_takes_a_case_sees_the_facts_decides_and_undoes(staff):
    clip(media_url="javascript:alert(1)")
    moderation_reports.report(
        moderation_reports.subject_of("content", "c1"), reporter_id="r1", reason="hate", now=NOW, details="<b>look</b>"
    )
    ann = staff("moderator")
    facts = ann.post("/api/v1/moderation/cases/next", {}, format="json").json()
    assert facts["subject"] == {"kind": "content", "id": "c1", "author_id": "creator"}
    assert facts["reported"][0]["details"] == ["<b>look</b>"]
    assert facts["content"]["media_url"] == ""
    assert facts["author"]["strikes"] == 0
    assert facts["claimed"] is True
    assert "r1" not in json.dumps(facts)
    path = f"/api/v1/moderation/cases/{facts['case_id']}/decisions"
    body = {"kinds": ["remove", "strike"], "policy": "hate", "version": facts["version"]}
    made = ann.post(path, body, format="json")
    assert made.status_code == 201
    assert queries.content("c1")["status"] == "removed"
    assert ann.post("/api/v1/moderation/cases/next", {}, format="json").status_code == 204
    assert code(ann.post(path, body, format="json")) == (409, "stale_case")
    undo = f"/api/v1/moderation/decisions/{made.json()['decision_id']}/undo"
    assert code(staff("moderator", "bob").post(undo, {}, format="json")) == (403, "not_your_decision")
    assert ann.post(undo, {}, format="json").json()["status"] == "open"
    assert queries.content("c1")["status"] == "active"
    assert code(ann.post(undo, {}, format="json")) == (409, "already_taken_back")


def test_what_a_colleague_holds_is_theirs(staff):
    clip()
    report()
    ann, bob = staff("moderator", "ann"), staff("moderator", "bob")
    case_id = ann.post("/api/v1/moderation/cases/next", {}, format="json").json()["case_id"]
    assert code(bob.put(f"/api/v1/moderation/cases/{case_id}/claim")) == (409, "claimed_by_other")
    assert bob.delete(f"/api/v1/moderation/cases/{case_id}/claim").status_code == 204
    assert code(bob.put(f"/api/v1/moderation/cases/{case_id}/claim")) == (409, "claimed_by_other")
    assert ann.delete(f"/api/v1/moderation/cases/{case_id}/claim").status_code == 204
    assert bob.put(f"/api/v1/moderation/cases/{case_id}/claim").status_code == 200


def test_an_appeal_is_judged_by_somebody_else_over_http(staff, as_user):
    clip()
    report()
    ann, bob = staff("moderator", "ann"), staff("moderator", "bob")
    case = case_of()
    body = {"kinds": ["remove"], "policy": "spam", "version": case.version}
    made = ann.post(f"/api/v1/moderation/cases/{case.case_id}/decisions", body, format="json").json()["decision_id"]
    as_user("creator").post("/api/v1/appeals", {"decision_id": made, "text": "It is satire."}, format="json")
    assert ann.post("/api/v1/moderation/cases/next", {}, format="json").status_code == 204
    facts = bob.post("/api/v1/moderation/cases/next", {}, format="json").json()
    assert facts["appeal"]["text"] == "It is satire."
    path = f"/api/v1/moderation/decisions/{made}/appeal"
    assert code(ann.post(path, {"upheld": True}, format="json")) == (403, "own_decision")
    assert bob.post(path, {"upheld": False}, format="json").json()["shown_status"] == "active"


def test_a_lead_decides_many_and_undoes_them(staff):
    for number in range(3):
        clip(f"c{number}")
        report(f"c{number}")
    lead = staff("moderation lead")
    listed = lead.get("/api/v1/moderation/cases?view=open").json()["items"]
    cases = [{"case_id": each["case_id"], "version": each["version"]} for each in listed]
    body = {"kinds": ["hide"], "policy": "spam", "cases": cases}
    done = lead.post("/api/v1/moderation/bulk", body, format="json").json()
    assert list(done["results"].values()) == ["", "", ""]
    assert queries.eligible_cards(["c0", "c1", "c2"]) == {}
    undone = lead.post(f"/api/v1/moderation/bulk/{done['batch']}/undo").json()
    assert list(undone["results"].values()) == ["", "", ""]
    assert len(queries.eligible_cards(["c0", "c1", "c2"])) == 3


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("cases/next", {"skip": ["x"]}),
        ("cases/next", {"skip": [10**30]}),
        ("cases/1/decisions", {}),
        ("cases/1/decisions", {"kinds": ["ban"], "version": 0}),
        ("cases/1/decisions", {"kinds": ["hide"], "version": 0, "policy": "spam", "duration_h": -1}),
        ("cases/1/decisions", {"kinds": ["hide"], "version": 0, "policy": "spam", "actor_id": 7}),
        ("bulk", {"kinds": ["hide"], "policy": "spam", "cases": []}),
    ],
)
def test_wrong_bodies_are_400_with_a_name(staff, path, body):
    answer = staff("admin").post(f"/api/v1/moderation/{path}", body, format="json")
    assert answer.status_code == 400, answer.content
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("cases/99/decisions", {"kinds": ["approve"], "version": 0}),
        (f"decisions/{OTHERS}/undo", {}),
        (f"decisions/{OTHERS}/appeal", {"upheld": True}),
        (f"bulk/{OTHERS}/undo", {}),
    ],
)
def test_what_does_not_exist_is_404(staff, path, body):
    client = staff("admin")
    assert code(client.post(f"/api/v1/moderation/{path}", body, format="json")) == (404, "not_found")
    assert code(client.get("/api/v1/moderation/cases/99")) == (404, "not_found")


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("open", {"c0", "c2", "c3", "c4"}), ("escalated", {"c1"}), ("appeals", {"c2"}), ("hidden", {"c3"}),
        ("late", {"c0"}), ("mine", {"c4"}), ("closed", {"c5"}),
    ],
)  # fmt: skip
def test_each_view_of_the_queue_holds_its_own(staff, view, expected):
    now = timezone.now()
    for number in range(6):
        clip(f"c{number}")
        report(f"c{number}", now=now - timedelta(hours=1 if number else 25))
    decide(case_of("c1"), "escalate", now=now)
    made = decide(case_of("c2"), "hide", now=now)
    moderation_appeals.appeal(made, author_id="creator", text="no", now=now)
    for number in range(2, 8):
        report("c3", f"r{number}", now=now)
    client = staff("moderation lead")
    moderation.claim(case_of("c4").case_id, moderation.Moderator(client.user.pk), now=now)
    decide(case_of("c5"), "approve", by=ANN, now=now)
    listed = client.get(f"/api/v1/moderation/cases?view={view}").json()["items"]
    assert {each["subject"]["id"] for each in listed} == expected
