"""What the analysis of contents found becomes rows that wait for a verdict: one writer, told by `features`.

registered --> text known, media waiting --> judged by its words within seconds
looked at  --> frames known, or why not  --> judged again, with them
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from django.conf import settings
from django.utils import timezone

from dashboards.screening_models import UploadSigns
from events import queries
from events.queries import ContentCard
from features.content_records import Looked
from features.screening.text import key_of

_FIELDS = tuple(each.name for each in UploadSigns._meta.concrete_fields if not each.primary_key)


def note(looked: Sequence[Looked]) -> None:
    """Note what was registered or looked at as due; called in the transaction of the analysis."""
    now = timezone.now()
    cards = queries.content_cards([each.content_id for each in looked])
    known = UploadSigns.objects.in_bulk([each.content_id for each in looked])
    rows = [
        _row(each, cards[each.content_id], known.get(each.content_id), now=now)
        for each in sorted(looked, key=lambda each: each.content_id) if each.content_id in cards
    ]  # fmt: skip
    UploadSigns.objects.bulk_create(rows, update_conflicts=True, unique_fields=["content_id"], update_fields=_FIELDS)


def text_of(card: ContentCard) -> str:
    """The words of an upload: its caption and its tags."""
    return " ".join((card.caption, *card.tags)).strip()


def _row(looked: Looked, card: ContentCard, known: UploadSigns | None, *, now: datetime) -> UploadSigns:
    row = UploadSigns(
        content_id=looked.content_id, creator_id=card.creator_id, text_digest=looked.text_digest,
        uploaded_at=datetime.fromtimestamp(card.uploaded_s, UTC), media_digest=looked.media_digest,
        text_key=key_of(text_of(card)), changed_at=now, due=True,
    )  # fmt: skip
    found = looked.found
    same = known is not None and known.media_digest == looked.media_digest
    if not looked.media_digest:
        row.media = UploadSigns.Media.NONE
    elif looked.code and not (same and known is not None and known.media == UploadSigns.Media.SEEN):
        row.media, row.media_code = UploadSigns.Media.FAILED, looked.code
    elif found is not None:
        row.media, row.media_code, row.sha256 = UploadSigns.Media.SEEN, found.visual_code, looked.sha256
        row.hashes, row.crop_hashes = found.hashes, found.crop_hashes
        row.indecency, row.indecency_version = found.indecency, found.indecency_version
    elif same and known is not None:
        # New words only, or a server that is away: media that were seen before are what they were.
        for name in ("media", "media_code", "sha256", "hashes", "crop_hashes", "indecency", "indecency_version"):
            setattr(row, name, getattr(known, name))
    else:
        row.media = UploadSigns.Media.WAITING if settings.ANALYSE_MEDIA else UploadSigns.Media.OFF
    return row
