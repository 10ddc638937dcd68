"""How findings become rows: what each modality is known by, what is tried again when, and which vectors are kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q
from numpy.typing import NDArray

from features import store, visual_model
from features.embeddings import audio, language, sentence
from features.embeddings.combine import DIMENSIONS
from features.embeddings.language import LEAST_CONFIDENCE
from features.media.findings import Findings
from features.media.reasons import REASONS, TRANSIENT, MediaError
from features.models import ContentAnalysis

MAX_ATTEMPTS: Final = 5
FIRST_WAIT: Final = timedelta(seconds=30)
"""Before the second try; each further wait is four times as long, so the last try is 40 minutes after the first."""
MODALITIES: Final = ("text", "visual", "audio", "language")
ABSENT: Final = frozenset({"no_text", "no_media", "no_visual", "no_audio", "silent", "language_unclear"})
"""Reasons that say that there is nothing, not that something failed."""
USABLE: Final = frozenset({"", "truncated"})
FACTS: Final = ("width", "height", "fps", "duration_s", "sample_rate", "loudness_db", "tempo_bpm")
_REGISTERED: Final = frozenset({"content_id", "text_digest", "media_digest", "source_updated_at"})
"""Written when a content is registered, and by nothing else."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What somebody who judges contents may know of an analysis.

    Attributes
    ----------
    text_digest, media_digest : of what was looked at; the latter "" where there are no media
    found : what the media showed; None where nobody has looked, or nobody could
    code : why nobody could
    sha256 : of the file, hexadecimal
    """

    content_id: str
    text_digest: str
    media_digest: str
    found: Findings | None = None
    code: str = ""
    sha256: str = ""


LISTENERS: list[Callable[[Sequence[Looked]], None]] = []
"""Told of contents that became due (without findings), and of those that were looked at, in that transaction."""


def tell(looked: Sequence[Looked]) -> None:
    """Tell whoever asked to be told."""
    for listener in LISTENERS if looked else ():
        listener(looked)


@dataclass(slots=True)
class Draft:
    """A row that is being filled in, and the vectors that go with it."""

    row: ContentAnalysis
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    found: Findings | None = None
    code: str = ""
    sha256: str = ""

    def write_text(self, vector: NDArray[np.float32], recognised: tuple[str, float]) -> None:
        """What the text says: its sentence vector (all zero where there is none), and its language."""
        row, says_something = self.row, bool(np.any(vector))
        self._conclude("text", "" if says_something else "no_text")
        row.versions = {}
        if says_something:
            self._keep("sentence", sentence.version(), vector)
        code, confidence = recognised
        clear = bool(code) and confidence >= LEAST_CONFIDENCE
        self._conclude("language", "" if clear else "language_unclear" if says_something else "no_text")
        row.language, row.language_confidence = (code, confidence) if clear else ("", None)
        if clear:
            row.versions["language"] = language.VERSION

    def write_failure(self, reason: MediaError) -> None:
        """The media as a whole are not known, for this reason."""
        self.found, self.code = None, reason.code
        self._write_facts(Findings(""))
        for modality in ("visual", "audio"):
            self._conclude(modality, reason.code, reason.detail)

    def write_findings(self, found: Findings) -> None:
        """What the media show and play."""
        self.found, self.code = found, ""
        self._write_facts(found)
        self._conclude("visual", found.visual_code, found.visual_detail)
        self._conclude("audio", found.audio_code, found.audio_detail)
        if found.visual is not None:
            self._keep("visual", visual_model.version(), np.array(found.visual, np.float32))
        if found.audio is not None:
            self._keep("audio", audio.VERSION, np.array(found.audio, np.float32))

    def settle(self, *, now: datetime, took_s: float) -> None:
        """Sum up: how much is known, and when it is tried again, if that may help."""
        row = self.row
        states = {getattr(row, f"{modality}_state") for modality in MODALITIES}
        codes = {getattr(row, f"{modality}_code") for modality in MODALITIES}
        if "failed" in states:
            row.state = "partial" if "done" in states else "failed"
        else:
            row.state = "partial" if "truncated" in codes else "done"
        row.analysed_at, row.took_s = now, took_s
        again = codes & TRANSIENT and row.attempts < MAX_ATTEMPTS
        row.next_try_at = now + FIRST_WAIT * 4 ** (row.attempts - 1) if again else None

    def _conclude(self, modality: str, code: str, detail: str = "") -> None:
        state = "done" if code in USABLE else "missing" if code in ABSENT else "failed"
        setattr(self.row, f"{modality}_state", state)
        setattr(self.row, f"{modality}_code", code)
        setattr(self.row, f"{modality}_detail", detail or REASONS.get(code, ""))

    def _write_facts(self, found: Findings) -> None:
        self.row.media_type, self.row.perceptual_hashes = found.kind, found.hashes
        self.row.frames = found.frames or None
        for name in FACTS:
            setattr(self.row, name, getattr(found, name))

    def _keep(self, modality: str, version: str, vector: NDArray[np.float32]) -> None:
        self.row.versions["text" if modality == "sentence" else modality] = version
        self.vectors[modality] = vector


@transaction.atomic
def save(drafts: Sequence[Draft], *, now: datetime) -> None:
    """Store settled rows, and their vectors in place of those before.

    A content that changed while it was looked at stays due: its row is left as the change wrote it.
    """
    ids = [draft.row.content_id for draft in drafts]
    locked = ContentAnalysis.objects.select_for_update().filter(content_id__in=ids).order_by("content_id")
    current = {row.content_id: (row.text_digest, row.media_digest) for row in locked}
    drafts = [
        draft for draft in drafts
        if current.get(draft.row.content_id) == (draft.row.text_digest, draft.row.media_digest)
    ]  # fmt: skip
    fields = [each.name for each in ContentAnalysis._meta.concrete_fields if each.name not in _REGISTERED]
    # An upsert of rows that are all there: ten times faster than bulk_update, which writes a CASE per row and column.
    ContentAnalysis.objects.bulk_create(
        [draft.row for draft in drafts], update_conflicts=True, unique_fields=["content_id"], update_fields=fields
    )
    ids = [draft.row.content_id for draft in drafts]
    for modality in DIMENSIONS:
        having = [draft for draft in drafts if modality in draft.vectors]
        store.forget_modality(ids, modality)
        if having:
            version = having[0].row.versions["text" if modality == "sentence" else modality]
            vectors = np.stack([draft.vectors[modality] for draft in having])
            store.put_modality([draft.row.content_id for draft in having], vectors, encoder=version, now=now)
    tell([
        Looked(draft.row.content_id, draft.row.text_digest, draft.row.media_digest, draft.found, draft.code,
               draft.sha256)
        for draft in drafts
    ])  # fmt: skip


def due(*, now: datetime) -> int:
    """How many contents wait to be looked at. Served by the index content_analysis_due."""
    waiting = ContentAnalysis.objects.filter(next_try_at__lte=now)
    return (waiting if settings.ANALYSE_MEDIA else waiting.filter(media_digest="")).count()


def failures() -> dict[tuple[str, str], int]:
    """Contents of which a modality is not or only partly known, by modality and code.

    Served by the index content_analysis_state: contents of which all is known are not looked at.
    """
    troubled = ContentAnalysis.objects.filter(state__in=("partial", "failed")).order_by()
    counts: dict[tuple[str, str], int] = {}
    for modality in MODALITIES:
        state, code = f"{modality}_state", f"{modality}_code"
        rows = troubled.filter(Q(**{state: "failed"}) | Q(**{code: "truncated"})).values(code)
        counts |= {(modality, row[code]): row["contents"] for row in rows.annotate(contents=Count("pk"))}
    return counts
