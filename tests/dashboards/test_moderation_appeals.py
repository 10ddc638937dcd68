"""What authors see of decisions about them, and how they object."""

from datetime import timedelta
from uuid import uuid4

import pytest

from dashboards import moderation, moderation_appeals, moderation_log
from dashboards.moderation_appeals import decisions_of
from events import queries
from events.errors import Conflict, Forbidden, InvalidRequest, NotFound
from tests.dashboards.cases import ANN, BOB, NOW, case_of, clip, decide, report

pytestmark = pytest.mark.django_db


@pytest.fixture
def removed():
    """The id of a decision that removed a clip and gave a strike."""
    clip()
    report()
    return decide(case_of(), "remove", "strike", note="seen before", duration_h=None)


def appeal(decision_id, *, by="creator", text="It is satire.", now=NOW):
    return moderation_appeals.appeal(decision_id, author_id=by, text=text, now=now)


def test_an_author_reads_the_reasons_and_nothing_of_who_decided_or_reported(removed):
    (seen,) = decisions_of("creator")
    assert (seen.decision_id, seen.state, seen.appeal) == (removed, "in_force", "none")
    removal, strike = seen.statements
    assert removal["decision_visibility"] == "DECISION_VISIBILITY_CONTENT_REMOVED"
    assert removal["source_type"] == "SOURCE_ARTICLE_16"
    assert removal["automated_decision"] == "NOT_AUTOMATED"
    assert strike["end_date"] == NOW + moderation.STRIKE_FOR
    text = str(seen)
    assert "seen before" not in text
    assert "r1" not in text
    assert len({each["puid"] for each in seen.statements}) == 2


def test_what_the_system_hid_is_told_as_automated():
    clip()
    for number in range(6):
        report(reporter=f"r{number}")
    (seen,) = decisions_of("creator")
    assert seen.statements[0]["automated_decision"] == "AUTOMATED_DECISION_FULLY"


def test_an_appeal_goes_to_somebody_else(removed):
    appeal(removed)
    assert case_of().status == "open"
    assert moderation.claim_next(ANN, now=NOW) is None
    assert moderation.claim_next(BOB, now=NOW).subject_id == "c1"
    with pytest.raises(Forbidden) as refusal:
        moderation_appeals.answer(removed, ANN, upheld=True, now=NOW)
    assert refusal.value.code == "own_decision"


def test_overturning_restores_the_content_and_the_strike(removed):
    appeal(removed)
    moderation_appeals.answer(removed, BOB, upheld=False, now=NOW)
    assert set(queries.eligible_cards(["c1"])) == {"c1"}
    assert moderation_log.author_standing("creator", now=NOW).strikes == 0
    (seen,) = decisions_of("creator")
    assert (seen.state, seen.appeal) == ("taken_back", "overturned")
    assert case_of().status == "closed"


def test_upholding_changes_nothing_but_the_answer(removed):
    appeal(removed)
    moderation_appeals.answer(removed, BOB, upheld=True, now=NOW)
    assert queries.content("c1")["status"] == "removed"
    assert decisions_of("creator")[0].appeal == "upheld"
    assert case_of().status == "closed"
    with pytest.raises(Conflict):
        moderation_appeals.answer(removed, BOB, upheld=False, now=NOW)


def test_an_appeal_against_what_is_over_waits_for_nobody():
    clip()
    report()
    made = decide(case_of(), "hide", duration_h=1)
    appeal(made)
    moderation.expire_due(now=NOW + timedelta(hours=1))
    assert case_of().status == "closed"
    assert (decisions_of("creator")[0].state, decisions_of("creator")[0].appeal) == ("expired", "closed")


def test_a_decision_is_appealed_once_in_time_by_its_author(removed):
    first = appeal(removed)
    assert appeal(removed).appeal_id == first.appeal_id
    with pytest.raises(Conflict) as refusal:
        appeal(removed, text="And another thing.")
    assert refusal.value.code == "already_appealed"
    with pytest.raises(NotFound):
        appeal(removed, by="somebody else")
    with pytest.raises(NotFound):
        appeal(uuid4())
    with pytest.raises(InvalidRequest):
        appeal(removed, text="  ")


def test_an_appeal_that_comes_too_late_is_refused(removed):
    with pytest.raises(Conflict) as refusal:
        appeal(removed, now=NOW + timedelta(days=184))
    assert refusal.value.code == "too_late"


def test_only_a_waiting_appeal_is_answered(removed):
    with pytest.raises(NotFound):
        moderation_appeals.answer(removed, BOB, upheld=True, now=NOW)
