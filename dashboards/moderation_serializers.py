"""Shapes of the HTTP bodies of moderation."""

from typing import Any

from rest_framework import serializers

from dashboards.casework.log import DECISIONS, SUBJECTS
from dashboards.casework.policies import CODES
from dashboards.casework.statement import TOLD_OF
from dashboards.moderation import MAX_BULK, MAX_DURATION_H, MAX_NOTE_CHARS
from dashboards.moderation_appeals import MAX_TEXT_CHARS
from dashboards.moderation_reports import MAX_DETAILS_CHARS
from events.serializers import IdField, StrictSerializer

MAX_ID = 2**63 - 1
NAMED = ("content_id", "comment_id", "user_id")


class ProseField(serializers.CharField):
    """What people write: bounded, and without what a database cannot keep."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError(f"must be text; got {type(data).__name__}")
        text = super().to_internal_value(data)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise serializers.ValidationError("must not hold lone surrogates") from None
        return text


class ReportBody(StrictSerializer):
    """A report: of exactly one content, comment or user."""

    content_id = IdField(required=False)
    comment_id = IdField(required=False, help_text="The event id of the comment.")
    user_id = IdField(required=False, help_text="The user who is reported.")
    reporter_id = IdField(required=False, help_text="Who reports; with a key only.")
    reporter_address = serializers.IPAddressField(
        required=False, help_text="IP address of who reports; with a key only. Kept as a pseudonym of its network."
    )
    reason = serializers.ChoiceField(choices=CODES)
    details = ProseField(required=False, allow_blank=True, default="", max_length=MAX_DETAILS_CHARS)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        named = [name for name in NAMED if name in attrs]
        if len(named) != 1:
            raise serializers.ValidationError(f"name one of {', '.join(NAMED)}; got {', '.join(named) or 'none'}")
        return attrs


class ReportAnswer(serializers.Serializer[Any]):
    """A report and how far it came; who decided is nobody's business."""

    report_id = serializers.UUIDField()
    subject_kind = serializers.ChoiceField(choices=SUBJECTS)
    subject_id = serializers.CharField()
    reason = serializers.CharField()
    reported_at = serializers.DateTimeField()
    state = serializers.ChoiceField(choices=["waiting", "agreed", "disagreed"], help_text="What was decided.")


class AppealBody(StrictSerializer):
    """An objection to a decision."""

    decision_id = serializers.UUIDField()
    text = ProseField(max_length=MAX_TEXT_CHARS)
    user_id = IdField(required=False, help_text="Whom the decision is about; with a key only.")


class AppealAnswer(serializers.Serializer[Any]):
    """An objection that waits."""

    appeal_id = serializers.UUIDField()
    decision_id = serializers.UUIDField()
    appealed_at = serializers.DateTimeField()


class StatementAnswer(serializers.Serializer[Any]):
    """A statement of reasons, in the codes of the DSA transparency database."""

    puid = serializers.CharField()
    decision_visibility = serializers.CharField(allow_null=True)
    decision_account = serializers.CharField(allow_null=True)
    decision_ground = serializers.CharField()
    policy = serializers.CharField()
    explanation = serializers.CharField()
    territorial_scope = serializers.ListField(child=serializers.CharField(), allow_null=True)
    application_date = serializers.DateTimeField()
    end_date = serializers.DateTimeField(allow_null=True)
    source_type = serializers.CharField()
    automated_detection = serializers.BooleanField()
    automated_decision = serializers.CharField()
    redress = serializers.CharField()


class AuthorDecisionAnswer(serializers.Serializer[Any]):
    """One decision about somebody, as they see it."""

    decision_id = serializers.UUIDField()
    subject_kind = serializers.ChoiceField(choices=TOLD_OF)
    subject_id = serializers.CharField()
    decided_at = serializers.DateTimeField()
    state = serializers.ChoiceField(choices=["in_force", "taken_back", "expired"], help_text="Whether it still holds.")
    appeal = serializers.ChoiceField(choices=["none", "waiting", "upheld", "overturned", "closed"])
    appealable_until = serializers.DateTimeField()
    statements = StatementAnswer(many=True)


class DecisionsAnswer(serializers.Serializer[Any]):
    """Decisions that restrict a user, newest first."""

    user_id = serializers.CharField()
    items = AuthorDecisionAnswer(many=True)


class NextBody(StrictSerializer):
    """What not to be given."""

    skip = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=MAX_ID), required=False, default=list, max_length=MAX_BULK
    )


class DecisionFields(StrictSerializer):
    """What is decided."""

    kinds = serializers.ListField(
        child=serializers.ChoiceField(choices=list(DECISIONS)), min_length=1, max_length=len(DECISIONS)
    )
    policy = serializers.ChoiceField(choices=CODES, required=False, allow_blank=True, default="")
    note = ProseField(required=False, allow_blank=True, default="", max_length=MAX_NOTE_CHARS)
    duration_h = serializers.FloatField(required=False, allow_null=True, default=None, max_value=MAX_DURATION_H)
    countries = serializers.ListField(
        child=serializers.CharField(max_length=2), required=False, default=list, max_length=250
    )


class DecideBody(DecisionFields):
    """A decision on one case, and the version of it that was seen."""

    version = serializers.IntegerField(min_value=0, max_value=MAX_ID)


class CaseVersion(StrictSerializer):
    """A case, and the version of it that was seen."""

    case_id = serializers.IntegerField(min_value=1, max_value=MAX_ID)
    version = serializers.IntegerField(min_value=0, max_value=MAX_ID)


class BulkBody(DecisionFields):
    """One decision on many cases."""

    cases = serializers.ListField(child=CaseVersion(), min_length=1, max_length=MAX_BULK)
    batch = serializers.UUIDField(required=False, help_text="Of the answer before: go on with the same action.")


class NoteBody(StrictSerializer):
    """Why; for staff only."""

    note = ProseField(required=False, allow_blank=True, default="", max_length=MAX_NOTE_CHARS)


class AnswerBody(NoteBody):
    """The judgement of an appeal."""

    upheld = serializers.BooleanField(help_text="true keeps the decision, false takes it back.")


class CaseAnswer(serializers.Serializer[Any]):
    """One line of the queue; `GET .../cases/{id}` and a claim add what is known of the case."""

    case_id = serializers.IntegerField()
    version = serializers.IntegerField()
    subject = serializers.DictField()
    status = serializers.CharField()
    shown_status = serializers.CharField()
    hidden_by_system = serializers.BooleanField()
    age_restricted = serializers.BooleanField()
    blocked_countries = serializers.ListField(child=serializers.CharField())
    feed_eligible = serializers.BooleanField()
    reports = serializers.IntegerField()
    flags = serializers.DictField(child=serializers.FloatField(), help_text="Of the automatic check: score by policy.")
    reasons = serializers.DictField(child=serializers.IntegerField())
    appeals = serializers.IntegerField()
    priority = serializers.FloatField()
    priority_parts = serializers.DictField(child=serializers.FloatField())
    opened_at = serializers.DateTimeField()
    claimed = serializers.BooleanField()
    claim_expires_at = serializers.DateTimeField(allow_null=True)


class FactsAnswer(CaseAnswer):
    """All that is known of a case."""

    content = serializers.DictField(allow_null=True)
    screening = serializers.DictField(allow_null=True, help_text="The newest verdict of the automatic check.")
    similar = serializers.ListField(child=serializers.DictField(), help_text="Contents with the same file or words.")
    text = serializers.CharField(allow_blank=True)
    reported = serializers.ListField(child=serializers.DictField())
    author = serializers.DictField(allow_null=True)
    appeal = serializers.DictField(allow_null=True)
    log = serializers.ListField(child=serializers.DictField())


class QueueAnswer(serializers.Serializer[Any]):
    """One view of the queue."""

    view = serializers.CharField()
    items = CaseAnswer(many=True)


class DecidedAnswer(serializers.Serializer[Any]):
    """A decision that holds; `decision_id` undoes it."""

    decision_id = serializers.UUIDField()
    case = CaseAnswer()


class BulkAnswer(serializers.Serializer[Any]):
    """What became of each case: "" where it was done, else the code of the refusal; `batch` undoes all of it."""

    batch = serializers.UUIDField()
    results = serializers.DictField(child=serializers.CharField(allow_blank=True))
