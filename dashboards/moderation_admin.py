"""Moderation in the admin: the log and the cases to look at; the actions of the list of contents go through the log."""

from django.contrib import admin
from django.utils import timezone

from dashboards import moderation, moderation_reports
from dashboards.history_models import ChangeHistory
from dashboards.moderation import Decision, Moderator
from dashboards.moderation_models import ModerationAction, ModerationCase, Report
from events.admin_base import ReadOnlyAdmin

_KINDS = {"active": "approve", "hidden": "hide", "removed": "remove"}


def set_status(content_id: str, status: str, staff_id: int) -> bool:
    """Make a content active, hidden or removed by a decision in the log; True when that changed anything."""
    kind = _KINDS[status]
    decision = Decision((kind,), policy="" if kind == "approve" else "other", note="from the list of contents")
    subject = moderation_reports.subject_of("content", content_id)
    return moderation.decide_unasked(subject, decision, Moderator(staff_id), now=timezone.now())


@admin.register(ModerationAction)
class ModerationActionAdmin(ReadOnlyAdmin):
    """The audit page: who did what to whom and why, newest first."""

    list_display = ("at", "kind", "subject_kind", "subject_id", "author_id", "policy", "actor_id", "note")
    list_filter = ("kind", "policy", "subject_kind")
    search_fields = ("subject_id__exact", "author_id__exact", "decision_id__exact")
    search_help_text = "Id of a subject, an author or a decision."
    ordering = ("-id",)


@admin.register(ModerationCase)
class ModerationCaseAdmin(ReadOnlyAdmin):
    """Every case, closed ones too; they are decided at /moderation/."""

    list_display = (
        "case_id",
        "subject_kind",
        "subject_id",
        "status",
        "shown_status",
        "reports",
        "priority",
        "opened_at",
    )
    list_filter = ("status", "subject_kind", "held")
    search_fields = ("subject_id__exact", "author_id__exact")
    search_help_text = "Id of a subject or an author."
    ordering = ("-priority", "opened_at")


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    """Who reported what; the queue shows no names."""

    list_display = ("reported_at", "reason", "subject_kind", "subject_id", "reporter_id", "weight", "outcome")
    list_filter = ("reason", "outcome")
    search_fields = ("subject_id__exact", "reporter_id__exact")
    search_help_text = "Id of a subject or a reporter."
    ordering = ("-reported_at",)


@admin.register(ChangeHistory)
class ChangeHistoryAdmin(ReadOnlyAdmin):
    """What the database wrote down about changes of catalogue, rules, weights, models, lists, keys and roles."""

    list_display = ("at", "table", "row_id", "op", "actor", "before", "after")
    list_filter = ("table", "op")
    search_fields = ("row_id__exact", "actor__exact")
    search_help_text = "Id of a row, or a member of staff such as: staff 5."
    ordering = ("-id",)
