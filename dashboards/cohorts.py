"""Retention tables: who of each cohort came back, by day, week or month."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import numpy as np
from django.conf import settings

from dashboards import numbering
from dashboards.day_build import ALL
from dashboards.rollup_rows import ACTIVE, read_column, read_sets
from dashboards.stats.periods import Grain, Period, periods
from dashboards.stats.returning import NO_VALUE, active_days, bracket, n_day, shares, unbounded
from dashboards.stats.user_sets import Bits, count, union, unpacked


class Mode(StrEnum):
    """What coming back means: in exactly that period, in it or later, at least once in a span of periods."""

    N_DAY = "n_day"
    UNBOUNDED = "unbounded"
    BRACKET = "bracket"


@dataclass(frozen=True, slots=True)
class Cohort:
    """Users who began in one period, and how many came back; None where the time has not passed."""

    period: Period
    size: int
    returned: tuple[int | None, ...]
    shares: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class RetentionTable:
    """Cohorts by columns; `weighted` is everybody together, each cohort by its size."""

    grain: Grain
    mode: Mode
    first_seen: bool
    columns: tuple[str, ...]
    cohorts: tuple[Cohort, ...]
    weighted: tuple[float | None, ...]


def retention(
    first: date, last: date, grain: Grain, *, now: datetime, mode: Mode, length: int,
    brackets: Sequence[tuple[int, int]] = (), first_seen: bool = True,
) -> RetentionTable:  # fmt: skip
    """The cohorts that begin from `first` to `last`.

    Parameters
    ----------
    length : so many periods after its own are shown of each cohort, where no brackets are given
    brackets : spans of periods after the cohort's own, both ends included
    first_seen : cohorts are of users whose first activity ever lies there, each user in one of them; else of all who
        were active there, and a user can be in many
    """
    zone = ZoneInfo(settings.REPORTING_TIME_ZONE)
    of_cohorts = periods(first, last, grain, zone)
    # What comes back later than the last column matters to "or later" only, and to that all of it.
    until = now.astimezone(zone).date()
    every = periods(first, max(until, of_cohorts[-1].last), grain, zone)
    size = numbering.size_bytes()
    daily = {day: bits for (day, _), bits in read_sets(ACTIVE, ALL, every[0].first, every[-1].last, size).items()}
    active = [_united(daily, period, size) for period in every]
    if first_seen:
        new = read_column("new_users", of_cohorts[0].first, of_cohorts[-1].last)
        sets = {day: unpacked(data, size) for day, data in new.items()}
        members = [_united(sets, period, size) for period in of_cohorts]
    else:
        members = active[: len(of_cohorts)]
    complete = sum(period.end <= now for period in every)
    if mode is Mode.BRACKET:
        table = bracket(members, active, brackets, complete=complete)
        columns = tuple(str(a) if a == b else f"{a}-{b}" for a, b in brackets)
    else:
        # In a cohort's own period the whole cohort was there, whether that period is over or not.
        table = (n_day if mode is Mode.N_DAY else unbounded)(members, active, complete=complete)[:, : length + 1]
        columns = tuple(map(str, range(table.shape[1])))
    sizes = np.array([count(cohort) for cohort in members], np.int64)
    cells, weighted = shares(table, sizes)
    rows = zip(of_cohorts, sizes.tolist(), table.tolist(), cells.tolist(), strict=True)
    return RetentionTable(
        grain, mode, first_seen, columns,
        tuple(
            Cohort(period, whole, tuple(None if cell == NO_VALUE else cell for cell in counts), _known(percentages))
            for period, whole, counts, percentages in rows
        ),
        _known(weighted.tolist()),
    )  # fmt: skip


def days_active(last: date, *, window: int) -> list[int]:
    """How many users were active on exactly 1, 2, ... `window` of the days that end with one."""
    first = last - timedelta(days=window - 1)
    sets = read_sets(ACTIVE, ALL, first, last, size := numbering.size_bytes())
    empty = np.zeros(size, np.uint8)
    days = [sets.get((first + timedelta(days=n), ""), empty) for n in range(window)]
    counts: list[int] = active_days(days).tolist()
    return counts[1:]


def _united(daily: dict[date, Bits], period: Period, size: int) -> Bits:
    days = (period.first + timedelta(days=n) for n in range((period.last - period.first).days + 1))
    return union([daily[day] for day in days if day in daily], size)


def _known(values: Sequence[float]) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else value for value in values)
