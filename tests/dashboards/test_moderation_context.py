"""What a case shows beside its reports: the automatic check, what is like it, saved views, and what is withheld."""

import pytest

from dashboards import hash_lists, screening
from tests.dashboards.cases import NOW, case_of, decide, report
from tests.dashboards.test_screening import FRAMES, seen, upload

pytestmark = pytest.mark.django_db
CASES = "/api/v1/moderation/cases"
VIEWS = "/api/v1/moderation/views"


def test_a_case_tells_the_verdict_of_the_check_with_rules_numbers_and_versions(staff):
    upload(caption="you stupid fucking bitch, kill yourself")
    screening.screen_due(now=NOW)
    shown = staff("moderator").get(f"{CASES}/{case_of().case_id}").json()
    assert shown["screening"]["verdict"] == "quarantine"
    assert "abuse-certain 1" in shown["screening"]["rules"]
    assert shown["screening"]["signals"]["text_abuse"] > 0.97
    assert shown["screening"]["versions"]["text_abuse"].startswith("alt-profanity-check")
    assert shown["flags"]["harassment"] > 0.97


def test_a_case_names_contents_of_the_same_file_picture_or_words(staff):
    words = "the very same long caption of a clip"
    upload("c1", caption=words, media=seen())
    upload("same-picture", creator="b", caption="other words of somebody else here", media=seen(hashes=FRAMES[:1]))
    upload("same-words", creator="c", caption=words)
    upload("unlike", creator="d", caption="something else entirely from all the others")
    screening.screen_due(now=NOW)
    report("c1")
    shown = staff("moderator").get(f"{CASES}/{case_of().case_id}").json()
    assert {each["content_id"]: each["why"] for each in shown["similar"]} == {
        "same-picture": "the same picture", "same-words": "the same words",
    }  # fmt: skip


def test_what_a_list_names_as_abuse_of_children_is_shown_to_nobody(staff):
    frames = " ".join(f"{each & (2**64 - 1):016x}" for each in FRAMES)
    hash_lists.import_list("hotline", [f"x,,{frames}"], policy="child_safety", origin="a hotline", now=NOW)
    upload("c1", media=seen())
    screening.screen_due(now=NOW)
    content = staff("moderation lead").get(f"{CASES}/{case_of().case_id}").json()["content"]
    assert (content["media_url"], content["thumbnail_url"], content["media_withheld"]) == ("", "", True)
    upload("c2", creator="b", caption="harmless", media=seen(hashes=[FRAMES[0] ^ 0x5A5A5A5A5A5A]))
    screening.screen_due(now=NOW)
    report("c2", reason="child_safety")
    content = staff("moderator").get(f"{CASES}/{case_of('c2').case_id}").json()["content"]
    assert content["media_url"] == "/media/c2.mp4"


def test_the_list_can_be_narrowed_and_refuses_what_it_does_not_know(staff):
    client = staff("moderator")
    upload("flagged", caption="cheap followers at a.shop b.shop and c.shop")
    upload("reported", creator="mara")
    screening.screen_due(now=NOW)
    report("reported", reason="threat")
    asked = {
        "": {"flagged", "reported"}, "policy=spam": {"flagged"}, "policy=threat": {"reported"}, "kind=user": set(),
        "least_priority=70": {"reported"}, "author_id=mara": {"reported"}, "view=flagged": {"flagged"},
        "view=hidden": set(),
    }  # fmt: skip
    for query, ids in asked.items():
        items = client.get(f"{CASES}?{query}").json()["items"]
        assert {each["subject"]["id"] for each in items} == ids, query
    for query in ("policy=any", "kind=page", "least_priority=-1", "least_priority=101", "colour=red", "author_id=%00"):
        assert client.get(f"{CASES}?{query}").status_code == 400, query
    decide(case_of("flagged"), "approve")
    assert client.get(f"{CASES}?view=flagged").json()["items"] == []


def test_saved_views_are_ones_own(staff):
    ann, bob = staff("moderator", "ann"), staff("moderator", "bob")
    body = {"name": "urgent spam", "params": {"view": "open", "policy": "spam", "least_priority": 20}}
    made = ann.post(VIEWS, body, format="json")
    assert made.status_code == 201
    assert ann.get(VIEWS).json()["items"] == [{"view_id": made.json()["view_id"], **body}]
    assert bob.get(VIEWS).json()["items"] == []
    assert ann.post(VIEWS, body, format="json").status_code == 409
    assert bob.delete(f"{VIEWS}/{made.json()['view_id']}").status_code == 404
    assert ann.delete(f"{VIEWS}/{made.json()['view_id']}").status_code == 204
    for wrong in ({**body, "params": {"colour": "red"}}, {**body, "params": {"policy": "any"}}, {**body, "name": ""}):
        assert ann.post(VIEWS, wrong, format="json").status_code == 400
    for number in range(30):
        ann.post(VIEWS, {**body, "name": str(number)}, format="json")
    assert ann.post(VIEWS, body, format="json").json()["error"]["code"] == "too_many_views"
