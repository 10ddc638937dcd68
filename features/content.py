"""Content understanding: finds contents that are new or changed, looks at their text and media, and stores the result.

    catalogue --register--> what is due --claim--> text, language  (here)       --+--> ContentAnalysis, Embedding
                                             `---> frames, sound   (`sandbox`)  --+

The database alone says what is due, so a lost broker, a killed worker or a full disk costs a delay and no content. Each
modality fails by itself, with a typed reason; reasons that may pass by themselves are tried again, ever later. One
process at a time does this work: media cost seconds of a processor, and the other workers have feeds to serve.
"""

import hashlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Max, Q

from events.queries import ContentSource, content_changes, content_sources
from features import content_records, media_sources, visual_model
from features.content_records import Draft, Looked
from features.content_tools import Tools
from features.embeddings.backbones import BackboneError
from features.media.reasons import MediaError
from features.models import ContentAnalysis
from features.sandbox import SandboxError

logger = logging.getLogger(__name__)

OVERLAP: Final = timedelta(minutes=15)
"""A content that was changed in a long transaction shows up so much later than it says."""
LEASE: Final = timedelta(minutes=15)
"""Work that takes longer belongs to a worker that died."""
TEXTS_AT_ONCE: Final = 500
REGISTERED_AT_ONCE: Final = 2_000
BUDGET_S: Final = 20.0
_LOCK: Final = 0x7EC5_0004


@dataclass(frozen=True, slots=True)
class AnalysisReport:
    """What a call did: contents that became due, contents known by text alone, and contents whose media were seen."""

    registered: int = 0
    texts: int = 0
    media: int = 0


def analyse(*, now: datetime, budget_s: float = BUDGET_S) -> AnalysisReport:
    """Register what changed, and look at what is due until the time is up; does nothing while another process does.

    A content in work is finished, so a call may take `budget_s` and the time limit of one file.
    """
    with _alone() as alone:
        if not alone:
            return AnalysisReport()
        work = _Work(now, budget_s)
        registered = register(now=now) + _renewed(now)
        texts = sum(work.drain(with_media=False, limit=TEXTS_AT_ONCE))
        media = sum(work.drain(with_media=True, limit=1)) if settings.ANALYSE_MEDIA else 0
    if not media:
        # It holds 400 MB; the next upload waits three seconds for another.
        _tools.close()
    return AnalysisReport(registered, texts, media)


def register(*, now: datetime) -> int:
    """Note every content whose text or media changed as due; returns how many did."""
    newest = ContentAnalysis.objects.aggregate(newest=Max("source_updated_at"))["newest"]
    changes = content_changes(None if newest is None else newest - OVERLAP)
    ids = sorted(changes)
    due = 0
    for start in range(0, len(ids), REGISTERED_AT_ONCE):
        some = ids[start : start + REGISTERED_AT_ONCE]
        known = {row.content_id: row for row in ContentAnalysis.objects.filter(content_id__in=some)}
        moved = [each for each in some if each not in known or known[each].source_updated_at != changes[each]]
        due += _register(content_sources(moved), known, now)
    return due


@transaction.atomic
def _register(sources: Sequence[ContentSource], known: dict[str, ContentAnalysis], now: datetime) -> int:
    fresh: list[ContentAnalysis] = []
    same: list[ContentAnalysis] = []
    for source in sources:
        row = ContentAnalysis(
            content_id=source.content_id, source_updated_at=source.updated_at, next_try_at=now,
            text_digest=_digest(source), media_digest=media_sources.digest(source.media_url),
        )  # fmt: skip
        old = known.get(source.content_id)
        unchanged = old is not None and (old.text_digest, old.media_digest) == (row.text_digest, row.media_digest)
        (same if unchanged else fresh).append(row)
    anew = ["source_updated_at", "next_try_at", "text_digest", "media_digest", "state", "attempts"]
    for rows, fields in ((same, anew[:1]), (fresh, anew)):
        ContentAnalysis.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["content_id"], update_fields=fields
        )
    content_records.tell([Looked(row.content_id, row.text_digest, row.media_digest) for row in fresh])
    return len(fresh)


def renew(*, now: datetime) -> int:
    """Make contents due whose frames another network saw, or none could; returns how many."""
    current = visual_model.version()
    stale = Q(visual_state="done") & ~Q(versions__visual=current)
    return (
        ContentAnalysis.objects.filter(stale | Q(visual_code="model_unavailable"), next_try_at=None)
        .update(next_try_at=now, attempts=0)
    )  # fmt: skip


def _renewed(now: datetime) -> int:
    """`renew` once per process: another network comes with a restart."""
    global _asked  # noqa: PLW0603  the memory of this process
    if _asked:
        return 0
    _asked = True
    try:
        return renew(now=now)
    except BackboneError as error:
        logger.error("frames are not looked at: %s", error)
        return 0


class _Work:
    """The contents that one call gets done."""

    def __init__(self, now: datetime, budget_s: float) -> None:
        self._now, self._started, self._budget_s = now, time.monotonic(), budget_s

    def drain(self, *, with_media: bool, limit: int) -> Iterator[int]:
        """How many contents each round did, until nothing is due or the time is up."""
        while time.monotonic() - self._started < self._budget_s:
            rows = self._claim(with_media=with_media, limit=limit)
            if not rows:
                return
            self._do(rows)
            yield len(rows)

    @transaction.atomic
    def _claim(self, *, with_media: bool, limit: int) -> list[ContentAnalysis]:
        """Take contents that are due, oldest first. Served by the index content_analysis_due."""
        now = self._moment()
        due = ContentAnalysis.objects.filter(next_try_at__lte=now)
        due = due.exclude(media_digest="") if with_media else due.filter(media_digest="")
        rows = list(due.select_for_update(skip_locked=True).order_by("next_try_at", "content_id")[:limit])
        ContentAnalysis.objects.filter(pk__in=[row.pk for row in rows]).update(
            state="running", attempts=F("attempts") + 1, next_try_at=now + LEASE
        )
        for row in rows:
            row.attempts += 1
        return rows

    def _do(self, rows: list[ContentAnalysis]) -> None:
        began = time.monotonic()
        sources = {source.content_id: source for source in content_sources([row.content_id for row in rows])}
        gone = [row.content_id for row in rows if row.content_id not in sources]
        ContentAnalysis.objects.filter(content_id__in=gone).delete()
        drafts = [Draft(row) for row in rows if row.content_id in sources]
        here = [sources[draft.row.content_id] for draft in drafts]
        vectors = _tools.sentences.encode([f"{source.text} {source.category}".strip() for source in here])
        for draft, source, vector in zip(drafts, here, vectors, strict=True):
            # The category is a label of the host app, in whatever language that has.
            draft.write_text(vector, _tools.languages.recognise(source.text))
            _look(draft, source)
        moment, took_s = self._moment(), (time.monotonic() - began) / max(len(drafts), 1)
        for draft in drafts:
            draft.settle(now=moment, took_s=took_s)
        content_records.save(drafts, now=moment)

    def _moment(self) -> datetime:
        return self._now + timedelta(seconds=time.monotonic() - self._started)


def _look(draft: Draft, source: ContentSource) -> None:
    """Fill in what the media show and play, or why they do not."""
    try:
        if draft.row.attempts > content_records.MAX_ATTEMPTS:
            # Every try took the whole worker with it.
            raise MediaError("interrupted")
        with media_sources.opened(source.media_url, max_bytes=settings.MEDIA_MAX_BYTES) as file:
            draft.sha256 = _sha256(file)
            draft.write_findings(_tools.look(file))
    except MediaError as error:
        draft.write_failure(error)
    except SandboxError as error:
        logger.exception("media of %s were not looked at", source.content_id)
        draft.write_failure(MediaError("interrupted", f"({error})"))


def _sha256(file: IO[bytes]) -> str:
    """Of a whole file, which is back at its beginning; not taken in the sandbox, which a file might take over."""
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    file.seek(0)
    # The sandbox shares the position of the descriptor, which a buffer hides.
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return digest.hexdigest()


def _digest(source: ContentSource) -> str:
    return hashlib.blake2b(f"{source.text}\x1f{source.category}".encode(), digest_size=16).hexdigest()


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether this process got the work; the server frees the lock when the connection is lost."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        (got,) = cursor.fetchone()
    try:
        yield got
    finally:
        if got:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


_asked = False
_tools = Tools()
