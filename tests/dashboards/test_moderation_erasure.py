"""What moderation forgets, and what it keeps."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from dashboards import moderation_appeals, moderation_erasure, screening
from dashboards.history_models import ChangeHistory
from dashboards.moderation_models import Appeal, ModerationAction, Report
from dashboards.screening_models import Screening, UploadSigns
from tests.dashboards.cases import NOW, case_of, clip, decide, report
from tests.dashboards.test_screening import upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def past():
    """Two people report, a clip is removed, its author objects, the check has seen it."""
    upload("c1", creator="mara")
    clip("c2", "other")
    screening.screen_due(now=NOW)
    report("c1", "mia")
    report("c1", "tom")
    report("c2", "mia")
    decision_id = decide(case_of("c1"), "remove")
    moderation_appeals.appeal(decision_id, author_id="mara", text="it is satire", now=NOW)


def test_an_erased_reporter_leaves_nothing_and_decisions_stay(past):
    before = ModerationAction.objects.count()
    assert moderation_erasure.erase_user("mia")["moderation_report"] == 2
    assert list(Report.objects.values_list("reporter_id", flat=True)) == ["tom"]
    assert ModerationAction.objects.count() == before
    assert "mia" not in str(list(ModerationAction.objects.values()))
    assert case_of("c2").reports == 1


def test_an_erased_author_leaves_no_words_and_nothing_the_check_saw(past):
    gone = moderation_erasure.erase_user("mara")
    assert (gone["moderation_appeal"], gone["screening"], gone["upload_signs"]) == (1, 1, 1)
    assert gone["change_history"] >= 1
    assert not Appeal.objects.exists()
    assert not ChangeHistory.objects.filter(row_id="c1").exists()


def test_an_erased_content_leaves_nothing_the_check_saw(past):
    assert moderation_erasure.erase_content("c1")["upload_signs"] == 1
    assert not UploadSigns.objects.filter(pk="c1").exists()
    assert not Screening.objects.filter(content_id="c1").exists()


def test_old_and_settled_reports_go_by_themselves_and_open_ones_stay(past, settings):
    settings.REPORT_DAYS, settings.SCREENING_DAYS = 100, 200
    assert set(moderation_erasure.drop_expired(now=NOW + timedelta(days=99)).values()) == {0}
    gone = moderation_erasure.drop_expired(now=NOW + timedelta(days=101))
    assert gone == {"moderation_report": 2, "moderation_appeal": 1, "screening": 0}
    assert Report.objects.get().subject_id == "c2"
    assert moderation_erasure.drop_expired(now=NOW + timedelta(days=201))["screening"] == 1


def test_the_command_asks_and_then_tells(past):
    with pytest.raises(CommandError, match="--yes"):
        call_command("erase_moderation", "user", "mia")
    told = StringIO()
    call_command("erase_moderation", "user", "mia", "--yes", stdout=told)
    assert "moderation_report: 2 removed" in told.getvalue()
