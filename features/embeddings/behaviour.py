"""What follows what: a linear model from a user's recent history to the next content.

A ridge regression in closed form, in the family of session-aware linear models (SLIT of SLIST): S holds one row per
prefix of a user's sequence, the last 20 contents weighted `0.8 ** lag`, T the content that came next.

    B = (S'S + lambda I)^-1 S'T        scores of a history s:  s B

A world in which 1 is always followed by 2, and 2 by 3, gives s = (1 at lag 0) a high score for 2 and none for 1.
Order matters more than the model: without the decay the same matrix is less than half as good.

`fit` costs O(items^3), so only the most met `max_items` take part, and each row of B keeps its 200 largest entries.
It must not score the past with what it learned from the future: fit on events before the moments it is asked about.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LAG_DECAY = 0.8
LAGS = 20
MAX_ITEMS = 4096
"""4,096 items are 67 MB per matrix and about ten seconds on one core."""
MAX_TRANSITIONS = 500_000
"""More of them make the same model more slowly."""
KEPT_PER_ITEM = 200
RIDGE = 0.5
"""lambda as a share of the mean diagonal of S'S, so that it fits logs of any size."""
MIN_TRANSITIONS = 20
_FILE = "sequential.npz"


@dataclass(frozen=True, slots=True)
class SequentialItemModel:
    """The fitted model in rows of one snapshot; m items, n contents.

    Attributes
    ----------
    items : int64 array (m,), rows of the items
    item_of_row : int32 array (n,), the item of a row, -1 for contents that are no item
    start : int64 array (m + 1,), where each item's entries begin
    successor : int32 array, items that may follow
    weight : float32 array, by how much
    """

    items: NDArray[np.int64]
    item_of_row: NDArray[np.int32]
    start: NDArray[np.int64]
    successor: NDArray[np.int32]
    weight: NDArray[np.float32]

    def scores(self, positives: NDArray[np.int64]) -> NDArray[np.float32]:
        """One score per content of the snapshot, float32 (n,); higher means more likely next.

        Parameters
        ----------
        positives : rows the user enjoyed, oldest first; only the last 20 count, none gives zeros
        """
        result = np.zeros(len(self.item_of_row), np.float32)
        result[self.items] = self._item_scores(positives)
        return result

    def scores_of(self, positives: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The same for some rows only, float32 (len(rows),)."""
        item = self.item_of_row[rows]
        if len(self.items) == 0:
            return np.zeros(len(rows), np.float32)
        return np.where(item >= 0, self._item_scores(positives)[item], 0.0).astype(np.float32)

    def on(self, row: NDArray[np.int64], n: int) -> "SequentialItemModel":
        """The same model for a snapshot of n contents; `row` says where each content went, negative for nowhere."""
        moved = row[self.items]
        item_of_row = np.full(n, -1, np.int32)
        kept = moved >= 0
        item_of_row[moved[kept]] = np.flatnonzero(kept)
        if kept.all():
            return SequentialItemModel(moved, item_of_row, self.start, self.successor, self.weight)
        return self._without(~kept, moved, n)

    def _without(self, gone: NDArray[np.bool_], moved: NDArray[np.int64], n: int) -> "SequentialItemModel":
        """Drop items that have no row any more."""
        number = np.cumsum(~gone) - 1
        owner = np.repeat(np.arange(len(self.items)), np.diff(self.start))
        entry = ~gone[owner] & ~gone[self.successor]
        kept = ~gone
        item_of_row = np.full(n, -1, np.int32)
        item_of_row[moved[kept]] = np.arange(kept.sum())
        start = np.append(0, np.cumsum(np.bincount(number[owner[entry]], minlength=int(kept.sum()))))
        successor = number[self.successor[entry]].astype(np.int32)
        return SequentialItemModel(moved[kept], item_of_row, start, successor, self.weight[entry])

    def _item_scores(self, positives: NDArray[np.int64]) -> NDArray[np.float64]:
        """Scores of the m items."""
        history = self.item_of_row[positives[-LAGS:]][::-1]
        by_lag = LAG_DECAY ** np.arange(len(history))
        lag = np.flatnonzero(history >= 0)
        first = self.start[history[lag]]
        length = self.start[history[lag] + 1] - first
        if length.sum() == 0:
            return np.zeros(len(self.items))
        within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        entry = np.repeat(first, length) + within
        weights = np.repeat(by_lag[lag], length) * self.weight[entry]
        return np.bincount(self.successor[entry], weights=weights, minlength=len(self.items)).astype(np.float64)

    def save(self, folder: Path) -> None:
        """Write `sequential.npz` into an existing folder."""
        np.savez(
            folder / _FILE, items=self.items, item_of_row=self.item_of_row, start=self.start,
            successor=self.successor, weight=self.weight,
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> "SequentialItemModel | None":
        """Read what `save` wrote; None where nothing was."""
        if not (folder / _FILE).exists():
            return None
        with np.load(folder / _FILE, allow_pickle=False) as arrays:
            return cls(**{name: arrays[name] for name in ("items", "item_of_row", "start", "successor", "weight")})


def fit(
    user: NDArray[np.int64], row: NDArray[np.int64], n: int, *, max_items: int = MAX_ITEMS
) -> SequentialItemModel | None:
    """Learn from sequences of enjoyed contents.

    Parameters
    ----------
    user : int array (p,), whose sequence each entry belongs to; entries of a user stand together, oldest first
    row : int array (p,), rows of the snapshot
    n : number of contents of the snapshot

    Returns
    -------
    None where there are fewer than 20 transitions: they would be memorised, not learned
    """
    user, row = _without_repeats(np.asarray(user, np.int64), np.asarray(row, np.int64))
    met = np.bincount(row, minlength=n)
    items = np.sort(np.argsort(-met, kind="stable")[: min(max_items, int((met > 0).sum()))])
    item_of_row = np.full(n, -1, np.int32)
    item_of_row[items] = np.arange(len(items))
    item = item_of_row[row]
    user, item = _without_repeats(user[item >= 0], item[item >= 0])
    follows = np.flatnonzero(user[1:] == user[:-1])
    if len(follows) < MIN_TRANSITIONS:
        return None
    return _pruned(_solve(user, item, follows, len(items)), items, item_of_row)


def _without_repeats(user: NDArray[Any], row: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """A content that a user enjoyed several times in a row is one step of the sequence."""
    if len(row) == 0:
        return user, row
    new = np.append(True, (user[1:] != user[:-1]) | (row[1:] != row[:-1]))
    return user[new], row[new]


def _solve(user: NDArray[np.int64], item: NDArray[np.int32], last: NDArray[np.int64], m: int) -> NDArray[np.float32]:
    """B, float32 (m, m); `last` holds the positions after which something follows."""
    from scipy import linalg, sparse  # noqa: PLC0415  a web worker never fits

    entries, columns, values = [], [], []
    for lag in range(LAGS):
        at = last - lag
        # `last` positions whose user has no entry that far back drop out.
        reach = np.flatnonzero((at >= 0) & (user[at] == user[last]))
        entries.append(reach)
        columns.append(item[at[reach]])
        values.append(np.full(len(reach), LAG_DECAY**lag, np.float32))
    shape = (len(last), m)
    s = sparse.csr_matrix((np.concatenate(values), (np.concatenate(entries), np.concatenate(columns))), shape=shape)
    t = sparse.csr_matrix((np.ones(len(last), np.float32), (np.arange(len(last)), item[last + 1])), shape=shape)
    gram = np.asarray((s.T @ s).todense(), np.float32)
    gram[np.diag_indices(m)] += RIDGE * float(gram.trace()) / m
    target = np.asarray((s.T @ t).todense(), np.float32)
    return np.asarray(linalg.solve(gram, target, assume_a="pos", overwrite_a=True, overwrite_b=True), np.float32)


def _pruned(b: NDArray[np.float32], items: NDArray[np.int64], item_of_row: NDArray[np.int32]) -> SequentialItemModel:
    """Keep the largest entries of each row, by absolute value."""
    m = len(items)
    kept = min(KEPT_PER_ITEM, m)
    best = np.sort(np.argpartition(-np.abs(b), kept - 1, axis=1)[:, :kept], axis=1)
    return SequentialItemModel(
        items=items,
        item_of_row=item_of_row,
        start=np.arange(m + 1, dtype=np.int64) * kept,
        successor=best.astype(np.int32).ravel(),
        weight=np.take_along_axis(b, best, axis=1).astype(np.float32).ravel(),
    )
