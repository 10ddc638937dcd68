"""Reports: one per person, weighed, hidden at a threshold, and a crowd that does not outrank one grave case."""

import uuid
from datetime import timedelta

import pytest

from dashboards import moderation, moderation_reports
from dashboards.moderation_models import ModerationAction, ModerationCase, Report
from dashboards.moderation_reports import HIDDEN_FOR, weigh_reporter
from events import queries
from events.errors import InvalidRequest, NotFound
from events.ingestion import ingest
from tests.dashboards.cases import ANN, NOW, case_of, clip, decide, known_since, report

pytestmark = pytest.mark.django_db


def test_the_same_person_counts_once_and_may_add_details():
    clip()
    first = report()
    again = moderation_reports.report(
        moderation_reports.subject_of("content", "c1"), reporter_id="r1", reason="hate", now=NOW, details="look at 0:05"
    )
    assert (first.new, again.new, again.report_id) == (True, False, first.report_id)
    assert case_of().reports == 1
    assert Report.objects.get().details == "look at 0:05"
    assert Report.objects.get().reason == "spam"


@pytest.mark.parametrize("trolls", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_crowd_of_untrusted_reports_does_not_outrank_one_grave_case(trolls):
    clip("brigaded")
    clip("grave")
    for number in range(trolls):
        report("brigaded", f"troll-{number}")
    report("grave", "somebody", "child_safety")
    brigaded, grave = case_of("brigaded"), case_of("grave")
    assert brigaded.reports == trolls
    assert brigaded.held
    assert grave.priority > brigaded.priority
    assert grave.priority == pytest.approx(sum(grave.priority_parts.values()))
    assert moderation.claim_next(ANN, now=NOW).subject_id == "grave"


def test_enough_weight_from_enough_people_hides_until_somebody_looks():
    clip()
    for number in range(5):
        assert not report(reporter=f"r{number}").hidden
    assert report(reporter="r5").hidden
    assert queries.eligible_cards(["c1"]) == {}
    hidden = ModerationAction.objects.get(kind="auto_hide")
    assert (hidden.actor_id, hidden.expires_at) == (None, NOW + HIDDEN_FOR)
    assert case_of().priority > 40


def test_a_human_who_approves_shows_it_again_and_the_same_crowd_cannot_hide_it_twice():
    clip()
    for number in range(6):
        report(reporter=f"r{number}")
    decide(case_of(), "approve")
    assert set(queries.eligible_cards(["c1"])) == {"c1"}
    report(reporter="r0")
    assert case_of().status == "closed"


def test_what_nobody_looked_at_is_shown_again_and_stays_in_the_queue():
    clip()
    for number in range(6):
        report(reporter=f"r{number}")
    assert moderation.expire_due(now=NOW + HIDDEN_FOR) == 1
    assert set(queries.eligible_cards(["c1"])) == {"c1"}
    assert case_of().status == "open"
    assert not report(reporter="r7", now=NOW + HIDDEN_FOR).hidden


@pytest.mark.parametrize(("how", "hides_at"), [("high", 3), ("medium", 6), ("low", 12), ("off", None)])
def test_the_switch_says_how_readily_reports_hide(settings, how, hides_at):
    settings.AUTO_HIDE = how
    clip()
    hidden = [number for number in range(1, 14) if report(reporter=f"r{number}").hidden]
    assert hidden[:1] == ([hides_at] if hides_at else [])


def test_two_people_hide_nothing_however_trusted(settings):
    settings.AUTO_HIDE = "high"
    clip()
    for name in ("r1", "r2"):
        known_since(name, 400)
        Report.objects.bulk_create(
            Report(
                subject_kind="content", subject_id=f"old-{name}-{number}", reporter_id=name, reason="spam", weight=0.5,
                entry_id=0, reported_at=NOW, outcome="agreed",
            )
            for number in range(50)
        )  # fmt: skip
        assert weigh_reporter(name, now=NOW) > 0.9
        assert not report(reporter=name).hidden


def test_a_creator_whom_no_crowd_may_hide(settings):
    settings.AUTO_HIDE_NEVER = frozenset({"creator"})
    clip()
    assert not any(report(reporter=f"r{number}").hidden for number in range(20))


def test_being_right_raises_the_weight_of_a_reporter_and_undoing_lowers_it_again():
    known_since("r1", 30)
    clip()
    report()
    before = weigh_reporter("r1", now=NOW)
    made = decide(case_of(), "remove")
    assert weigh_reporter("r1", now=NOW) > before
    moderation.undo(made, ANN, now=NOW)
    assert weigh_reporter("r1", now=NOW) == before
    decide(case_of(), "approve")
    assert weigh_reporter("r1", now=NOW) < before


def test_a_newcomer_counts_at_most_half():
    known_since("new", 1)
    Report.objects.create(
        subject_kind="content", subject_id="x", reporter_id="new", reason="spam", weight=0.5, entry_id=0,
        reported_at=NOW, outcome="agreed",
    )  # fmt: skip
    assert weigh_reporter("new", now=NOW) == 0.5
    assert weigh_reporter("new", now=NOW + timedelta(days=30)) > 0.5


def test_reports_of_the_log_reach_the_queue_once_late_ones_too():
    clip()
    events = [
        {
            "event_id": str(uuid.uuid4()), "event_type": "report", "user_id": user, "content_id": content,
            "reason": reason, "timestamp": at.isoformat(),
        }
        for user, content, reason, at in (
            ("r1", "c1", "Hate", NOW), ("r1", "c1", "spam", NOW + timedelta(minutes=1)), ("r2", "c1", "ugly", NOW),
            ("creator", "c1", "spam", NOW), ("r3", "unknown", "spam", NOW),
        )
    ]  # fmt: skip
    assert ingest(events, now=NOW + timedelta(minutes=2), source="test").accepted == 5
    until = NOW + timedelta(minutes=10)
    assert moderation_reports.take_reports(until=until) == 2
    assert moderation_reports.take_reports(until=until) == 0
    assert case_of().reasons == {"hate": 1, "other": 1}
    late = {**events[0], "event_id": str(uuid.uuid4()), "user_id": "r9"}
    late["timestamp"] = (NOW - timedelta(days=2)).isoformat()
    ingest([late], now=until, source="test")
    assert moderation_reports.take_reports(until=until) == 1
    assert ModerationCase.objects.count() == 1


def test_comments_and_users_can_be_reported():
    comment = str(uuid.uuid4())
    said = {
        "event_id": comment, "event_type": "comment", "user_id": "ann", "content_id": "c1", "comment_text": "rude",
        "timestamp": NOW.isoformat(),
    }  # fmt: skip
    ingest([said], now=NOW, source="test")
    report(comment, kind="comment")
    report("ann", kind="user")
    assert case_of(comment, "comment").author_id == "ann"
    decide(case_of(comment, "comment"), "remove", "suspend")
    assert queries.suspended_until("ann")[0]


@pytest.mark.parametrize(
    ("kind", "unknown"), [("content", "nope"), ("comment", "nope"), ("comment", str(uuid.uuid4())), ("user", "nope")]
)
def test_what_does_not_exist_cannot_be_reported(kind, unknown):
    with pytest.raises(NotFound):
        moderation_reports.subject_of(kind, unknown)


def test_wrong_reports_are_refused():
    clip()
    with pytest.raises(InvalidRequest):
        report(reason="ugly")
    with pytest.raises(InvalidRequest):
        report(reporter="creator")
