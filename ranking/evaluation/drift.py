"""How far what a model sees, or says, has moved from what it was trained on: the population stability index.

    PSI = sum over bins of (p - q) ln(p / q),   p the share of a bin now, q then

Bins are the tenths of the reference, so a column of one value has one bin, and a value that was never there before
falls into the last. By custom below 0.1 is calm and above 0.25 is another population. Plain arrays.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

BINS: Final = 10
CALM: Final = 0.1
MOVED: Final = 0.25
LEAST_SHARE: Final = 1e-3
"""What an empty bin counts as, so that no logarithm is infinite."""

Values = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Reference:
    """What a column looked like: ascending inner edges (k,), and the shares (k + 1,) between them."""

    edges: tuple[float, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, values: Values) -> Self:
        """Measure on values, at least one of them."""
        if len(values) == 0:
            raise ValueError("a reference needs at least one value, got 0")
        # Rounded first: an edge that moved by rounding would move everybody who has exactly this value.
        edges = np.unique(np.float32(np.quantile(values, np.arange(1, BINS) / BINS)))
        return cls(tuple(edges.tolist()), tuple(_shares(values, edges).tolist()))

    @classmethod
    def from_json(cls, told: Any) -> Self:
        return cls(tuple(told["edges"]), tuple(told["shares"]))

    def psi(self, values: Values) -> float:
        """The index of other values; 0 for none.

        >>> calm = Reference.of(np.arange(1000.0))
        >>> round(calm.psi(np.arange(1000.0)), 6), calm.psi(np.arange(1000.0) + 500.0) > MOVED
        (0.0, True)
        """
        if len(values) == 0:
            return 0.0
        now = np.maximum(_shares(values, np.array(self.edges, np.float32)), LEAST_SHARE)
        then = np.maximum(np.array(self.shares), LEAST_SHARE)
        return float(((now - then) * np.log(now / then)).sum())


def _shares(values: Values, edges: NDArray[np.float32]) -> NDArray[np.float64]:
    """Share of the values between the edges; a value that equals an edge lies above it."""
    place = np.searchsorted(edges, np.asarray(values, np.float32), side="right")
    return np.bincount(place, minlength=len(edges) + 1) / len(values)
