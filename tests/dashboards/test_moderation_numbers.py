"""The transparency report against a log that is counted by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from dashboards import moderation, moderation_appeals
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
