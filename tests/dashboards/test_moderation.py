"""The moderation queue: who gets which case, what a decision does to the catalogue, and that it can be taken back."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from dashboards import moderation, moderation_log
from dashboards.moderation import Decision, Moderator
from dashboards.moderation_models import ModerationAction, ModerationCase
from events import queries
from events.cleaning.audience import Audience
from events.errors import Conflict, Forbidden, InvalidRequest, NotFound
from tests.dashboards.cases import ANN, BOB, LEAD, NOW, case_of, clip, decide, report

pytestmark = pytest.mark.django_db

ADULT, CHILD = Audience(30, "DE"), Audience(12, "DE")


def shown(content_id="c1", audience=ADULT):
    """Whether feeds may show a content, by both of the queries that they ask."""
    cards = content_id in queries.eligible_cards([content_id], audience)
    assert cards == (content_id in queries.newest_contents(10, audience))
    return cards


@pytest.fixture
def case():
    clip()
    report()
    return case_of()


@pytest.mark.parametrize("statement", ["UPDATE moderation_action SET note = 'x'", "DELETE FROM moderation_action"])
def test_the_log_refuses_to_be_changed(case, statement):
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert ModerationAction.objects.count() == 1


def test_the_log_refuses_to_be_emptied():
    with transaction.atomic(), connection.cursor() as cursor:
        # Tests of other kinds empty their tables, so it is off in the test database; this is the product's state.
        cursor.execute("ALTER TABLE moderation_action ENABLE TRIGGER moderation_action_keep")
        with pytest.raises(DatabaseError, match="TRUNCATE is refused"), transaction.atomic():
            cursor.execute("TRUNCATE moderation_action")
        cursor.execute("ALTER TABLE moderation_action DISABLE TRIGGER moderation_action_keep")


@pytest.mark.parametrize(
    ("kind", "status", "adult", "child"),
    [
        ("hide", "hidden", False, False),
        ("remove", "removed", False, False),
        ("age_restrict", "active", True, False),
        ("feed_ineligible", "active", False, False),
        ("approve", "active", True, True),
    ],
)
def test_a_decision_reaches_the_next_response_and_undo_brings_back_what_was(case, kind, status, adult, child):
    assert shown()
    made = decide(case, kind)
    assert queries.content("c1")["status"] == status
    assert (shown(), shown(audience=CHILD)) == (adult, child)
    moderation.undo(made, ANN, now=NOW)
    assert shown()
    assert shown(audience=CHILD)
    assert case_of().status == "open"


def test_a_block_holds_in_its_countries_and_where_nobody_knows_the_country(case):
    decide(case, "geo_block", countries=("de", "at"))
    assert not shown(audience=Audience(30, "DE"))
    assert shown(audience=Audience(30, "FR"))
    assert not shown(audience=Audience(30))


def test_what_the_host_app_sends_again_takes_no_restriction_back(case):
    decide(case, "age_restrict", "feed_ineligible")
    clip()
    assert not shown()
    assert queries.content("c1")["imposed_age_rating"] == "18"


def test_undo_restores_the_prior_state_and_not_just_active():
    clip(status="hidden")
    report()
    made = decide(case_of(), "remove")
    assert queries.content("c1")["status"] == "removed"
    moderation.undo(made, ANN, now=NOW)
    assert queries.content("c1")["status"] == "hidden"


def test_taking_back_the_earlier_of_two_decisions_leaves_the_later(case):
    first = decide(case, "hide")
    decide(case, "feed_ineligible")
    moderation.undo(first, ANN, now=NOW)
    content = queries.content("c1")
    assert (content["status"], content["feed_eligible"]) == ("active", False)


def test_a_suspension_takes_every_content_of_the_author_away_until_its_end(case):
    clip("c2")
    clip("other", "somebody else")
    now = timezone.now()  # whether it is over is judged by the database's clock
    made = decide(case, "suspend", duration_h=24, now=now)
    assert (shown("c1"), shown("c2"), shown("other")) == (False, False, True)
    moderation.undo(made, ANN, now=now)
    assert shown("c2")


def test_a_suspension_that_is_over_counts_for_nothing_before_anybody_tidies_up(case):
    decide(case, "suspend", duration_h=1, now=NOW - timedelta(days=4000))
    assert shown("c1")


def test_a_removal_with_a_strike_is_one_decision_and_is_undone_as_one(case):
    made = decide(case, "remove", "strike")
    assert moderation_log.author_standing("creator", now=NOW).strikes == 1
    moderation.undo(made, ANN, now=NOW)
    assert moderation_log.author_standing("creator", now=NOW).strikes == 0
    assert shown()


def test_strikes_expire_by_themselves_and_by_the_clock_of_the_reader(case):
    decide(case, "strike")
    assert moderation_log.author_standing("creator", now=NOW + timedelta(days=89)).strikes == 1
    assert moderation_log.author_standing("creator", now=NOW + timedelta(days=91)).strikes == 0
    assert moderation.expire_due(now=NOW + timedelta(days=91)) == 1
    assert moderation.expire_due(now=NOW + timedelta(days=91)) == 0


def test_a_timed_hide_ends_and_the_case_stays_closed(case):
    decide(case, "hide", duration_h=24)
    assert moderation.expire_due(now=NOW + timedelta(hours=23)) == 0
    assert not shown()
    assert moderation.expire_due(now=NOW + timedelta(hours=24)) == 1
    assert shown()
    assert case_of().status == "closed"


def test_next_gives_the_most_urgent_case_and_nobody_elses(case):
    clip("c2")
    report("c2", reason="self_harm")
    assert moderation.claim_next(ANN, now=NOW).subject_id == "c2"
    assert moderation.claim_next(BOB, now=NOW).subject_id == "c1"
    assert moderation.claim_next(LEAD, now=NOW) is None
    assert moderation.claim_next(ANN, now=NOW).subject_id == "c2"


def test_a_lease_that_is_over_returns_the_case(case):
    moderation.claim_next(ANN, now=NOW)
    later = NOW + moderation.LEASE
    assert moderation.claim_next(BOB, now=later - timedelta(seconds=1)) is None
    assert moderation.claim_next(BOB, now=later).subject_id == "c1"
    with pytest.raises(Conflict) as refusal:
        decide(case, "hide", by=ANN, now=later)
    assert refusal.value.code == "claimed_by_other"


def test_a_skipped_case_goes_to_somebody_else(case):
    assert moderation.claim_next(ANN, now=NOW, skip=[case.case_id]) is None
    moderation.claim_next(ANN, now=NOW)
    moderation.release(case.case_id, ANN)
    assert moderation.claim_next(BOB, now=NOW) is not None


def test_a_decision_on_an_older_version_changes_nothing(case):
    old = case.version
    decide(case, "hide")
    with pytest.raises(Conflict) as refusal:
        moderation.decide(case.case_id, Decision(("remove",), policy="spam"), BOB, version=old, now=NOW)
    assert refusal.value.code == "stale_case"
    assert queries.content("c1")["status"] == "hidden"


def test_reports_that_come_meanwhile_make_no_decision_stale(case):
    old = case.version
    report(reporter="r2")
    moderation.decide(case.case_id, Decision(("hide",), policy="spam"), ANN, version=old, now=NOW)
    assert not shown()


def test_only_a_lead_decides_what_was_escalated(case):
    decide(case, "escalate")
    assert moderation.claim_next(BOB, now=NOW) is None
    with pytest.raises(Forbidden):
        decide(case, "remove", by=BOB)
    assert moderation.claim_next(LEAD, now=NOW).subject_id == "c1"
    decide(case, "remove", by=LEAD)
    assert case_of().status == "closed"


def test_only_who_decided_or_a_lead_takes_a_decision_back_and_only_once(case):
    made = decide(case, "hide")
    with pytest.raises(Forbidden):
        moderation.undo(made, BOB, now=NOW)
    moderation.undo(made, LEAD, now=NOW)
    with pytest.raises(Conflict):
        moderation.undo(made, ANN, now=NOW)
    with pytest.raises(NotFound):
        moderation.undo(uuid4(), ANN, now=NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kinds": ()},
        {"kinds": ("ban",), "policy": "spam"},
        {"kinds": ("hide", "hide"), "policy": "spam"},
        {"kinds": ("approve", "strike"), "policy": "spam"},
        {"kinds": ("hide",)},
        {"kinds": ("hide",), "policy": "ugly"},
        {"kinds": ("hide",), "policy": "spam", "duration_h": 0},
        {"kinds": ("hide",), "policy": "spam", "countries": ("DE",)},
        {"kinds": ("geo_block",), "policy": "spam"},
        {"kinds": ("geo_block",), "policy": "spam", "countries": ("Germany",)},
        {"kinds": ("hide",), "policy": "spam", "note": "x" * 2001},
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_by_name(wrong):
    with pytest.raises(InvalidRequest) as refusal:
        Decision(**wrong)
    assert refusal.value.code == "invalid_decision"


def test_a_kind_that_does_not_fit_the_subject_is_refused():
    clip()
    report("creator", kind="user")
    with pytest.raises(InvalidRequest, match="hide is for content, comment"):
        decide(case_of("creator", "user"), "hide")


def test_a_bulk_action_tells_each_result_and_is_undone_at_once():
    for number in range(5):
        clip(f"c{number}")
        report(f"c{number}")
    cases = list(ModerationCase.objects.order_by("subject_id"))
    moderation.claim(cases[4].case_id, BOB, now=NOW)
    versions = {case.case_id: case.version for case in cases}
    done = moderation.decide_many(versions, Decision(("remove",), policy="spam"), ANN, now=NOW)
    assert list(done.results.values()) == ["", "", "", "", "claimed_by_other"]
    assert [shown(f"c{number}") for number in range(5)] == [False] * 4 + [True]
    undone = moderation.undo_many(done.batch, ANN, now=NOW)
    assert list(undone.results.values()) == [""] * 4
    assert all(shown(f"c{number}") for number in range(5))
    assert set(moderation.undo_many(done.batch, ANN, now=NOW).results.values()) == {"already_taken_back"}
    with pytest.raises(InvalidRequest):
        moderation.decide_many({}, Decision(("approve",)), ANN, now=NOW)
    with pytest.raises(NotFound):
        moderation.undo_many(uuid4(), Moderator(9), now=NOW)


def test_a_bulk_action_goes_on_under_its_batch_and_never_under_that_of_another():
    for number in range(4):
        clip(f"c{number}")
        report(f"c{number}")
    cases = list(ModerationCase.objects.order_by("subject_id"))
    hide = Decision(("hide",), policy="spam")
    first = moderation.decide_many({case.case_id: case.version for case in cases[:2]}, hide, ANN, now=NOW)
    rest = {case.case_id: case.version for case in cases[2:]}
    with pytest.raises(Forbidden, match="somebody else"):
        moderation.decide_many(rest, hide, BOB, now=NOW, batch=first.batch)
    with pytest.raises(InvalidRequest, match="200 cases; got 201"):
        moderation.decide_many(dict.fromkeys(range(199), 0), hide, ANN, now=NOW, batch=first.batch)
    assert moderation.decide_many(rest, hide, ANN, now=NOW, batch=first.batch).batch == first.batch
    assert not any(shown(f"c{number}") for number in range(4))
    assert list(moderation.undo_many(first.batch, ANN, now=NOW).results.values()) == [""] * 4
    assert all(shown(f"c{number}") for number in range(4))


def test_replaying_the_log_from_nothing_gives_the_same_rows(case):
    clip("c2")
    report("c2", "r2", "hate")
    decide(case, "remove", "strike")
    moderation.undo(decide(case_of("c2"), "suspend", by=BOB), BOB, now=NOW)
    rows = list(ModerationCase.objects.order_by("case_id").values())
    assert moderation_log.replay(now=NOW) == 2
    assert list(ModerationCase.objects.order_by("case_id").values()) == rows
