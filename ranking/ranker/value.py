"""The value model: what a content is worth to this feed, from the heads of the ranker and weights that people set.

    V = w_watch * E[seconds watched, without the advantage of length] + sum over heads of w_head * P(head)

One second of watching is the unit, so a weight of 4 for a like says that a like is worth four seconds. Weights are set
per segment of users, from how active they have been, and are data, not code: a change serves at once and trains
nothing. Refusals can only count against a content, and everything else only for it: a typing error must not reward
reports.

    segment    visits in the history, days with activity among the last seven
    new        at most one visit
    casual     up to two days
    regular    three to five days
    heavy      six or seven days

Not here: who sets the weights and when they serve (`ranking.value_weights`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from features.extraction.definitions import NAMES
from ranking.ranker.heads import HEADS
from ranking.ranker.reading import OUTPUTS

Segment = Literal["new", "casual", "regular", "heavy"]
SEGMENTS: Final[tuple[Segment, ...]] = ("new", "casual", "regular", "heavy")
WATCH: Final = "watch"
TERMS: Final = (WATCH, *HEADS)
"""What is weighed, in this order."""
REFUSALS: Final = frozenset({"skip", "hide", "report"})
MOST: Final = 1_000.0
"""Of any weight, in seconds; more would let one head drown all others."""
DEFAULTS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "watch": 1.0, "long_view": 0.0, "completion": 1.0, "replay": 1.0, "skip": -6.0, "like": 4.0, "comment": 3.0,
        "share": 8.0, "save": 6.0, "follow": 10.0, "hide": -60.0, "report": -200.0, "return_24h": 5.0,
    }
)  # fmt: skip
"""Where a deployment starts, for all segments; which differences pay is for its own experiments to say."""

_DEBIASED: Final = OUTPUTS.index("debiased_watch_s")
_DAYS: Final = NAMES["user"].index("user_active_days")
_SESSIONS: Final = NAMES["user"].index("user_sessions")


class InvalidWeights(ValueError):
    """Weights that must not serve; the sentence names the segment, the term and the value."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of the weights.

    Attributes
    ----------
    version : 0 for the defaults of the code
    weights : float64 array (segments, terms)
    """

    version: int
    weights: NDArray[np.float64]

    @classmethod
    def default(cls) -> "Policy":
        """The defaults, for every segment."""
        return cls(0, np.tile([DEFAULTS[term] for term in TERMS], (len(SEGMENTS), 1)))

    @classmethod
    def parse(cls, version: int, document: Any) -> "Policy":
        """A policy from `{segment: {term: weight}}`, which must name every segment and every term.

        Raises
        ------
        InvalidWeights : for missing or unknown names, and for weights that are no finite number within their bounds
        """
        _same_names("segments", document, SEGMENTS)
        rows = []
        for segment in SEGMENTS:
            _same_names(f"terms of segment {segment}", document[segment], TERMS)
            rows.append([_weight(segment, term, document[segment][term]) for term in TERMS])
            if not any(rows[-1]):
                raise InvalidWeights(f"segment {segment} has no weight but 0, so nothing would order its feed")
        return cls(version, np.array(rows))

    def document(self) -> dict[str, dict[str, float]]:
        """The weights as `parse` reads them."""
        return {
            segment: dict(zip(TERMS, row, strict=True))
            for segment, row in zip(SEGMENTS, self.weights.tolist(), strict=True)
        }

    def terms(self, heads: NDArray[np.float32], segment: Segment) -> NDArray[np.float64]:
        """What each term adds to the value of n contents, float64 (n, terms), in seconds.

        Parameters
        ----------
        heads : float32 array (n, outputs), as `Reading.read` gives them
        """
        told = np.concatenate([heads[:, [_DEBIASED]], heads[:, : len(HEADS)]], axis=1).astype(np.float64)
        return np.asarray(told * self.weights[SEGMENTS.index(segment)])


def segment_of(user: NDArray[np.float32]) -> Segment:
    """Segment of one user, by the user block of the features (USER_DIM,).

    >>> segment_of(np.zeros(len(NAMES["user"]), np.float32))
    'new'
    """
    days = round(float(user[_DAYS]) * 7)
    # The block holds log(1 + sessions) in float32.
    if float(user[_SESSIONS]) <= math.log1p(1.5):
        return "new"
    return "casual" if days <= 2 else "regular" if days <= 5 else "heavy"


def bounds(term: str) -> tuple[float, float]:
    """Least and greatest weight of a term.

    >>> bounds("hide"), bounds("like")
    ((-1000.0, 0.0), (0.0, 1000.0))
    """
    return (-MOST, 0.0) if term in REFUSALS else (0.0, MOST)


def _same_names(what: str, given: Any, wanted: tuple[str, ...]) -> None:
    if not isinstance(given, Mapping):
        raise InvalidWeights(f"{what} must be a mapping by name, got {given!r}")
    missing, unknown = sorted(set(wanted) - set(given)), sorted(set(map(str, given)) - set(wanted))
    if missing or unknown:
        raise InvalidWeights(f"{what}: missing {missing}, unknown {unknown}; wanted are {list(wanted)}")


def _weight(segment: str, term: str, value: Any) -> float:
    low, high = bounds(term)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidWeights(f"{segment}.{term} must be a number, got {value!r}")
    if not low <= value <= high:  # false for NaN too
        raise InvalidWeights(f"{segment}.{term} must lie between {low:g} and {high:g}, got {value!r}")
    return float(value)
