"""The transparency report against a log that is counted by hand."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from dashboards import moderation, moderation_appeals
from dashboards.moderation_figures import figures
from dashboards.moderation_models import ModerationAction
from dashboards.moderation_numbers import transparency
from tests.dashboards.cases import ANN, BOB, NOW, case_of, clip, decide, report

pytestmark = pytest.mark.django_db
START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC)


@pytest.fixture
def month():
    """Three removals for spam, 1, 3 and 8 hours after the report: one stands, one is undone, one overturned."""
    made = []
    for number, hours in enumerate((1, 3, 8)):
        clip(f"c{number}")
        report(f"c{number}")
        made.append(decide(case_of(f"c{number}"), "remove", now=NOW + timedelta(hours=hours)))
    moderation.undo(made[1], ANN, now=NOW + timedelta(hours=9))
    moderation_appeals.appeal(made[2], author_id="creator", text="no", now=NOW + timedelta(hours=9))
    moderation_appeals.answer(made[2], BOB, upheld=False, now=NOW + timedelta(hours=10))
    clip("c9")
    for number in range(6):
        report("c9", f"r{number}", "hate")


def test_the_report_counts_what_happened(month):
    assert list(transparency(START, END)) == [
        ("2026-11", "content", "auto_hide", "hate", True, 1, 0, 0, 0, 0.0),
        ("2026-11", "content", "remove", "spam", False, 3, 2, 1, 1, 3.0),
    ]
    assert list(transparency(START, NOW)) == []


def test_figures_tell_time_to_hide_and_to_decide_precision_appeals_and_what_waits(month):
    found = figures(START, END)
    assert [(each.kind, each.count, each.median_s, each.longest_s) for each in found.hides] == [
        ("auto_hide", 1, 0.0, 0.0), ("remove", 3, 3 * 3600.0, 8 * 3600.0),
    ]  # fmt: skip
    assert found.hides[1].p90_s == pytest.approx(7 * 3600.0)
    assert [each.kind for each in found.decisions] == ["remove"]
    # c1 was undone, so its report waits again; the crowd's waits for somebody to look.
    assert (found.open, found.escalated, found.oldest_h) == (2, 0, (END - NOW).total_seconds() / 3600)
    assert (found.settled_reports, found.report_precision_pct) == (2, 50.0)
    assert (found.decided, found.appealed_pct) == (3, pytest.approx(100 / 3))
    assert (found.answered_appeals, found.overturned_pct) == (1, 100.0)
    assert found.by == ((ANN.id, 3),)
    nothing = figures(START, START)
    assert (nothing.hides, nothing.report_precision_pct, nothing.overturned_pct, nothing.by) == ((), None, None, ())


def test_the_page_of_figures_names_staff_to_leads_alone(month, staff):
    lead, moderator = staff("moderation lead"), staff("moderator", "mo")
    ModerationAction.objects.create(
        subject_kind="content", subject_id="c0", kind="hide", at=timezone.now(), actor_id=moderator.user.pk,
        decision_id=uuid4(), policy="spam",
    )  # fmt: skip
    page = lead.get("/moderation/figures/?days=7").content.decode()
    assert "Time to hide" in page
    assert '<th scope="row">mo</th>' in page
    seen = moderator.get("/moderation/figures/?days=x")
    assert seen.status_code == 200
    assert "Decisions by moderator" not in seen.content.decode()
    assert staff("analyst").get("/moderation/figures/").status_code == 403


def test_a_second_decision_is_timed_by_its_own_report():
    clip()
    report()
    decide(case_of(), "approve", now=NOW + timedelta(hours=1))
    report(reporter="r2", now=NOW + timedelta(hours=10))
    decide(case_of(), "remove", now=NOW + timedelta(hours=12))
    hours = {row[2]: row[-1] for row in transparency(START, END)}
    assert hours == {"approve": 1.0, "remove": 2.0}


def test_leads_take_it_away_as_csv_and_nobody_else(month, staff):
    lead = staff("moderation lead")
    answer = lead.get("/moderation/transparency.csv?from=2026-11-01&to=2026-12-30")
    assert answer.status_code == 200
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert lines[0].startswith("month,subject,action")
    assert lines[2] == "2026-11,content,remove,spam,false,3,2,1,1,3.0"
    assert lead.get("/moderation/transparency.csv?from=soon").status_code == 400
    assert staff("moderator").get("/moderation/transparency.csv").status_code == 403
    assert staff("analyst").get("/moderation/transparency.csv").status_code == 403
