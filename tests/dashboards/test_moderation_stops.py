"""Whoever is stopped learns of it and why, and can object; the log, the stop and the feed never disagree."""

from datetime import timedelta

import pytest

from dashboards import moderation, moderation_appeals, moderation_log, moderation_stops
from dashboards.moderation import Moderator
from dashboards.moderation_models import ModerationAction
from events import queries, stops
from events.catalogue import NewContent, register_content
from events.errors import Forbidden, InvalidRequest
from tests.dashboards.cases import ANN, LEAD, NOW, case_of, clip, decide, report

pytestmark = pytest.mark.django_db
OTHER_LEAD = Moderator(4, lead=True)
PATH = "/api/v1/users/{}/decisions"


def stop(kind, value, **told):
    return moderation_stops.start(
        kind, value, policy="dangerous_acts", reason="two accidents", by=LEAD, now=NOW, **told
    )


@pytest.mark.parametrize(("kind", "value", "subject"), [("creator", "creator", "user"), ("content", "c1", "content")])
def test_a_stopped_creator_is_told_objects_and_is_back_when_the_appeal_is_granted(as_user, kind, value, subject):
    clip()
    made = stop(kind, value)
    assert stop(kind, value).pk == made.pk
    assert queries.eligible(["c1"]) == set()
    (told,) = as_user("creator").get(PATH.format("creator")).json()["items"]
    assert (told["subject_kind"], told["subject_id"], told["state"], told["appeal"]) == (
        subject, value, "in_force", "none",
    )  # fmt: skip
    (statement,) = told["statements"]
    assert "in an emergency. It invites people to do what may injure them." in statement["explanation"]
    assert statement["decision_visibility"] == "DECISION_VISIBILITY_CONTENT_DISABLED"
    assert "accidents" not in str(told)
    body = {"decision_id": told["decision_id"], "text": "it was somebody else"}
    assert as_user("creator").post("/api/v1/appeals", body, format="json").status_code == 201
    decision = ModerationAction.objects.get(kind="stop").decision_id
    for who, why in ((LEAD, "somebody else"), (ANN, "by a lead")):
        with pytest.raises(Forbidden, match=why):
            moderation_appeals.answer(decision, who, upheld=False, now=NOW)
    moderation_appeals.answer(decision, OTHER_LEAD, upheld=False, now=NOW)
    assert queries.eligible(["c1"]) == {"c1"}
    assert [each.lifted_by for each in stops.listed(limit=5)] == [OTHER_LEAD.id]
    (told,) = as_user("creator").get(PATH.format("creator")).json()["items"]
    assert (told["state"], told["appeal"]) == ("taken_back", "overturned")


def test_lifting_a_stop_ends_what_the_creator_was_told_and_undo_of_the_entry_lifts_the_stop():
    clip()
    first = stop("creator", "creator")
    moderation_stops.lift(first.pk, by=LEAD, now=NOW + timedelta(hours=1))
    assert [each.state for each in moderation_appeals.decisions_of("creator")] == ["taken_back"]
    stop("creator", "creator")
    assert [each.state for each in moderation_appeals.decisions_of("creator")] == ["in_force", "taken_back"]
    newest = ModerationAction.objects.filter(kind="stop").latest("id")
    moderation.undo(newest.decision_id, LEAD, now=NOW)
    assert all(each.lifted_at for each in stops.listed(limit=5))
    assert queries.eligible(["c1"]) == {"c1"}


def test_a_stop_answers_no_report_and_changes_nothing_else_of_the_case():
    clip()
    report()
    before = case_of()
    made = stop("content", "c1")
    case = case_of()
    assert (case.status, case.reports, case.shown_status) == ("open", 1, "active")
    assert case.version > before.version
    decide(case, "remove")
    moderation_stops.lift(made.pk, by=LEAD, now=NOW)
    assert case_of().shown_status == "removed"
    rows = case_of().__dict__ | {"_state": None}
    moderation_log.replay(now=NOW)
    assert case_of().__dict__ | {"_state": None} == rows | {"claimed_by": None, "claim_expires_at": None}


def test_whoever_has_contents_with_a_stopped_tag_or_sound_is_told_and_nobody_else(as_user, server):
    register_content(NewContent("one", "ann", NOW, {"tags": ["#Roof", "sea"], "sound_id": "song"}))
    register_content(NewContent("two", "bob", NOW, {"tags": "roof", "sound_id": 7}))
    tag, sound = stop("tag", "ROOF"), stop("sound", "song")
    items = as_user("ann").get(PATH.format("ann")).json()["items"]
    assert {(each["subject_kind"], each["subject_id"], each["state"]) for each in items} == {
        ("tag", "roof", "in_force"), ("sound", "song", "in_force"),
    }  # fmt: skip
    assert "It ends when the danger is over." in items[0]["statements"][0]["explanation"]
    assert as_user("bob").get(PATH.format("bob")).json()["items"] == []
    for each in (tag, sound):
        moderation_stops.lift(each.pk, by=LEAD, now=NOW)
    told = server.get(PATH.format("ann")).json()["items"]
    assert {each["state"] for each in told} == {"taken_back"}
    assert moderation_stops.told_to("ann", now=NOW + timedelta(days=400)) == []


def test_what_nobody_registered_can_be_stopped_and_a_policy_must_be_one():
    stop("content", "later")
    assert not ModerationAction.objects.exists()
    with pytest.raises(InvalidRequest, match="policy must be one of"):
        moderation_stops.start("tag", "sea", policy="bad", reason="x", by=LEAD, now=NOW)
