"""Decayed counts of one user's encounters: in all, per category and per creator, over every half-life.

The same signals and half-lives as the counters of contents, from the user's own last events, so that an event changes
the very next page. An encounter counts once, dated by the latest event about its content; its weight is
`2 ** (-age / half-life)` by plain time: a user who was away for a month has said nothing lately.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.extraction.definitions import HALF_LIVES_S, PRIOR_RATE, RATED
from features.extraction.past import FLAGS, Encounters

STRENGTH: Final = 3.0
"""Imagined encounters at the prior rate."""
_LABELS: Final = tuple(HALF_LIVES_S)
_HALF_LIVES: Final = np.array(list(HALF_LIVES_S.values()))
_PRIORS: Final = np.array([PRIOR_RATE[signal] for signal in FLAGS])
_MET, _ENGAGED, _PRAISE = len(FLAGS), len(FLAGS) + 1, len(FLAGS) + 2
_COLUMNS: Final = len(FLAGS) + 3


@dataclass(frozen=True, slots=True)
class Habits:
    """Sums over groups of encounters; g groups, the last of which is that of nothing.

    Attributes
    ----------
    codes : int array (g - 1,), ascending, what the groups are
    sums : float64 array (g, columns, half-lives): flags, encounters, worth, and worth where it is positive
    """

    codes: NDArray[np.int64]
    sums: NDArray[np.float64]

    def place(self, wanted: NDArray[np.int32]) -> NDArray[np.int64]:
        """Group of each wanted code, the group of nothing for those never met."""
        if len(self.codes) == 0:
            return np.zeros(len(wanted), np.int64)
        at = np.minimum(np.searchsorted(self.codes, wanted), len(self.codes) - 1)
        return np.where(self.codes[at] == wanted, at, len(self.codes))

    def met(self, label: str) -> NDArray[np.float64]:
        """Decayed encounters per group."""
        return np.asarray(self.sums[:, _MET, _LABELS.index(label)])

    def praise(self, label: str) -> NDArray[np.float64]:
        """Decayed positive worth per group: engagement."""
        return np.asarray(self.sums[:, _PRAISE, _LABELS.index(label)])

    def mean_worth(self, label: str) -> NDArray[np.float64]:
        """Mean worth of an encounter per group, shrunk by imagined neutral ones."""
        column = _LABELS.index(label)
        return np.asarray(self.sums[:, _ENGAGED, column] / (self.sums[:, _MET, column] + STRENGTH))

    def rates(self, prior: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Smoothed rates (g, flags, half-lives), pulled to constants or to `prior` (flags, half-lives)."""
        towards = _PRIORS[:, None] if prior is None else prior
        people = self.sums[:, _MET : _MET + 1]
        return np.asarray((self.sums[:, : len(FLAGS)] + STRENGTH * towards) / (people + STRENGTH))


@dataclass(frozen=True, slots=True)
class Weighted:
    """Encounters with their weights at one moment: float64 (m, columns, half-lives)."""

    values: NDArray[np.float64]

    @classmethod
    def of(cls, met: Encounters, now: float) -> "Weighted":
        """As of a moment in seconds since 1970 UTC; an event from the future weighs as one of now."""
        weight = np.exp2(-np.maximum(now - met.at, 0.0)[:, None] / _HALF_LIVES)
        told = np.empty((len(met), _COLUMNS))
        told[:, : len(FLAGS)] = met.flags
        told[:, _MET], told[:, _ENGAGED] = 1.0, met.worth
        told[:, _PRAISE] = np.maximum(met.worth, 0.0)
        return cls(told[:, :, None] * weight[:, None, :])

    def in_all(self) -> Habits:
        """One group of everything."""
        sums = np.zeros((1, _COLUMNS, len(_LABELS)))
        if len(self.values):
            sums[0] = np.add.reduce(self.values, axis=0)
        return Habits(np.empty(0, np.int64), sums)

    def by(self, code: NDArray[np.int32]) -> Habits:
        """Grouped by a code of each encounter; negative codes belong to no group."""
        known = np.flatnonzero(code >= 0)
        known = known[np.argsort(code[known], kind="stable")]
        owner = code[known].astype(np.int64)
        start = np.flatnonzero(np.diff(owner, prepend=-1))
        sums = np.zeros((len(start) + 1, _COLUMNS, len(_LABELS)))
        if len(start):
            sums[:-1] = np.add.reduceat(self.values[known], start, axis=0)
        return Habits(owner[start], sums)


def places(prefix: str, wanted: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, int, int], ...]:
    """Feature name, flag and half-life of each wanted rate: what `named` looks up, made once.

    >>> places("user", {"7d": ("likes",)}) == (("user_like_rate_7d", FLAGS.index("likes"), _LABELS.index("7d")),)
    True
    """
    return tuple(
        (f"{prefix}_{RATED[signal]}_{label}", FLAGS.index(signal), _LABELS.index(label))
        for label, signals in wanted.items()
        for signal in signals
    )


def named(rates: NDArray[np.float64], wanted: Iterable[tuple[str, int, int]]) -> dict[str, NDArray[np.float64]]:
    """Some of the rates (g, flags, half-lives), see `places`, by their feature names, each of length g."""
    return {name: rates[:, flag, column] for name, flag, column in wanted}
