"""What follows what: linear models from a user's enjoyed contents to the next one, and how serving asks them.

Two models answer together (`linear` solves them, `statistics` keeps their sums):
- **next-item regression** over two channels of the recent past: a short one (weights 1, 0.5, 0.25, ... over 8 contents)
  that knows what was just watched, and a long one (`0.9 ** lag` over 40). Fitted together, each learns what the other
  cannot explain; that beats either alone and any mean of the two.
- **EASE** over the last 100 without regard to order: lasting taste, and the better half where sequences are short.

    score = regression + ease_weight * (spread of regression / spread of EASE) * EASE

which orders contents as the weighted sum of z-scores does, but keeps "knows nothing" at zero. A world in which 1 is
always followed by 2, and 2 by 3, gives the history (1) a high score for 2 and none for 1.

`fit` costs O(items^3), so only the most met `max_items` take part, and each row keeps its 512 largest entries. It must
not score the past with what it learned from the future: fit on events before the moments it is asked about.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.embeddings.linear import ease_weights, next_item_weights
from features.embeddings.statistics import Channel, SequenceStatistics

MAX_ITEMS: Final = 4096
"""4,096 items are up to two gigabytes while fitting and some ten seconds on one core."""
MAX_TRANSITIONS: Final = 500_000
"""More of them make the same model more slowly."""
KEPT_PER_ITEM: Final = 512
"""512 cost 1 % of NDCG@10 on MovieLens-1M, 200 cost 2 %; all of them would be 200 MB and slower to ask."""
EASE_HISTORY: Final = 100
RIDGE_LIMIT: Final = 4.0
"""A ridge is at most this share of the mean diagonal, so that a small log is not shrunk to nothing."""
MIN_TRANSITIONS: Final = 20
_FILE: Final = "sequential.npz"


@dataclass(frozen=True, slots=True)
class Settings:
    """What `fit` is free to choose; chosen on the validation days of MovieLens-1M and KuaiRand-Pure.

    Attributes
    ----------
    channels : of the regression, at most two; none leaves EASE alone
    ridge : per channel, in steps of the log
    ease_ridge : in users
    ease_weight : of EASE beside the regression; 0 leaves it out
    """

    channels: tuple[Channel, ...] = (Channel(0.5, 8), Channel(0.9, 40))
    ridge: tuple[float, ...] = (300.0, 800.0)
    ease_ridge: float = 300.0
    ease_weight: float = 1.0


DEFAULT: Final = Settings()


@dataclass(frozen=True, slots=True)
class SequentialItemModel:
    """The fitted model in rows of one snapshot; m items, n contents, K channels.

    Attributes
    ----------
    items : int64 array (m,), rows of the items
    item_of_row : int32 array (n,), the item of a row, -1 for contents that are no item
    successor : int32 array (m, k), items that may follow each one
    weight : float32 array (K, m, k), by how much, per channel
    ease : float32 array (m, k), by how much in EASE
    decay : float64 array (K,), of the channels
    lags : int64 array (K,), of the channels
    ease_weight : float64 array (), see `Settings`
    """

    items: NDArray[np.int64]
    item_of_row: NDArray[np.int32]
    successor: NDArray[np.int32]
    weight: NDArray[np.float32]
    ease: NDArray[np.float32]
    decay: NDArray[np.float64]
    lags: NDArray[np.int64]
    ease_weight: NDArray[np.float64]

    def scores(self, positives: NDArray[np.int64]) -> NDArray[np.float32]:
        """One score per content of the snapshot, float32 (n,); higher means more likely next.

        Parameters
        ----------
        positives : rows the user enjoyed, oldest first; the last 100 count, none gives zeros
        """
        result = np.zeros(len(self.item_of_row), np.float32)
        result[self.items] = self._item_scores(positives)
        return result

    def knows(self, positives: NDArray[np.int64]) -> bool:
        """Whether any of the contents that count has a place in the model; `positives` as in `scores`."""
        return bool((self.item_of_row[positives[-EASE_HISTORY:]] >= 0).any())

    def scores_of(self, positives: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The same for some rows only, float32 (len(rows),)."""
        item = self.item_of_row[rows]
        if len(self.items) == 0:
            return np.zeros(len(rows), np.float32)
        return np.where(item >= 0, self._item_scores(positives)[item], 0.0).astype(np.float32)

    def on(self, row: NDArray[np.int64], n: int) -> "SequentialItemModel":
        """The same model for a snapshot of n contents; `row` says where each content went, negative for nowhere.

        Items that have no row any more leave the model.
        """
        moved = row[self.items]
        kept = moved >= 0
        number = np.cumsum(kept) - 1
        stays = kept[self.successor[kept]]
        item_of_row = np.full(n, -1, np.int32)
        item_of_row[moved[kept]] = np.arange(kept.sum())
        return SequentialItemModel(
            items=moved[kept],
            item_of_row=item_of_row,
            # What pointed at a content that is gone points anywhere, with weight zero.
            successor=np.where(stays, number[self.successor[kept]], 0).astype(np.int32),
            # Contiguous, so that it has the same bytes in a file.
            weight=np.ascontiguousarray(np.where(stays, self.weight[:, kept], np.float32(0.0))),
            ease=np.where(stays, self.ease[kept], np.float32(0.0)),
            decay=self.decay,
            lags=self.lags,
            ease_weight=self.ease_weight,
        )

    def _item_scores(self, positives: NDArray[np.int64]) -> NDArray[np.float64]:
        """Scores of the m items: a sum over the rows of the history, some tenths of a millisecond."""
        reach = int(self.lags.max(initial=0))
        history = self.item_of_row[positives[-max(EASE_HISTORY, reach) :]][::-1]
        lag = np.flatnonzero(history >= 0)
        if len(lag) == 0:
            return np.zeros(len(self.items))
        item = history[lag]
        recent, lag = item[lag < reach], lag[lag < reach]
        follows = np.zeros((len(recent), self.successor.shape[1]), np.float32)
        for decay, lags, weight in zip(self.decay, self.lags, self.weight, strict=True):
            near = recent[lag < lags]
            by_lag = (decay ** lag[: len(near)]).astype(np.float32)
            follows[: len(near)] += by_lag[:, None] * weight[near]
        regression = self._summed(recent, follows)
        if not self.ease_weight:
            return regression
        # A content enjoyed twice is one content to EASE.
        once = np.unique(self.item_of_row[positives[-EASE_HISTORY:]])
        once = once[once >= 0]
        ease = self._summed(once, self.ease[once])
        spread, other = regression.std(), ease.std()
        scale = spread / other if spread > 0.0 and other > 0.0 else 1.0
        return np.asarray(regression + float(self.ease_weight) * scale * ease)

    def _summed(self, item: NDArray[Any], entries: NDArray[np.float32]) -> NDArray[np.float64]:
        """Add up the entries (h, k) of the rows of some items."""
        successor = self.successor[item].ravel()
        return np.bincount(successor, weights=entries.ravel(), minlength=len(self.items)).astype(np.float64)

    def save(self, folder: Path) -> None:
        """Write `sequential.npz` into an existing folder."""
        arrays = {each.name: getattr(self, each.name) for each in fields(self)}
        np.savez(folder / _FILE, **arrays)

    @classmethod
    def load(cls, folder: Path) -> "SequentialItemModel | None":
        """Read what `save` wrote; None where nothing was."""
        if not (folder / _FILE).exists():
            return None
        with np.load(folder / _FILE, allow_pickle=False) as arrays:
            return cls(**{each.name: arrays[each.name] for each in fields(cls)})


def fit(
    user: NDArray[np.int64],
    row: NDArray[np.int64],
    n: int,
    *,
    max_items: int | None = None,
    settings: Settings = DEFAULT,
) -> SequentialItemModel | None:
    """Learn from sequences of enjoyed contents.

    Parameters
    ----------
    user : int array (p,), whose sequence each entry belongs to; entries of a user stand together, oldest first
    row : int array (p,), rows of the snapshot
    n : number of contents of the snapshot
    max_items : contents that take part, the most met ones; `MAX_ITEMS` by default

    Returns
    -------
    None where there are fewer than 20 transitions: they would be memorised, not learned
    """
    items, user, item = chosen(user, row, n, max_items=max_items)
    if int((user[1:] == user[:-1]).sum()) < MIN_TRANSITIONS:
        return None
    # Half the memory: these sums are used once and forget nothing.
    sums = SequenceStatistics(len(items), channels=settings.channels, dtype=np.float32)
    sums.add(user, item)
    return solve(sums, items, n, settings=settings)


def chosen(
    user: NDArray[np.int64], row: NDArray[np.int64], n: int, *, max_items: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The items that take part, int64 array (m,) of rows, and the sequences of them: users and items.

    Parameters
    ----------
    user, row, n, max_items : as in `fit`
    """
    user, row = without_repeats(np.asarray(user, np.int64), np.asarray(row, np.int64))
    met = np.bincount(row, minlength=n)
    items = np.sort(np.argsort(-met, kind="stable")[: min(max_items or MAX_ITEMS, int((met > 0).sum()))])
    item_of_row = np.full(n, -1, np.int32)
    item_of_row[items] = np.arange(len(items))
    item = item_of_row[row].astype(np.int64)
    return items, *without_repeats(user[item >= 0], item[item >= 0])


def solve(
    sums: SequenceStatistics, items: NDArray[np.int64], n: int, *, settings: Settings = DEFAULT
) -> SequentialItemModel:
    """The model that follows from sums, whether they were added up at once or event by event.

    Parameters
    ----------
    items : int array (m,), rows of the items in a snapshot of n contents
    """
    if sums.channels != settings.channels:
        raise ValueError(f"the sums are of the channels {sums.channels}, the settings of {settings.channels}")
    size, count = len(items), len(settings.channels)
    weight = np.zeros((count, size, size), np.float32)
    if count:
        block = np.array([sums.earlier[c, c].trace() * 2.0 / size for c in range(count)])
        ridge = tuple(np.minimum(settings.ridge, RIDGE_LIMIT * np.maximum(block, 1.0)).tolist())
        weight = next_item_weights(sums, ridge)
    ease = np.zeros((size, size), np.float32)
    if settings.ease_weight:
        limit = RIDGE_LIMIT * max(float(sums.together.trace()) / size, 1.0)
        ease = ease_weights(sums.together, min(settings.ease_ridge, limit))
    return _pruned(weight, ease, items, n, settings)


def without_repeats(user: NDArray[Any], row: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """A content that a user enjoyed several times in a row is one step of the sequence."""
    if len(row) == 0:
        return user, row
    new = np.append(True, (user[1:] != user[:-1]) | (row[1:] != row[:-1]))
    return user[new], row[new]


def _pruned(
    weight: NDArray[np.float32], ease: NDArray[np.float32], items: NDArray[np.int64], n: int, settings: Settings
) -> SequentialItemModel:
    """Keep the entries of each row that matter most, by absolute value in units of each matrix's own spread."""
    size = len(items)
    kept = min(KEPT_PER_ITEM, size)
    matter = np.zeros((size, size), np.float32)
    for each in (*weight, settings.ease_weight * ease):
        spread = float(each.std())
        matter += np.abs(each) / (spread if spread > 0.0 else 1.0)
    best = np.sort(np.argpartition(-matter, kept - 1, axis=1)[:, :kept], axis=1)
    item_of_row = np.full(n, -1, np.int32)
    item_of_row[items] = np.arange(size)
    return SequentialItemModel(
        items=items,
        item_of_row=item_of_row,
        successor=best.astype(np.int32),
        weight=np.stack([np.take_along_axis(each, best, axis=1) for each in weight])
        if len(weight)
        else np.zeros((0, size, kept), np.float32),
        ease=np.take_along_axis(ease, best, axis=1),
        decay=np.array([each.decay for each in settings.channels], np.float64),
        lags=np.array([each.lags for each in settings.channels], np.int64),
        ease_weight=np.array(settings.ease_weight),
    )
