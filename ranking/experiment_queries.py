"""Reads of experiments for those who judge them; nothing written."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
from django.db.models import QuerySet
from numpy.typing import NDArray

from events.copy_out import TEXT, copy_out, decoded
from ranking.experiment_models import Experiment, Exposure

MARK: Final = (
    "SELECT coalesce(string_agg(e.key || ':' || e.revision, ',' ORDER BY e.key COLLATE \"C\"), '') FROM experiment e "
    "WHERE e.state IN ('running', 'shipped')"
)
"""A text that is another one once anything changed that feeds have to know; `mark_of` makes the same of rows."""

_EXPOSURES: Final = """
    SELECT user_id, arm, date_part('epoch', exposed_at) FROM exposure
    WHERE experiment = %(experiment)s AND phase = %(phase)s
"""
_COLUMNS: Final = {"user_id": TEXT, "arm": TEXT, "at": pa.float64()}


def mark_of(rows: Iterable[Experiment]) -> str:
    """The mark of those that run and were shipped."""
    return ",".join(f"{row.key}:{row.revision}" for row in sorted(rows, key=lambda row: row.key))


@dataclass(frozen=True, slots=True)
class Exposures:
    """Who met what: `users` object (u,) of str, `arm` object (u,) of str, `at` float64 (u,) seconds since 1970 UTC.

    Users of several arms are not among them; `multiple` counts them.
    """

    users: NDArray[np.object_]
    arm: NDArray[np.object_]
    at: NDArray[np.float64]
    multiple: int


def exposures(experiment: str, phase: int) -> Exposures:
    """Everybody exposed to a phase, in order of their ids. Served by the primary key of exposure."""
    table = copy_out(_EXPOSURES, {"experiment": experiment, "phase": phase}, _COLUMNS)
    user, users = decoded(table, "user_id")
    arm, arms = decoded(table, "arm")
    at = table["at"].to_numpy()
    if not len(user):
        return Exposures(np.empty(0, object), np.empty(0, object), at, 0)
    times = np.bincount(user, minlength=len(users))
    once = np.flatnonzero(times[user] == 1)
    order = once[np.argsort(users[user[once]], kind="stable")]
    return Exposures(users[user[order]], arms[arm[order]], at[order], int((times > 1).sum()))


def experiments() -> QuerySet[Experiment]:
    """All of them, newest first."""
    return Experiment.objects.order_by("-created_at")


def experiment(key: str) -> Experiment | None:
    """One of them."""
    return Experiment.objects.filter(pk=key).first()


def running() -> list[Experiment]:
    """Those that run."""
    return list(Experiment.objects.filter(state=Experiment.State.RUNNING).order_by("key"))


def exposed_last_day(key: str, phase: int, *, now: datetime) -> int:
    """How many were exposed in the 24 hours before a moment."""
    return Exposure.objects.filter(experiment=key, phase=phase, exposed_at__gte=now - timedelta(days=1)).count()
