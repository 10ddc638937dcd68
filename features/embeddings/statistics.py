"""Sums over sequences that two linear item models are solved from, kept up to date one event at a time.

With H_c the history of channel c before a step (one entry `decay_c ** lag` for each of the last `lags_c` contents), T
the content of the step, and X the contents of a user, once each:

    earlier[c, d]  pairs of H_c'H_d, of which `gram` makes H'H       target[c]  H_c'T       together  X'X

No history is ever built. In H'H a pair of contents that lie `gap` steps apart meets once per step that still sees both,
so its share is a partial sum of a geometric series that depends on the gap and on how soon the sequence ends: one table
look-up per pair, `lags` pairs per event. Twenty lags cost twenty additions per event, where the matrix product costs
four hundred.

Every share is a multiple of 2^-20. Sums of such numbers below 2^33 are exact in float64, so the order of additions
leaves no trace, and forgetting a user gives bit for bit what was there before: erased is erased.

    >>> sums = SequenceStatistics(3, channels=(Channel(decay=0.5, lags=2),))
    >>> sums.add(np.array([7, 7, 7]), np.array([0, 1, 2]))
    >>> sums.target[0].tolist()
    [[0.0, 1.0, 0.5], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    >>> sums.forget(np.array([7]))
    >>> bool(sums.target.any() or sums.earlier.any() or sums.together.any())
    False
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

EXACT_TO: Final = 2.0**20
"""Shares are rounded to multiples of its inverse: a relative error of 1e-4 in the smallest of them."""
_PAIRS_AT_ONCE: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to look back: `decay ** lag` for each of the last `lags` contents."""

    decay: float
    lags: int

    def __post_init__(self) -> None:
        if not 0.0 < self.decay <= 1.0 or self.lags < 1:
            raise ValueError(f"a channel needs a decay in (0, 1] and at least one lag; got {self.decay}, {self.lags}")


class SequenceStatistics:
    """The sums of m items, and the sequences they come from.

    Attributes
    ----------
    size : m
    channels : K of them
    user, item : int64 arrays (p,), the sequences; entries of a user stand together, oldest first
    earlier : array (K, K, m, m); [c, d, i, j] sums over steps i seen earlier (or at once) in c, j later in d
    target : array (K, m, m); [c, i, j] sums i in the history of c with j as the step
    together : array (m, m); users who have both
    """

    def __init__(self, size: int, *, channels: tuple[Channel, ...], dtype: type[np.floating[Any]] = np.float64) -> None:
        """Empty sums; float32 takes half the memory for a fit that will never forget."""
        self.size, self.channels = size, channels
        count = len(channels)
        self.user, self.item = np.empty(0, np.int64), np.empty(0, np.int64)
        self.earlier = np.zeros((count, count, size, size), dtype)
        self.target = np.zeros((count, size, size), dtype)
        self.together = np.zeros((size, size), dtype)

    def add(self, user: NDArray[np.int64], item: NDArray[np.int64]) -> None:
        """Go on with the sequences of some users.

        Parameters
        ----------
        user : int array (p,), any codes; the order of a user's entries is their order in time
        item : int array (p,), in [0, m); `ValueError` names one that is not
        """
        user, item = np.asarray(user, np.int64), np.asarray(item, np.int64)
        outside = item[(item < 0) | (item >= self.size)]
        if len(outside):
            raise ValueError(f"item {int(outside[0])} is none of the {self.size} items")
        mine = np.isin(self.user, user)
        before = self.user[mine], self.item[mine]
        order = np.argsort(all_users := np.append(before[0], user), kind="stable")
        after = all_users[order], np.append(before[1], item)[order]
        self._contribute(*before, sign=-1.0)
        self._contribute(*after, sign=1.0)
        order = np.argsort(all_users := np.append(self.user[~mine], after[0]), kind="stable")
        self.user, self.item = all_users[order], np.append(self.item[~mine], after[1])[order]

    def forget(self, users: NDArray[np.int64]) -> None:
        """Take out all that some users contributed; unknown users change nothing."""
        gone = np.isin(self.user, users)
        self._contribute(self.user[gone], self.item[gone], sign=-1.0)
        self.user, self.item = self.user[~gone], self.item[~gone]

    def replace(self, user: NDArray[np.int64], item: NDArray[np.int64]) -> int:
        """Make whole sequences the only ones; costs what differs, and returns the number of users that do.

        Parameters
        ----------
        user, item : int arrays (p,), as the attributes of these names
        """
        size = int(max(self.user.max(initial=-1), user.max(initial=-1))) + 1
        before, after = np.bincount(self.user, minlength=size), np.bincount(user, minlength=size)
        moved = before != after
        # What has the same length stands in the same order on both sides.
        mine, theirs = ~moved[self.user], ~moved[user]
        moved[user[theirs][self.item[mine] != item[theirs]]] = True
        changed = np.flatnonzero(moved)
        self.forget(changed)
        new = moved[user]
        self.add(user[new], item[new])
        return len(changed)

    def on(self, item: NDArray[np.int64], size: int) -> "SequenceStatistics":
        """The same sums over `size` other items; users who have an item that is none of them are forgotten first.

        Parameters
        ----------
        item : int array (m,), what each item is called now, negative for none
        """
        if size == self.size and np.array_equal(item, np.arange(size)):
            return self
        self.forget(self.user[item[self.item] < 0])
        other = SequenceStatistics(size, channels=self.channels, dtype=self.target.dtype.type)
        old = np.flatnonzero(item >= 0)
        here, there = np.ix_(old, old), np.ix_(item[old], item[old])
        for c in range(len(self.channels)):
            other.target[c][there] = self.target[c][here]
            for d in range(len(self.channels)):
                other.earlier[c, d][there] = self.earlier[c, d][here]
        other.together[there] = self.together[here]
        other.user, other.item = self.user, item[self.item]
        return other

    @property
    def steps(self) -> int:
        """Entries that follow another one of the same user."""
        return int((self.user[1:] == self.user[:-1]).sum())

    def gram(self) -> NDArray[np.float32]:
        """H'H of all channels side by side, float32 (K m, K m), symmetric."""
        size, count = self.size, len(self.channels)
        whole = np.empty((count * size, count * size), np.float32)
        for c in range(count):
            for d in range(count):
                # A pair at gap 0 has half of its share on either side.
                block = self.earlier[c, d] + self.earlier[d, c].T
                whole[c * size : (c + 1) * size, d * size : (d + 1) * size] = block
        return whole

    def save(self, path: Path, **more: Any) -> None:
        """Write an npz file; `more` are arrays kept beside the sums, for whoever knows what it means."""
        with path.open("wb") as stream:
            np.savez(
                stream, decay=np.array([each.decay for each in self.channels]),
                lags=np.array([each.lags for each in self.channels], np.int64), user=self.user, item=self.item,
                earlier=self.earlier, target=self.target, together=self.together, **more,
            )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> "SequenceStatistics":
        """Read what `save` wrote."""
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            pairs = zip(arrays["decay"].tolist(), arrays["lags"].tolist(), strict=True)
            sums = cls(0, channels=tuple(Channel(decay, lags) for decay, lags in pairs))
            for name in ("user", "item", "earlier", "target", "together"):
                setattr(sums, name, arrays[name])
        sums.size = len(sums.together)
        return sums

    def _contribute(self, user: NDArray[np.int64], item: NDArray[np.int64], *, sign: float) -> None:
        """Add whole sequences to the sums, or take them out."""
        if len(user) == 0:
            return
        self._contribute_sets(user, item, sign)
        ends = np.append(np.flatnonzero(user[1:] != user[:-1]), len(user) - 1)
        # Entries of the same user behind each one.
        left = np.repeat(ends, np.diff(ends, prepend=-1)) - np.arange(len(user))
        for gap in range(max((each.lags for each in self.channels), default=-1) + 1):
            first = np.flatnonzero(left >= gap)
            for start in range(0, len(first), _PAIRS_AT_ONCE):
                at = first[start : start + _PAIRS_AT_ONCE]
                self._contribute_pairs(item[at] * self.size + item[at + gap], left[at + gap], gap, sign)

    def _contribute_pairs(self, pair: NDArray[np.int64], left: NDArray[np.int64], gap: int, sign: float) -> None:
        """Add pairs of entries `gap` apart; `left` entries follow the later one, and each is a step that saw it."""
        dtype = self.target.dtype
        for c, early in enumerate(self.channels):
            if 1 <= gap <= early.lags:
                share = sign * _rounded(early.decay ** (gap - 1))
                np.add.at(self.target[c].reshape(-1), pair, dtype.type(share))
            for d, late in enumerate(self.channels):
                lags = np.arange(min(early.lags - gap, late.lags))
                if len(lags) == 0:
                    continue
                series = np.cumsum(early.decay ** (lags + gap) * late.decay**lags)
                table = sign * _rounded(np.append(0.0, series) * (0.5 if gap == 0 else 1.0)).astype(dtype)
                np.add.at(self.earlier[c, d].reshape(-1), pair, table[np.minimum(left, len(lags))])

    def _contribute_sets(self, user: NDArray[np.int64], item: NDArray[np.int64], sign: float) -> None:
        from scipy import sparse  # noqa: PLC0415  a web worker never fits

        who = np.cumsum(np.append(0, user[1:] != user[:-1]))
        owner, content = np.divmod(np.unique(who * self.size + item), self.size)
        ones = np.ones(len(owner), self.together.dtype)
        has = sparse.csr_matrix((ones, (owner, content)), shape=(int(who[-1]) + 1, self.size))
        pairs = (has.T @ has).tocoo()
        self.together[pairs.row, pairs.col] += sign * pairs.data


def _rounded(share: Any) -> Any:
    return np.round(share * EXACT_TO) / EXACT_TO
