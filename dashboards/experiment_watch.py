"""Reads running experiments again and stops those that do harm. A human ships; nobody has to be awake for a stop."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from dashboards import experiment_results
from dashboards.stats.trials.guardrails import Harm
from ranking import experiment_lifecycle, experiment_queries
from ranking.experiment_lifecycle import Refused

logger = logging.getLogger(__name__)

BY: Final = "system"


@dataclass(frozen=True, slots=True)
class WatchReport:
    """Keys of what was read, and of what was stopped."""

    read: tuple[str, ...]
    stopped: tuple[str, ...]


def watch(*, now: datetime) -> WatchReport:
    """Read every running experiment; stop what certainly breaches a guardrail.

    Not where the split of users is off: then its figures mean nothing, and people have to look.
    """
    read, stopped = [], []
    for row in experiment_queries.running():
        data = experiment_results.read(row, now=now)
        read.append(row.key)
        breaches = [each for each in data["guardrails"] if each["harm"] == Harm.BREACHED]
        if not breaches or data["split"]["blocks"]:
            continue
        try:
            experiment_lifecycle.stop(
                row.key, by=BY, reason=_reason(breaches), numbers={"guardrails": breaches, "exposed": data["exposed"]},
                kind="auto_stop", now=now,
            )  # fmt: skip
        except Refused:  # somebody was faster
            continue
        logger.warning("experiment %s stopped: %s", row.key, _reason(breaches))
        stopped.append(row.key)
    return WatchReport(tuple(read), tuple(stopped))


def _reason(breaches: list[dict[str, Any]]) -> str:
    return "; ".join(
        f"{each['title']} of {each['arm']} is {100 * each['estimate']:+.1f} % against control, certainly beyond "
        f"{100 * each['margin']:g} % for the worse ({100 * each['least']:+.1f} % to {100 * each['most']:+.1f} %)"
        for each in breaches
    )
