"""What each user did on each day: written with the rollup of the day, read by experiments.

One row per day, its users as numbers and their measures as a matrix: an experiment over weeks reads a few dozen rows
instead of millions, and a day that is rebuilt replaces one.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from dashboards.models import KpiUserDay
from dashboards.stats.measures import MEASURES

LEVEL = 1
"""Most of a matrix is zeros; the fastest level halves what the slowest would save, in a tenth of the time."""


@dataclass(frozen=True, slots=True)
class UserDay:
    """A day: `users` int32 (u,) ascending numbers, `measures` int32 (len(MEASURES), u)."""

    day: date
    users: NDArray[np.int32]
    measures: NDArray[np.int32]


def write(day: date, numbers: NDArray[np.integer], sums: NDArray[np.int64]) -> None:
    """Put a day in the place of what is there of it."""
    order = np.argsort(numbers)
    users = np.ascontiguousarray(numbers[order], "<i4")
    measures = np.ascontiguousarray(sums[:, order], "<i4")
    KpiUserDay.objects.update_or_create(
        day=day, defaults={"users": users.tobytes(), "measures": zlib.compress(measures.tobytes(), LEVEL)}
    )


def read(first: date, last: date) -> Iterator[UserDay]:
    """The days of a range that were measured, in order, one at a time."""
    for row in KpiUserDay.objects.filter(day__range=(first, last)).order_by("day").iterator(chunk_size=1):
        users = np.frombuffer(row.users, "<i4")
        measures = np.frombuffer(zlib.decompress(row.measures), "<i4").reshape(len(MEASURES), len(users))
        yield UserDay(row.day, users, measures)


def numbers() -> Iterator[NDArray[np.int32]]:
    """The users of every day."""
    for users in KpiUserDay.objects.values_list("users", flat=True).iterator(chunk_size=1):
        yield np.frombuffer(users, "<i4")
