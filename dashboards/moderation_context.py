"""What else there is to know of a content under judgement: what the automatic check said, and what is like it."""

from typing import Any, Final

from django.db.models import Q

from dashboards.screening_models import Screening, UploadSigns
from events import queries

MOST_SIMILAR: Final = 6


def screening_of(content_id: str) -> dict[str, Any] | None:
    """The newest verdict of the automatic check, with its numbers. Served by the index screening_content."""
    row = Screening.objects.filter(content_id=content_id).order_by("-id").first() if content_id else None
    if row is None:
        return None
    return {
        "verdict": row.verdict,
        "at": row.at,
        "rules": [f"{key} {version}" for key, version in row.matched],
        "signals": row.signals,
        "versions": row.versions,
        "resembles": row.resembles,
    }


def similar_to(content_id: str) -> list[dict[str, Any]]:
    """Contents of the same file, with a frame that looks the same, or of the same words, newest first."""
    own = UploadSigns.objects.filter(pk=content_id).first() if content_id else None
    if own is None:
        return []
    alike = Q(pk__in=[])
    if own.sha256:
        alike |= Q(sha256=own.sha256)
    if own.hashes:
        alike |= Q(hashes__overlap=own.hashes)
    if own.text_key:
        alike |= Q(text_key=own.text_key)
    rows = list(UploadSigns.objects.filter(alike).exclude(pk=own.pk).order_by("-uploaded_at")[:MOST_SIMILAR])
    cards = queries.content_cards([row.pk for row in rows])
    return [
        {
            "content_id": row.pk,
            "creator_id": row.creator_id,
            "caption": cards[row.pk].caption,
            "status": cards[row.pk].status,
            "why": _why(own, row),
        }
        for row in rows if row.pk in cards
    ]  # fmt: skip


def _why(own: UploadSigns, other: UploadSigns) -> str:
    if own.sha256 and own.sha256 == other.sha256:
        return "the same file"
    if set(own.hashes) & set(other.hashes):
        return "the same picture"
    return "the same words"
