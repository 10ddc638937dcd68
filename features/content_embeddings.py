"""The vectors of all contents for a snapshot: what is known already is kept, what is new or changed is encoded.

A content whose vector the host app gave (`events.vectors`) has that one instead of what its text and media would say.
Text is encoded here, so that an upload is retrievable with the next snapshot; frames and sound come from the analyses
(`content`) as far as those are, and a content changes its vector once they are done.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Final

import numpy as np
from django.conf import settings
from django.db.models import Max, Q, QuerySet
from numpy.typing import NDArray

from events import vectors
from events.columnar.interactions import ContentTable
from events.queries import catalogue_changed_at
from features import store, visual_model
from features.embeddings import audio, sentence
from features.embeddings.backbones import BackboneError
from features.embeddings.combine import DIMENSIONS, GIVEN, ContentEncoder
from features.embeddings.sentence import SentenceEncoder
from features.embeddings.text import text_hash
from features.extraction.snapshot import ContentSnapshot
from features.models import ContentAnalysis, Embedding

GROWTH: Final = 0.2
"""What is learned is learned again when catalogue or log grew by more than this share."""
FIT_SAMPLE: Final = 20_000
"""Vectors that a mean is fitted on."""
AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Known:
    """The snapshot before, and its encoder."""

    snapshot: ContentSnapshot
    encoder: ContentEncoder


@dataclass(frozen=True, slots=True)
class Made:
    """Vectors (n, d) of n contents, what tells whether their sources change, who made them, and how many are new."""

    embedding: NDArray[np.float32]
    source_hash: NDArray[np.uint64]
    encoder: ContentEncoder
    encoded: int


def make(catalogue: ContentTable, *, known: Known | None, refit: bool, now: datetime, erased: bool = False) -> Made:
    """Encode the catalogue and store the vectors that are new, stamped `now`.

    Where contents were `erased` since, words of theirs that no content has any more are forgotten by learning anew.
    """
    texts = _documents(catalogue)
    refit = refit or (erased and known is not None and known.encoder.text_.has_outlived(texts))
    encoder = _encoder(texts, known, refit=refit)
    hashes = _source_hashes(catalogue.content_id.tolist(), texts)
    embedding, encoded = _embed(catalogue, texts, hashes, encoder, known)
    if len(encoded):
        new = catalogue.content_id[encoded].tolist()
        store.put_embeddings(new, embedding[encoded], encoder=encoder.version_, now=now)
    return Made(embedding, hashes, encoder, len(encoded))


def changed_at() -> str:
    """When the catalogue or what is known of its media last changed; "" while there is nothing."""
    analysed = _analysed_media().aggregate(newest=Max("analysed_at"))["newest"]
    return " ".join(moment.isoformat() for moment in (catalogue_changed_at(), analysed) if moment is not None)


def catalogue_moment(changed_at: str) -> datetime:
    """When the catalogue itself had last changed, of what `changed_at` said; long ago where that was nothing."""
    first = changed_at.partition(" ")[0]
    return datetime.fromisoformat(first) if first else datetime(1970, 1, 2, tzinfo=UTC)


def versions() -> dict[str, str]:
    """The encoder of each modality that this installation uses now; without frames where no network can be had.

    And the space of given vectors, where one is configured.
    """
    known = {"sentence": sentence.version(), "audio": audio.VERSION}
    # Where no network can be had, the analyses of the contents tell why.
    with suppress(BackboneError):
        known["visual"] = visual_model.version()
    if space := vectors.space():
        known[GIVEN] = space
    return known


def _encoder(texts: Sequence[str], known: Known | None, *, refit: bool) -> ContentEncoder:
    current = versions()
    counts = {"words": len(texts)}
    for name in ("visual", "audio"):
        counts[name] = ContentAnalysis.objects.filter(**{f"{name}_state": "done"}).count()
    if GIVEN in current:
        counts[GIVEN] = len(vectors.changes())
    if known is not None and not refit and known.encoder.versions_ == current:
        outgrown = known.encoder.outgrown_by(counts, growth=GROWTH)
        if not outgrown:
            return known.encoder
    samples = {name: _sample(current[name]) for name in ("visual", "audio") if name in current and counts[name]}
    if GIVEN in current:
        samples[GIVEN] = vectors.sample(FIT_SAMPLE, space=current[GIVEN], dimensions=settings.EMBEDDING_DIMENSIONS)
    # Evenly over the catalogue, which is in order of id: the first ones may be of one kind.
    spread = texts[:: max(len(texts) // FIT_SAMPLE, 1)]
    samples["sentence"] = _sentences().encode([text for text in spread if text])
    return ContentEncoder().fit(texts, samples, current)


def _embed(
    catalogue: ContentTable,
    texts: Sequence[str],
    hashes: NDArray[np.uint64],
    encoder: ContentEncoder,
    known: Known | None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Vectors of all contents, and the rows that had to be encoded."""
    embedding = np.zeros((len(catalogue), encoder.dimensions), np.float32)
    kept = np.zeros(len(catalogue), np.bool_)
    if known is not None and known.encoder.version_ == encoder.version_:
        old = known.snapshot.rows(catalogue.content_id.tolist())
        kept = (old >= 0) & (known.snapshot.text_hash[old] == hashes)
        embedding[kept] = known.snapshot.embedding[old[kept]]
    encoded = np.flatnonzero(~kept)
    for start in range(0, len(encoded), AT_ONCE):
        rows = encoded[start : start + AT_ONCE]
        ids, some = catalogue.content_id[rows].tolist(), [texts[row] for row in rows.tolist()]
        embedding[rows] = _encoded(ids, some, encoder)
    return embedding, encoded


def encode(catalogue: ContentTable, encoder: ContentEncoder) -> NDArray[np.float32]:
    """Vectors (n, d) of a few contents, of as much as is known of each; nothing is stored."""
    return _encoded(catalogue.content_id.tolist(), _documents(catalogue), encoder)


def _encoded(content_ids: Sequence[str], texts: Sequence[str], encoder: ContentEncoder) -> NDArray[np.float32]:
    blocks: dict[str, NDArray[np.float32]] = {}
    if GIVEN in encoder.versions_:
        space, dimensions = encoder.versions_[GIVEN], encoder.given_dimensions
        blocks[GIVEN] = vectors.read(content_ids, space=space, dimensions=dimensions)
        # Nobody will look at them.
        given = np.abs(blocks[GIVEN]).max(axis=1).tolist()
        texts = ["" if largest else text for text, largest in zip(texts, given, strict=True)]
    blocks["sentence"] = _sentences().encode(texts)
    for name in ("visual", "audio"):
        if name in encoder.versions_:
            version = encoder.versions_[name]
            blocks[name] = store.modality(content_ids, encoder=version, dimensions=DIMENSIONS[name])
    return encoder.transform(texts, blocks)


def _source_hashes(content_ids: Sequence[str], texts: Sequence[str]) -> NDArray[np.uint64]:
    """64 bits per content that tell whether its text, what its media showed or its given vector has changed."""
    moments: dict[str, object] = dict(_analysed_media().values_list("content_id", "analysed_at"))
    # It stands alone: what else is known of a content does not change it.
    moments |= {content_id: f"given {moment}" for content_id, moment in vectors.changes().items()}
    sources = (
        f"{text}\x1f{moments[content_id]}" if content_id in moments else text
        for content_id, text in zip(content_ids, texts, strict=True)
    )
    return np.array([text_hash(source) for source in sources], np.uint64)


def _sample(encoder: str) -> NDArray[np.float32]:
    """The newest vectors of an encoder."""
    newest = Embedding.objects.filter(encoder=encoder).order_by("-id").values_list("vector", flat=True)[:FIT_SAMPLE]
    dimensions = DIMENSIONS[encoder.partition("-")[0]]
    return np.array(list(newest), np.float32).reshape(-1, dimensions)


def _analysed_media() -> QuerySet[ContentAnalysis]:
    return ContentAnalysis.objects.filter(Q(visual_state="done") | Q(audio_state="done"))


@cache
def _sentences() -> SentenceEncoder:
    """Loaded once per process."""
    return SentenceEncoder()


def _documents(catalogue: ContentTable) -> list[str]:
    """What the encoder reads of each content: caption, tags and category."""
    return [f"{text} {category}".strip() for text, category in zip(catalogue.text, catalogue.category, strict=True)]
