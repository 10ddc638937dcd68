"""A snapshot that takes in what was uploaded since it was made, instead of being made anew for every upload.

Its columns are written with free rows behind the contents. A process that serves maps them for itself and fills those
rows one by one, so that an upload costs a few microseconds whatever the size of the catalogue, and all that reads a
snapshot finds the newcomer where every other content is. What nobody has met yet has no counters and no successors; it
has its text, its category and its creator, and of the last two what people think of them.

    rows    0 ... n - 1             as the snapshot was written; of these only a few columns are brought up to date
            n ... n + k - 1         what came since, in the order of coming
            n + k ...               free: not active, and known by no id

Rows are filled before they become active, and nothing ever moves, so threads may go on reading meanwhile. One thread
at a time may write. The next snapshot has all of this in its own rows, and the object is dropped.
"""

from collections.abc import Collection, Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from events.columnar.interactions import ContentTable
from features.embeddings.index import JoinedIndex, Mask
from features.extraction.content import newcomer_block
from features.extraction.definitions import DEFAULTS, FEATURES
from features.extraction.snapshot import UNKNOWN, ContentSnapshot

_BLANKED = ("active", "features", "popularity", "embedding", "counters")
_VOCABULARY = {"creator": "creators", "category": "categories", "language": "languages"}
_ENTITIES = [feature.entity for feature in FEATURES if feature.block == "content"]
OF_GROUP = {kind: np.flatnonzero(np.array(_ENTITIES) == kind) for kind in ("creator", "category")}
"""Columns of the content block that are the same for all contents of a group."""

Rows = NDArray[np.int64]


class GrowingSnapshot:
    """Fills the free rows of one snapshot.

    Attributes
    ----------
    snapshot : with all rows, the free ones included; replaced by `add` and `revise` where a vocabulary grows
    base : the snapshot as it was written
    """

    def __init__(self, base: ContentSnapshot, columns: Mapping[str, NDArray[Any]]) -> None:
        """`columns` are those of `base` with free rows behind; writable, and nobody else writes into them."""
        self.base = base
        self._columns = columns
        self._first = self._next = len(base)
        self._row_of = dict(base.row_of)
        self._totals = base.counters.sum(axis=0, dtype=np.float64)
        self._uploaded = int((base.upload_timestamp <= base.until).sum())
        self._blank_as_base()
        self.snapshot = self._opened()

    @property
    def free(self) -> int:
        """How many more contents it can take in."""
        return len(self._columns["active"]) - self._next

    @property
    def arrived(self) -> list[str]:
        """Ids of what was taken in and not forgotten since."""
        names: list[str] = self.snapshot.content_id[self._first : self._next].tolist()
        return [name for name in names if name]

    def has(self, content_id: str) -> bool:
        """Whether a content was taken in since the snapshot was written."""
        return self._row_of.get(content_id, UNKNOWN) >= self._first

    def add(self, table: ContentTable, embedding: NDArray[np.float32]) -> Rows:
        """Take contents in that the base lacks, or describe those anew that were taken in; returns their rows.

        Parameters
        ----------
        table : n contents; those that find no free row are left out
        embedding : float32 array (n, d), unit rows or zero rows
        """
        new = [each for each in table.content_id.tolist() if not self.has(each)]
        places = dict(zip(new, range(self._next, self._next + self.free), strict=False))
        chosen = [at for at, each in enumerate(table.content_id.tolist()) if each in places or self.has(each)]
        ids = [table.content_id[at] for at in chosen]
        rows = np.array([places.get(each, self._row_of.get(each, UNKNOWN)) for each in ids], np.int64)
        columns = self._columns
        columns["embedding"][rows] = embedding[chosen]
        columns["upload_timestamp"][rows] = table.upload_timestamp[chosen]
        columns["duration_s"][rows] = table.duration_s[chosen]
        self._describe(rows, table, chosen)
        columns["features"][rows] = self._features(rows)
        self.snapshot.content_id[rows] = ids
        self._row_of.update(zip(ids, rows.tolist(), strict=True))
        self._next += len(places)
        # Last: from now on somebody may be shown it.
        columns["active"][rows] = table.active[chosen]
        return rows

    def revise(self, table: ContentTable) -> Rows:
        """Bring creator, category, language, sound and state of contents of the base up to date; returns their rows.

        Text and counters wait for the next snapshot, and so does who was erased from this one.
        """
        rows = self.base.rows(table.content_id.tolist())
        chosen = np.flatnonzero((rows >= 0) & ~self._blank[rows])
        self._describe(rows[chosen], table, chosen.tolist())
        self._columns["active"][rows[chosen]] = table.active[chosen]
        return rows[chosen]

    def forget(self, content_ids: Collection[str]) -> Rows:
        """Empty the rows of contents that were taken in and erased since; they stay empty. Returns them."""
        rows = np.array([self._row_of.pop(each) for each in content_ids if self.has(each)], np.int64)
        columns = self._columns
        columns["active"][rows] = False
        columns["features"][rows] = DEFAULTS["content"]
        columns["embedding"][rows] = 0.0
        for name in (*_VOCABULARY, "sound"):
            columns[name][rows] = UNKNOWN
        self.snapshot.content_id[rows] = ""
        return rows

    def _opened(self) -> ContentSnapshot:
        """The base over the long columns; made by hand, as the id of a row would be looked up for the free ones too."""
        base, free = self.base, self.free
        opened = copy(base)
        for name, column in self._columns.items():
            object.__setattr__(opened, name, column)
        ids = np.concatenate([base.content_id, np.full(free, "", object)])
        object.__setattr__(opened, "content_id", ids)
        object.__setattr__(opened, "row_of", self._row_of)
        object.__setattr__(opened, "index", JoinedIndex(base.index, len(ids), self._nearest))
        for name in ("sequential", "word_vectors"):
            model = getattr(base, name)
            if model is not None:
                nothing = np.full(free, -1, model.item_of_row.dtype)
                longer = replace(model, item_of_row=np.concatenate([model.item_of_row, nothing]))
                object.__setattr__(opened, name, longer)
        return opened

    def _describe(self, rows: Rows, table: ContentTable, chosen: list[int]) -> None:
        """Write codes; names that nobody had yet are put behind the others, in a snapshot that shares the rest."""
        self._columns["sound"][rows] = table.sound[chosen]
        told = {"creator": table.creator_id, "category": table.category, "language": table.language}
        for name, vocabulary in _VOCABULARY.items():
            names = [told[name][at] for at in chosen]
            known: list[str] = getattr(self.snapshot, vocabulary).tolist()
            code_of = self.snapshot.creator_of if name == "creator" else {each: at for at, each in enumerate(known)}
            new = [each for each in dict.fromkeys(names) if each and each not in code_of]
            if new:
                code_of = {**code_of, **{each: len(known) + at for at, each in enumerate(new)}}
                grown = copy(self.snapshot)
                column = np.empty(len(known) + len(new), object)
                column[:] = [*known, *new]
                object.__setattr__(grown, vocabulary, column)
                if name == "creator":
                    object.__setattr__(grown, "creator_of", code_of)
                self.snapshot = grown
            self._columns[name][rows] = [code_of.get(each, UNKNOWN) for each in names]

    def _features(self, rows: Rows) -> NDArray[np.float32]:
        """The content block of contents nobody has met: what is known of their creators and categories, and no more."""
        base, columns = self.base, self._columns
        block = newcomer_block(columns["duration_s"][rows], self._totals, base.receptions, self._uploaded)
        for kind, at in OF_GROUP.items():
            codes = columns[kind][rows]
            for code in np.unique(codes[codes >= 0]).tolist():
                # All contents of a group say the same of it; an erased one says nothing.
                members = np.flatnonzero((columns[kind][: self._first] == code) & ~self._blank)
                if len(members):
                    block[np.ix_(codes == code, at)] = base.features[members[0], at]
        return block

    def _blank_as_base(self) -> None:
        """Erase from the own columns what was erased from the base since it was written."""
        base, columns = self.base, self._columns
        inactive = np.flatnonzero(~base.active)
        differs = np.zeros(len(inactive), np.bool_)
        for name in _BLANKED:
            changed = columns[name][inactive] != getattr(base, name)[inactive]
            differs |= changed.any(axis=tuple(range(1, changed.ndim)))
        blank = inactive[differs]
        for name in _BLANKED:
            columns[name][blank] = getattr(base, name)[blank]
        self._blank = np.zeros(len(base), np.bool_)
        self._blank[blank] = True

    def _nearest(self, vector: NDArray[np.float32], allowed: Mask | None) -> tuple[Rows, NDArray[np.float32]]:
        """Rows of all that came since and is allowed, with their inner products; in no order."""
        rows = np.arange(self._first, self._next)
        if allowed is not None:
            rows = rows[allowed[self._first : self._next]]
        return rows, self._columns["embedding"][rows] @ vector
