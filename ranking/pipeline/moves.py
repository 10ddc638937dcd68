"""What each re-ranker moved and why, followed from the last order back to the first; nothing is computed until asked.

A re-ranker names a reason only where it passed over a better candidate. From and to are read off its picks, so that
a stage cannot report a move it did not make.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Reason = Literal[
    "diversity",
    "calibration",
    "creator_exposure",
    "creator_cap",
    "sound_cap",
    "category_cap",
    "source_share",
    "exploration",
    "guaranteed_exposure",
]
"""Why a candidate was taken before better ones: they were alike, off the user's mix, too many of one kind, ..."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One re-ranker's order: position t went to the candidate at `picks[t]` of the order before."""

    stage: str
    picks: NDArray[np.int64]
    reasons: Mapping[int, Reason]


@dataclass(frozen=True, slots=True)
class Move:
    """One candidate in one stage, positions from 0. Without a reason it only made way for others, or moved up."""

    stage: str
    start: int
    end: int
    reason: Reason | None


def moves_of(place: int, trail: Sequence[Passage]) -> tuple[Move, ...]:
    """The moves of the candidate that ended at `place`, first stage first; stages that left it alone are left out.

    >>> swap = Passage("mix", np.array([1, 0]), {0: "creator_cap"})
    >>> moves_of(0, [swap])
    (Move(stage='mix', start=1, end=0, reason='creator_cap'),)
    >>> moves_of(1, [swap])[0].reason is None
    True
    """
    moves = []
    for passage in reversed(trail):
        start = int(passage.picks[place])
        if start != place:
            moves.append(Move(passage.stage, start, place, passage.reasons.get(place)))
        place = start
    return tuple(reversed(moves))
