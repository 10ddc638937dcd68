"""Calibration: the page's mix of categories follows the user's own (Steck, 2018).

A ranker that knows somebody likes 70 % comedy and 30 % news fills the page with comedy. Steck's greedy page maximises

    (1 - lambda) * (sum of values) - lambda * KL(p || q~),   q~ = (1 - ALPHA) q + ALPHA p

with p the user's mix and q the page's; q~ keeps the divergence finite where the page lacks a category. Dividing by
1 - lambda gives the term added here to the value of each candidate.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.moves import Reason
from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import Ids

ALPHA = 0.01
"""As in the paper."""
IMAGINED = 5.0
"""Contents imagined in the mix of the candidates: one clip watched is no wish for a page of its category only."""


def category_mix(
    history: NDArray[np.int32], offered: NDArray[np.int32], *, imagined: float = IMAGINED
) -> NDArray[np.float64]:
    """Share of each category code, float64 array (largest code + 1,), adding up to 1, or zeros if none is known.

    `history` and `offered` are codes of what the user liked and of what could be shown, negative where unknown. The mix
    of the history is shrunk towards that of the offer: (counts + imagined * offered share) / (n + imagined).

    >>> category_mix(np.array([0, 0, 1]), np.array([1, 2]), imagined=1.0).tolist()
    [0.5, 0.375, 0.125]
    """
    size = int(max(history.max(initial=-1), offered.max(initial=-1))) + 1
    liked = np.bincount(history[history >= 0], minlength=size).astype(np.float64)
    shown = np.bincount(offered[offered >= 0], minlength=size).astype(np.float64)
    if shown.sum() > 0.0:
        liked += imagined * shown / shown.sum()
    return liked / liked.sum() if liked.sum() > 0.0 else liked


def miscalibration(wanted: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """KL(p || q~) in nats, of a mix p and a page with `counts` contents of each category; 0 on an empty page.

    >>> round(miscalibration(np.array([0.5, 0.5]), np.array([1.0, 1.0])), 9)
    0.0
    """
    total = counts.sum()
    if total == 0.0:
        return 0.0
    asked = wanted > 0.0
    p = wanted[asked]
    return float(np.sum(p * np.log(p / ((1.0 - ALPHA) * counts[asked] / total + ALPHA * p))))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The term of page assembly. `liked` are rows of the catalogue the user liked; none leaves only the offer's mix.

    `strength` is Steck's lambda in [0, 1), for values in standard deviations.
    """

    shelf: Shelf
    liked: Ids
    strength: float = 0.15

    def __post_init__(self) -> None:
        if not 0.0 <= self.strength < 1.0:
            raise ValueError(f"strength must lie in [0, 1), got {self.strength}")

    def begin(self, candidates: Ids) -> "PageMix":
        """The term for one page."""
        codes = self.shelf.category[candidates]
        wanted = category_mix(self.shelf.category[self.liked], codes)
        return PageMix(codes, wanted, self.strength / (1.0 - self.strength))


class PageMix:
    """-weight * KL(p || q~) if a candidate came next. Unknown categories (negative codes) leave the mix as it is."""

    reason: ClassVar[Reason] = "calibration"

    def __init__(self, codes: NDArray[np.int32], wanted: NDArray[np.float64], weight: float) -> None:
        self._codes, self._wanted, self._weight = codes, wanted, weight
        # The page as it is, and with one more of each category.
        self._counts = np.stack([np.zeros(len(wanted)), np.ones(len(wanted))])
        self._total = 0.0
        asked = wanted[wanted > 0.0]
        self._entropy = float(np.sum(asked * np.log(asked)))
        # Where nothing is wanted, the logarithm below is multiplied by 0 and must only be finite.
        self._floor = np.where(wanted > 0.0, ALPHA * wanted, 1.0)
        self._some_unknown = bool((codes < 0).any())

    def gains(self) -> NDArray[np.float64]:
        """One divergence per category, looked up by candidate: float64 array (n,)."""
        logs = self._counts * ((1.0 - ALPHA) / (self._total + 1.0))
        logs += self._floor
        short, served = self._wanted * np.log(logs, out=logs)
        divergence = short - served
        divergence += self._entropy - np.add.reduce(short)
        if self._some_unknown:
            # The last entry answers for the unknown (-1).
            divergence = np.append(divergence, self._as_it_is(divergence))
        return np.asarray((-self._weight * divergence)[self._codes])

    def _as_it_is(self, divergence: NDArray[np.float64]) -> float:
        """The page without a further known content; on an empty one, what a typical content would make of it."""
        if self._total:
            return miscalibration(self._wanted, self._counts[0])
        return float(self._wanted @ divergence)

    def take(self, pick: int) -> None:
        """Count the category of `pick`."""
        if self._codes[pick] >= 0:
            self._counts[:, self._codes[pick]] += 1.0
            self._total += 1.0
