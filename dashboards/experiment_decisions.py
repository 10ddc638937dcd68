"""What people decide about experiments, with the numbers of the moment: a plan before the start, a reading before the
end. Nobody ships on figures that a split blocks."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from django.conf import settings

from dashboards import experiment_results, user_days
from dashboards.experiment_effects import columns
from dashboards.experiment_metrics import METRICS
from dashboards.stats.measures import MEASURES
from dashboards.stats.trials import power
from dashboards.stats.trials.moments import Sums, Unreadable, mean_of, ratio_of
from dashboards.stats.trials.tally import Units
from ranking import experiment_lifecycle as lifecycle
from ranking import experiment_queries
from ranking.experiment_lifecycle import Experiment, Refused, UnknownExperiment
from ranking.experiments.draft import Draft, parse

LOOKBACK_D: Final = 14
DEFAULT_LIFT: Final = 0.05


def parsed(document: Mapping[str, Any]) -> Draft:
    """A draft from what people typed; raises InvalidExperiment."""
    return parse(document, metrics=list(METRICS))


def found(key: str) -> Experiment:
    """An experiment; raises UnknownExperiment."""
    row = experiment_queries.experiment(key)
    if row is None:
        raise UnknownExperiment(f"there is no experiment {key[:60]!a}")
    return row


def plan_for(metric: str, lift: float, *, arms: int, coverage: float, alpha: float, tuned_for: int,
             now: datetime) -> dict[str, Any]:  # fmt: skip
    """Users and days that a relative lift of a metric takes, from what users did over the last two weeks.

    `mean` and `sd` are per user over that time; None where nothing was measured yet. The users of a day are those who
    came for the first time within the two weeks, on average: who comes every day is exposed once.
    """
    baseline = _baseline(metric, now=now)
    told = {"metric": metric, "lift": lift, "alpha": alpha, "power": power.POWER, "per_arm": None, "users": None,
            "days": None, "one_look_per_arm": None, "mean": None, "sd": None, "daily_users": None}  # fmt: skip
    if baseline is None:
        return told
    mean, sd, daily = baseline
    try:
        found_plan = power.plan(
            mean, sd, lift, arms=arms, daily_users=daily, coverage=coverage, alpha=alpha, tuned_for=tuned_for
        )
    except ValueError:
        return told
    return told | {
        "per_arm": found_plan.per_arm, "users": found_plan.users, "days": found_plan.days,
        "one_look_per_arm": found_plan.one_look_per_arm, "mean": mean * METRICS[metric].scale,
        "sd": sd * METRICS[metric].scale, "daily_users": daily,
    }  # fmt: skip


def _baseline(key: str, *, now: datetime) -> tuple[float, float, float] | None:
    """Mean and spread per user of a metric over the last two weeks, and new faces per day."""
    today = now.astimezone(ZoneInfo(settings.REPORTING_TIME_ZONE)).date()
    days = list(user_days.read(today - timedelta(days=LOOKBACK_D), today - timedelta(days=1)))
    if not days:
        return None
    users = np.unique(np.concatenate([day.users for day in days]))
    since = np.zeros((len(MEASURES), len(users)))
    first = np.zeros(len(users), np.int64)
    came = {after: np.zeros(len(users), np.bool_) for after in (1, 7)}
    for day in days:
        at = np.searchsorted(users, day.users)
        since[:, at] += day.measures
        first[at] = np.where(first[at] == 0, day.day.toordinal(), first[at])
        for after, flags in came.items():
            flags[at[(first[at] + after == day.day.toordinal())]] = True
    returned = {
        after: np.where(first + after < today.toordinal(), flags.astype(float), np.nan) for after, flags in came.items()
    }
    units = Units(np.zeros(len(users), np.int64), np.zeros_like(since), since, returned)
    told = columns(METRICS[key], units)
    try:
        sums = Sums.of(*told.columns)
        moments = ratio_of(sums) if told.kind == "ratio" else mean_of(sums)
    except Unreadable:
        return None
    return moments.value, float(np.sqrt(moments.variance)), len(users) / len(days)


def start(key: str, *, lift: float, by: str, reason: str, now: datetime) -> Experiment:
    """Start an experiment with the plan for its first goal."""
    told = lifecycle.draft_of(found(key))
    plan = plan_for(
        told.goals[0], lift, arms=len(told.arms), coverage=told.coverage, alpha=told.alpha, tuned_for=told.tuned_for,
        now=now,
    )  # fmt: skip
    return lifecycle.start(key, by=by, reason=reason, plan=plan, now=now)


def stop(key: str, *, by: str, reason: str, now: datetime) -> Experiment:
    """Stop an experiment, and read it once more."""
    row = found(key)
    numbers = summary(experiment_results.read(row, now=now)) if row.state == Experiment.State.RUNNING else {}
    return lifecycle.stop(key, by=by, reason=reason, numbers=numbers, now=now)


def ship(key: str, arm: str, *, by: str, reason: str, now: datetime) -> Experiment:
    """Ship an arm; raises Refused where the split of users says that the figures mean nothing."""
    data = experiment_results.read(found(key), now=now)
    if data["split"]["blocks"]:
        raise Refused(f"the users of {key} are not split as planned (p = {data['split']['p_value']:.2g}), so its "
                      "figures mean nothing; find out why, and begin a new phase")  # fmt: skip
    return lifecycle.ship(key, arm, by=by, reason=reason, numbers=summary(data), now=now)


def summary(data: Mapping[str, Any]) -> dict[str, Any]:
    """What of a reading belongs into the log of decisions."""
    goals = {
        metric["key"]: {arm["arm"]: {"value": arm["value"], "effect": arm["effect"]} for arm in metric["arms"]}
        for metric in data["metrics"] if metric["role"] == "goal"
    }  # fmt: skip
    return {"at": data["at"], "exposed": data["exposed"], "split": data["split"], "goals": goals,
            "guardrails": data["guardrails"]}  # fmt: skip
