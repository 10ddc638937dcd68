"""From a unit to an arm: ranges of [0, 1) that keep their left edge while coverage grows, so nobody ever moves.

    two arms, coverage 0.5      |--A--|.....|--B--|.....|      0 to 0.25 and 0.5 to 0.75
    the same, coverage 1        |----A-----|-----B------|      whoever was in A or B still is

Experiments in one namespace share its [0, 1) and exclude each other. Phases and experiments have seeds of their own, so
who was in which arm before says nothing about the next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Final

from ranking.experiments.hashing import coarse_place, place

Range = tuple[float, float]
HOLDOUT_SEED: Final = "holdout"


def ranges_of(weights: Sequence[float], coverage: float) -> list[Range]:
    """The range of each arm.

    >>> ranges_of([0.5, 0.5], 0.5)
    [(0.0, 0.25), (0.5, 0.75)]
    """
    whole = sum(weights)
    edges = [0.0, *accumulate(weight / whole for weight in weights)]
    return [
        (round(left, 9), round(left + (right - left) * coverage, 9))
        for left, right in pairwise(edges)
    ]  # fmt: skip


def arm_at(at: float, ranges: Sequence[Range]) -> int:
    """Which range a place lies in; -1 for none.

    >>> arm_at(0.5, [(0.0, 0.5), (0.5, 1.0)]), arm_at(0.45, [(0.0, 0.4), (0.5, 0.9)])
    (1, -1)
    """
    return next((number for number, (left, right) in enumerate(ranges) if left <= at < right), -1)


def in_namespace(unit: str, name: str, within: Range) -> bool:
    """Whether a unit falls into a part of a namespace.

    >>> in_namespace("1", "namespace1", (0.0, 0.4)), in_namespace("1", "namespace1", (0.4, 1.0))
    (False, True)
    """
    return within[0] <= coarse_place(f"__{name}", unit) < within[1]


def held_out(unit: str, share: float) -> bool:
    """Whether a unit belongs to those whom no experiment and nothing shipped by one ever reaches.

    A larger share holds out those of a smaller one, too.
    """
    return share > 0.0 and place(HOLDOUT_SEED, unit) < share


@dataclass(frozen=True, slots=True)
class Allocation:
    """How one phase of an experiment divides its units.

    Attributes
    ----------
    key, phase : together the seed
    arms, weights : as many of both; the first arm is control
    coverage : share of the units that take part
    namespace, within : "" where the experiment excludes no other
    overrides : unit to arm, for staff who want to see one; they are never counted
    """

    key: str
    phase: int
    arms: tuple[str, ...]
    weights: tuple[float, ...]
    coverage: float = 1.0
    namespace: str = ""
    within: Range = (0.0, 1.0)
    overrides: Mapping[str, str] = field(default_factory=dict)
    ranges: tuple[Range, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ranges", tuple(ranges_of(self.weights, self.coverage)))

    def arm_of(self, unit: str) -> str | None:
        """The arm of a unit; None where it takes no part."""
        if unit in self.overrides:
            return self.overrides[unit]
        if self.namespace and not in_namespace(unit, self.namespace, self.within):
            return None
        number = arm_at(place(f"{self.key}:{self.phase}", unit), self.ranges)
        return None if number < 0 else self.arms[number]

    def counts(self, unit: str) -> bool:
        """Whether what a unit does says anything: not where somebody chose its arm."""
        return unit not in self.overrides
