"""How soon a model is trained again, by how much came since and how far the world has moved. Plain numbers."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ranking.evaluation.drift import CALM, MOVED

LEAST_NEW: Final = 1_000
"""Exposures that an increment waits for, and how long it waits where they do not come."""
LONGEST_WAIT: Final = timedelta(minutes=30)
FEW: Final = 200
"""With fewer than these no wait is long enough."""
FULL_EVERY: Final = timedelta(hours=24)
FULL_AT_MOST_EVERY: Final = timedelta(hours=2)
MANY_FEATURES: Final = 0.1


@dataclass(frozen=True, slots=True)
class Cadence:
    """What an increment waits for, and how old the last full training may be."""

    least_new: int
    longest_wait: timedelta
    full_after: timedelta


def cadence(score_psi: float, moved_share: float) -> Cadence:
    """The pace at a drift of the scores, and a share of features that are another population.

    >>> cadence(0.0, 0.0).least_new, cadence(0.15, 0.0).least_new, cadence(0.5, 0.0).full_after
    (1000, 500, datetime.timedelta(seconds=7200))
    """
    if score_psi > MOVED or moved_share > MANY_FEATURES:
        return Cadence(FEW, LONGEST_WAIT / 6, FULL_AT_MOST_EVERY)
    if score_psi > CALM or moved_share > 0.0:
        return Cadence(LEAST_NEW // 2, LONGEST_WAIT / 2, FULL_EVERY / 2)
    return Cadence(LEAST_NEW, LONGEST_WAIT, FULL_EVERY)


def increment_is_due(new: int, waited: timedelta, pace: Cadence) -> bool:
    """Whether so many new exposures, the first of which came so long ago, are worth an increment.

    >>> calm = cadence(0.0, 0.0)
    >>> [increment_is_due(new, timedelta(minutes=m), calm) for new, m in ((1000, 1), (999, 29), (999, 30), (199, 90))]
    [True, False, True, False]
    """
    return new >= pace.least_new or (new >= FEW and waited >= pace.longest_wait)
