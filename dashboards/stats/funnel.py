"""Ordered funnels: who went how far through some steps, within a time from the first.

A user may begin often; what counts is how far the best beginning led. One event serves one step only, so a step that
comes twice needs two events. Of equal moments the one of the earlier step comes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Funnel:
    """Of each step: how many users reached it, and the median of the seconds from a user's first step to it."""

    users: tuple[int, ...]
    median_s: tuple[float | None, ...]


def reached(
    user: NDArray[np.integer], kind: NDArray[np.integer], at: NDArray[np.floating], steps: Sequence[int], *,
    within_s: float, begin_before: float = float("inf"),
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:  # fmt: skip
    """Users by codes and the seconds they took.

    Parameters
    ----------
    user, kind, at : of n events in any order: code of the user, type, seconds
    steps : types, in order
    within_s : the last step comes at most so long after the first
    begin_before : a first step at or after this moment begins nothing

    Returns
    -------
    int64 array (users reaching the first step,), their codes, and float64 array (users, steps), seconds from the first
    step of the beginning that first led there; NaN where they did not get there. Of one beginning, the latest that can
    still lead on is followed: it leaves the most time, so nobody is missed.

    Examples
    --------
    >>> codes, took = reached(np.array([7, 7]), np.array([1, 2]), np.array([0.0, 5.0]), [1, 2], within_s=10)
    >>> codes.tolist(), took.tolist()
    ([7], [[0.0, 5.0]])
    """
    first_place = {step: place for place, step in reversed(list(enumerate(steps)))}
    order = np.lexsort((np.array([first_place.get(each, len(steps)) for each in kind.tolist()]), at, user))
    begun: list[float] = []
    codes: list[int] = []
    rows: list[list[float]] = []
    now, took = None, []
    for who, what, moment in zip(user[order].tolist(), kind[order].tolist(), at[order].tolist(), strict=True):
        if who != now:
            now, begun, took = who, [float("nan")] * len(steps), [float("nan")] * len(steps)
        # Later steps first: an event that was just taken for one step must not serve the next one too.
        for place in range(len(steps) - 1, -1, -1):
            if steps[place] != what:
                continue
            start = moment if place == 0 else begun[place - 1]
            if place == 0 and moment >= begin_before:
                continue
            if not moment - start <= within_s:
                continue
            if place == 0 and took[0] != took[0]:
                codes.append(who)
                rows.append(took)
            begun[place] = start
            if took[place] != took[place]:
                took[place] = moment - start
    return np.array(codes, np.int64), np.array(rows, np.float64).reshape(len(codes), len(steps))


def funnel(took: NDArray[np.float64]) -> Funnel:
    """Counts and medians of some users' rows."""
    there = ~np.isnan(took)
    medians = [float(np.median(took[there[:, n], n])) if there[:, n].any() else None for n in range(took.shape[1])]
    return Funnel(tuple(there.sum(axis=0).tolist()), tuple(medians))
