"""Whether users came to the arms in the shares that were planned: sample ratio mismatch.

A mismatch says that who is in which arm depends on what the arms did, or on how it was written down; then every other
figure of the experiment may be wrong too, and nobody should read it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dashboards.stats.trials.distributions import chi_square_sf

BLOCKS_BELOW: Final = 0.001
"""So rarely does chance alone look like this that looking every day is no problem."""
FEWEST: Final = 8
"""Users per arm, for the test to mean anything."""
MULTIPLE_SHARE: Final = 0.01
MULTIPLE_USERS: Final = 10
"""More users than both of these in more than one arm are worth a warning."""


@dataclass(frozen=True, slots=True)
class SplitCheck:
    """`p_value` is None where too few users came to judge."""

    counts: tuple[int, ...]
    expected: tuple[float, ...]
    p_value: float | None

    @property
    def blocks(self) -> bool:
        """Whether nobody should read the results."""
        return self.p_value is not None and self.p_value < BLOCKS_BELOW


def check_split(counts: Sequence[int], weights: Sequence[float]) -> SplitCheck:
    """Chi-square of the users of each arm against the planned shares.

    >>> round(check_split([1000, 1100], [0.5, 0.5]).p_value, 7)
    0.0290963
    """
    total, whole = sum(counts), sum(weights)
    expected = tuple(total * weight / whole for weight in weights)
    if min(counts, default=0) < FEWEST and min(expected, default=0.0) < FEWEST:
        return SplitCheck(tuple(counts), expected, None)
    statistic = sum((count - each) ** 2 / each for count, each in zip(counts, expected, strict=True))
    return SplitCheck(tuple(counts), expected, chi_square_sf(statistic, len(counts) - 1))


def check_segments(segments: Mapping[str, Sequence[int]], weights: Sequence[float]) -> dict[str, SplitCheck]:
    """Those segments whose own split is off, each judged at a level that holds for all of them together."""
    found = {name: check_split(counts, weights) for name, counts in segments.items()}
    level = BLOCKS_BELOW / max(len(found), 1)
    return {name: each for name, each in found.items() if each.p_value is not None and each.p_value < level}


def many_multiple(multiple: int, exposed: int) -> bool:
    """Whether so many users met more than one arm that it is worth a warning.

    >>> many_multiple(11, 1000), many_multiple(10, 100), many_multiple(11, 1100)
    (True, False, False)
    """
    return multiple > MULTIPLE_USERS and multiple > MULTIPLE_SHARE * exposed
