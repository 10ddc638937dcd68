"""What an experiment says: everybody exposed, what they did before and since by day, and every metric per arm.

    exposures --> users of one arm --> sums per user from the rollups --> sums per arm --> effects with intervals

A reading is made from the rollups alone and can be made again at any time; pages and the API show the stored one. Its
intervals hold at every look, so nobody has to wait for a day that was fixed before.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from django.conf import settings
from django.db import connection
from numpy.typing import NDArray

from dashboards import user_days
from dashboards.experiment_effects import judge_metrics, simple_effect
from dashboards.experiment_metrics import METRICS, RETENTION_DAYS
from dashboards.experiment_models import ExperimentReading
from dashboards.stats.measures import MEASURES
from dashboards.stats.periods import DAY
from dashboards.stats.trials.power import days_left
from dashboards.stats.trials.split_check import check_segments, check_split, many_multiple
from dashboards.stats.trials.tally import Units
from events.activity_log import countries
from ranking import experiment_queries
from ranking.experiment_lifecycle import Experiment, draft_of
from ranking.experiment_queries import Exposures
from ranking.experiments.draft import Draft

DAYS_BEFORE: Final = 14
"""Of what users did before they were exposed; a longer time tells more and is known of fewer."""
LEAST_SEGMENT: Final = 50
"""Users of a segment; fewer could be recognised, and say nothing."""
MOST_SEGMENTS: Final = 8
NOVELTY: Final = "watch_h"
MOST_AGES: Final = 14
"""Days since the exposure that the view of novelty tells apart."""
ACTIVE: Final = MEASURES.index("users")
MEASURED: Final = len(MEASURES)


@dataclass(slots=True)
class _Ledger:
    """What is added up while days are read: see `Units` for the columns."""

    arm: NDArray[np.int64]
    number: NDArray[np.int64]
    day: NDArray[np.int64]
    before: NDArray[np.float64]
    since: NDArray[np.float64]
    came: dict[int, NDArray[np.bool_]]

    def units(self, today: int) -> Units:
        """The users as they are known before a day, by its ordinal, is over."""
        returned = {
            days: np.where(self.day + days < today, came.astype(np.float64), np.nan) for days, came in self.came.items()
        }
        return Units(self.arm, self.before, self.since, returned)


def read(row: Experiment, *, now: datetime) -> dict[str, Any]:
    """Make the reading of an experiment's phase, store and return it."""
    told, met = draft_of(row), experiment_queries.exposures(row.key, row.phase)
    end = min(row.stopped_at or now, now)
    data = _reading(row, told, met, now=now, end=end)
    ExperimentReading.objects.update_or_create(
        experiment=row.key, phase=row.phase, defaults={"data": data, "read_at": now}
    )
    return data


def stored(key: str, phase: int) -> ExperimentReading | None:
    """The newest reading."""
    return ExperimentReading.objects.filter(experiment=key, phase=phase).first()


def _reading(row: Experiment, told: Draft, met: Exposures, *, now: datetime, end: datetime) -> dict[str, Any]:
    arms = [arm.key for arm in told.arms]
    ledger = _ledger(met, arms)
    today = _day_of(end.timestamp())
    timeline: list[dict[str, Any]] = []
    shown = [*told.goals, *(each.metric for each in told.guardrails)]
    for day in _days(ledger, today):
        units = ledger.units(day + 1)
        present = units.only(ledger.day <= day)
        effects = {key: simple_effect(METRICS[key], present, told) for key in dict.fromkeys(shown)}
        exposed = np.bincount(present.arm, minlength=len(arms)).tolist()
        timeline.append({"day": str(date.fromordinal(day)), "exposed": exposed, "effects": effects})
    units = ledger.units(today)
    counts = np.bincount(units.arm, minlength=len(arms)).tolist()
    split = check_split(counts, [arm.weight for arm in told.arms])
    exposed = len(met.users) + met.multiple
    judged = judge_metrics(units, told)
    return {
        "at": now.astimezone(UTC).isoformat(), "arms": arms, "exposed": counts,
        "multiple": met.multiple, "multiple_warns": many_multiple(met.multiple, exposed),
        "split": {"p_value": split.p_value, "blocks": split.blocks, "expected": list(split.expected)},
        "split_by_day": _odd_days(ledger, told),
        "metrics": judged.metrics, "guardrails": judged.guardrails,
        "timeline": timeline, "novelty": _novelty(ledger, told, today),
        "segments": _segments(ledger, met, told, today),
        "power": _power(row, counts, now=now),
    }  # fmt: skip


def _ledger(met: Exposures, arms: Sequence[str]) -> _Ledger:
    """Everybody exposed to one arm, with nothing added up yet."""
    known = np.isin(met.arm, list(arms))
    names = met.users[known].tolist()
    numbers = _numbers(names)
    place = {arm: number for number, arm in enumerate(arms)}
    n = len(names)
    return _Ledger(
        np.array([place[arm] for arm in met.arm[known]], np.int64),
        np.array([numbers.get(name, -1) for name in names], np.int64),
        np.array([_day_of(at) for at in met.at[known].tolist()], np.int64),
        np.zeros((MEASURED, n)), np.zeros((MEASURED, n)),
        {days: np.zeros(n, np.bool_) for days in RETENTION_DAYS},
    )  # fmt: skip


def _numbers(names: list[str]) -> Mapping[str, int]:
    """Numbers of those who ever did anything."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, number FROM kpi_user WHERE name = ANY(%s)", [names])
        return dict(cursor.fetchall())


def _day_of(at: float) -> int:
    """Ordinal of the day of the reporting time zone in which a moment lies."""
    return datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(settings.REPORTING_TIME_ZONE)).date().toordinal()


def _days(ledger: _Ledger, today: int) -> Iterator[int]:
    """Read the days one by one into the ledger; yields each from the first exposure on, when it is in."""
    if not len(ledger.arm):
        return
    first = int(ledger.day.min())
    measured = {
        day.day.toordinal(): day
        for day in user_days.read(date.fromordinal(first) - DAYS_BEFORE * DAY, date.fromordinal(first) - DAY)
    }
    order = np.argsort(ledger.number)
    for ordinal in sorted(measured):
        _add(ledger, measured[ordinal], ordinal, order)
    measured.clear()
    days = user_days.read(date.fromordinal(first), date.fromordinal(today))
    following = next(days, None)
    for ordinal in range(first, today + 1):
        if following is not None and following.day.toordinal() == ordinal:
            _add(ledger, following, ordinal, order)
            following = next(days, None)
        yield ordinal


def _add(ledger: _Ledger, told: user_days.UserDay, ordinal: int, order: NDArray[np.int64]) -> None:
    """Add one day: to the time since for those exposed by then, to the time before for others about to be."""
    if not len(told.users):
        return
    at = np.minimum(np.searchsorted(told.users, ledger.number[order]), len(told.users) - 1)
    hit = told.users[at] == ledger.number[order]
    rows, columns = order[hit], at[hit]
    values = told.measures[:, columns]
    since = ledger.day[rows] <= ordinal
    ledger.since[:, rows[since]] += values[:, since]
    soon = ~since & (ledger.day[rows] - ordinal <= DAYS_BEFORE)
    ledger.before[:, rows[soon]] += values[:, soon]
    for days, came in ledger.came.items():
        came[rows[(ledger.day[rows] + days == ordinal) & (values[ACTIVE] > 0)]] = True


def _odd_days(ledger: _Ledger, told: Draft) -> list[str]:
    """Days of exposure whose own split is off."""
    by_day = {
        str(date.fromordinal(day)): np.bincount(ledger.arm[ledger.day == day], minlength=len(told.arms)).tolist()
        for day in np.unique(ledger.day).tolist()
    }
    return sorted(check_segments(by_day, [arm.weight for arm in told.arms]))


def _novelty(ledger: _Ledger, told: Draft, today: int) -> list[dict[str, Any]]:
    """The effect on time spent by days since the exposure: an effect that fades was the novelty's."""
    found = []
    total = _by_age(ledger, today)
    for age, units in total:
        effect = simple_effect(METRICS[NOVELTY], units, told)
        found.append({"days": age, "users": len(units.arm), "effect": effect})
    return found


def _by_age(ledger: _Ledger, today: int) -> Iterator[tuple[int, Units]]:
    """Units whose time since is one day only: the day of the exposure, the next one, and so on."""
    if not len(ledger.arm):
        return
    first = int(ledger.day.min())
    days = min(today - first, MOST_AGES)
    sums = np.zeros((days, MEASURED, len(ledger.arm)), np.float32)
    order = np.argsort(ledger.number)
    for told in user_days.read(date.fromordinal(first), date.fromordinal(today) - DAY):
        at = np.minimum(np.searchsorted(told.users, ledger.number[order]), max(len(told.users) - 1, 0))
        hit = told.users[at] == ledger.number[order] if len(told.users) else np.zeros(len(order), np.bool_)
        rows, columns = order[hit], at[hit]
        age = told.day.toordinal() - ledger.day[rows]
        fits = (age >= 0) & (age < days)
        sums[age[fits], :, rows[fits]] = told.measures[:, columns[fits]].T
    for age in range(days):
        passed = ledger.day + age < today
        if passed.sum() >= LEAST_SEGMENT:
            units = Units(ledger.arm, ledger.before, sums[age].astype(np.float64), {})
            yield age, units.only(passed)


def _segments(ledger: _Ledger, met: Exposures, told: Draft, today: int) -> list[dict[str, Any]]:
    """The goals within segments that were known before the exposure; to explore, not to decide."""
    units = ledger.units(today)
    known = ledger.before[ACTIVE] > 0
    parts = {"known before": known, "new": ~known}
    country_of = countries(met.users.tolist())
    names = np.array([country_of.get(name, "") for name in met.users.tolist()], object)
    if len(names) == len(ledger.arm):
        values, counts = np.unique(names[names != ""].astype(str), return_counts=True)
        for value in values[np.argsort(-counts)][:MOST_SEGMENTS].tolist():
            parts[f"country {value}"] = names == value
    return [
        {"name": name, "users": int(chosen.sum()),
         "effects": {goal: simple_effect(METRICS[goal], units.only(chosen), told) for goal in told.goals}}
        for name, chosen in parts.items() if chosen.sum() >= LEAST_SEGMENT
    ]  # fmt: skip


def _power(row: Experiment, counts: Sequence[int], *, now: datetime) -> dict[str, Any]:
    """How far the experiment is on the way that was planned."""
    needed = row.plan.get("per_arm")
    if not needed:
        return {"per_arm": None, "days_left": None}
    daily = experiment_queries.exposed_last_day(row.key, row.phase, now=now) / max(len(counts), 1)
    return {"per_arm": needed, "days_left": days_left(needed, min(counts, default=0), daily)}
