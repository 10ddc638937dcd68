"""The catalogue as serving reads it: immutable arrays, one row per content, in the order of content ids."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Self

import numpy as np
from numpy.typing import NDArray

from features.embeddings.behaviour import SequentialItemModel
from features.embeddings.index import VectorIndex
from features.embeddings.word2vec import ItemVectors
from features.extraction.definitions import COUNTER_COLUMN, COUNTERS, DEFAULTS
from features.extraction.population import Receptions

UNKNOWN = -1
"""Row, creator, category or language code of what the snapshot does not know."""

_POPULARITY = (("1d", 1.0), ("7d", 1.0 / 7.0))
"""Daily people, of the last day and as the mean of the week: what is hot now, steadied by what stays."""
_ENGAGEMENT = (
    ("long_views", 1.0), ("likes", 1.0), ("shares", 2.0), ("saves", 2.0), ("comments", 2.0), ("hides", -5.0),
    ("reports", -5.0),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ContentSnapshot:
    """All contents at one moment; n contents, d embedding dimensions.

    Attributes
    ----------
    version : changes with the content of any array
    until : seconds since 1970 UTC, the moment the counters are as of: the end of the last complete hour with events
    content_id : object array of str (n,), ascending
    creator, category, language : int32 arrays (n,), codes into the vocabularies below, `UNKNOWN` where there is none
    creators, categories, languages : object arrays of str
    upload_timestamp : float64 array (n,), seconds since 1970 UTC
    duration_s : float32 array (n,), NaN where unknown
    active : bool array (n,), whether serving might show it when the snapshot was made
    embedding : float32 array (n, d), unit rows, zero rows where nothing is known of a content
    text_hash : uint64 array (n,), of what each embedding was made from
    look : int32 array (n,), codes of contents whose media look the same, `UNKNOWN` where there is no other; see `looks`
    sound : int32 array (n,), a code that contents with one sound share, `UNKNOWN` without a sound
    counters : float32 array (n, len(COUNTERS)), as of `until`
    features : float32 array (n, CONTENT_DIM), the content block as of `until`
    popularity : float32 array (n,), engaged people per day; it alone knows the running hour
    watch : float32 array (WATCH_BUCKETS * WATCH_BINS,), see `population`
    surfaces : object array of str (s,)
    surface : float32 array (s, 3), see `population`
    index : nearest neighbours in `embedding`
    sequential : what follows what; None before there are enough sequences
    encoder_version : of the content encoder that made `embedding`
    word_vectors : vectors of all contents ever enjoyed; None while the sequential model has a place for each of them
    """

    version: str
    until: float
    content_id: NDArray[np.object_]
    creator: NDArray[np.int32]
    category: NDArray[np.int32]
    language: NDArray[np.int32]
    creators: NDArray[np.object_]
    categories: NDArray[np.object_]
    languages: NDArray[np.object_]
    upload_timestamp: NDArray[np.float64]
    duration_s: NDArray[np.float32]
    active: NDArray[np.bool_]
    embedding: NDArray[np.float32]
    text_hash: NDArray[np.uint64]
    look: NDArray[np.int32]
    sound: NDArray[np.int32]
    counters: NDArray[np.float32]
    features: NDArray[np.float32]
    popularity: NDArray[np.float32]
    watch: NDArray[np.float32]
    surfaces: NDArray[np.object_]
    surface: NDArray[np.float32]
    index: VectorIndex
    sequential: SequentialItemModel | None
    encoder_version: str
    word_vectors: ItemVectors | None = None
    row_of: Mapping[str, int] = field(init=False, repr=False)
    creator_of: Mapping[str, int] = field(init=False, repr=False)
    receptions: Receptions = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "row_of", {each: row for row, each in enumerate(self.content_id.tolist())})
        object.__setattr__(self, "creator_of", {each: code for code, each in enumerate(self.creators.tolist())})
        surface = dict(zip(self.surfaces.tolist(), self.surface, strict=True))
        object.__setattr__(self, "receptions", Receptions.of(self.watch, surface))

    def __len__(self) -> int:
        return len(self.content_id)

    def without(self, content_ids: Collection[str]) -> Self:
        """The same with some contents as if serving must not show them, and nobody knew anything of them."""
        rows = [self.row_of[each] for each in content_ids if each in self.row_of]
        if not rows:
            return self
        active, features, popular = self.active.copy(), self.features.copy(), self.popularity.copy()
        embedding, counters = self.embedding.copy(), self.counters.copy()
        active[rows] = False
        features[rows] = DEFAULTS["content"]
        for known in (popular, embedding, counters):
            known[rows] = 0.0
        return replace(
            self, active=active, features=features, popularity=popular, embedding=embedding, counters=counters
        )

    def rows(self, content_ids: Iterable[str]) -> NDArray[np.int64]:
        """Rows of content ids, `UNKNOWN` for those it does not have."""
        row_of = self.row_of
        return np.array(list(map(row_of.get, content_ids, repeat(UNKNOWN))), np.int64)

    def creator_codes(self, creator_ids: Iterable[str]) -> NDArray[np.int64]:
        """Codes of creator ids, `UNKNOWN` for those without a content here."""
        creator_of = self.creator_of
        return np.array(list(map(creator_of.get, creator_ids, repeat(UNKNOWN))), np.int64)


def engagement(counters: NDArray[np.float32], label: str) -> NDArray[np.float32]:
    """Engaged people lately, >= 0, weighted as in `popularity`, by the counters of one half-life.

    Parameters
    ----------
    counters : float32 array (n, len(COUNTERS))
    label : "1h", "1d" or "7d"

    >>> liked = np.zeros((1, len(COUNTERS)), np.float32)
    >>> liked[0, COUNTER_COLUMN["shares", "7d"]] = 3.0
    >>> engagement(liked, "7d").tolist(), engagement(liked, "1h").tolist()
    ([6.0], [0.0])
    """
    weights = np.zeros(len(COUNTERS))
    for signal, worth in _ENGAGEMENT:
        weights[COUNTER_COLUMN[signal, label]] = worth
    return np.maximum(counters @ weights, 0.0).astype(np.float32)


def encode(values: NDArray[np.object_]) -> tuple[NDArray[np.int32], NDArray[np.object_]]:
    """Codes and vocabulary of a text column; the empty text is `UNKNOWN`.

    >>> codes, vocabulary = encode(np.array(["b", "", "a", "b"], object))
    >>> codes.tolist(), vocabulary.tolist()
    ([1, -1, 0, 1], ['a', 'b'])
    """
    vocabulary = sorted(set(values.tolist()) - {""})
    code_of = {value: code for code, value in enumerate(vocabulary)}
    codes = np.array([code_of.get(value, UNKNOWN) for value in values.tolist()], np.int32)
    column = np.empty(len(vocabulary), object)
    column[:] = vocabulary
    return codes, column


def popularity(counters: NDArray[np.float32]) -> NDArray[np.float32]:
    """Engaged people per day, >= 0, the last day plus the week's mean.

    Long views + likes + 2 (shares + saves + comments) - 5 (hides + reports).

    Parameters
    ----------
    counters : float32 array (n, len(COUNTERS))

    >>> liked = np.zeros((1, len(COUNTERS)), np.float32)
    >>> liked[0, COUNTER_COLUMN["likes", "1d"]] = 3.0
    >>> popularity(liked).tolist()
    [3.0]
    """
    weights = np.zeros(len(COUNTERS))
    for label, per_day in _POPULARITY:
        for signal, worth in _ENGAGEMENT:
            weights[COUNTER_COLUMN[signal, label]] = worth * per_day
    return np.maximum(counters @ weights, 0.0).astype(np.float32)
