"""Funnels over the raw log: a span of days, some event types in order, a time from the first to the last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from django.conf import settings

from dashboards.ranges import NONE, OTHER, TOP, TOTAL
from dashboards.series import LEAST_USERS
from dashboards.stats.funnel import Funnel, funnel, reached
from dashboards.stats.periods import DAY, midnight
from events import activity_log
from events.cleaning.schema import EVENT_TYPES
from events.errors import InvalidRequest
from events.step_log import step_log

MOST_DAYS: Final = 31
MOST_EVENTS: Final = 1_000_000
MOST_STEPS: Final = 6
DEFAULT_STEPS: Final = ("impression", "view", "complete_view", "like")


@dataclass(frozen=True, slots=True)
class FunnelGroup:
    """The funnel of everybody (`all`), or of one country; None in place of what fewer than five users did."""

    name: str
    funnel: Funnel
    suppressed: bool = False


@dataclass(frozen=True, slots=True)
class FunnelTable:
    """A funnel with its question."""

    steps: tuple[str, ...]
    first: date
    last: date
    within: timedelta
    groups: tuple[FunnelGroup, ...]


def table(first: date, last: date, steps: Sequence[str], *, within: timedelta, by_country: bool = False) -> FunnelTable:
    """The users who begin from `first` to `last`, both included, and how far they come within a time."""
    zone = ZoneInfo(settings.REPORTING_TIME_ZONE)
    start, end = midnight(first, zone), midnight(last + DAY, zone)
    log = step_log(start, end + within, sorted(set(steps)), most=MOST_EVENTS + 1)
    if len(log.at) > MOST_EVENTS:
        message = f"{first} to {last} has more than {MOST_EVENTS:,} events of these steps; ask for fewer days"
        raise InvalidRequest(message, code="range_too_long", field="from")
    kinds = [EVENT_TYPES.index(step) for step in steps]
    users, took = reached(
        log.user, log.kind, log.at, kinds, within_s=within.total_seconds(), begin_before=end.timestamp()
    )
    groups = [FunnelGroup(TOTAL, funnel(took))]
    if by_country:
        names = log.users[users].tolist() if len(users) else []
        of_user = activity_log.countries(names)
        country = np.array([of_user.get(name, "") for name in names], object)
        values, counts = np.unique(country.astype(str), return_counts=True)
        named = [value for value in values[np.argsort(-counts, kind="stable")].tolist() if value]
        shown = {value: value for value in named[:TOP]} | dict.fromkeys(named[TOP:], OTHER) | {"": NONE}
        label = np.array([shown[value] for value in country.tolist()], object)
        for name in dict.fromkeys([*named[:TOP], *([OTHER] if named[TOP:] else []), NONE]):
            rows = took[label == name]
            if len(rows):
                hidden = len(rows) < LEAST_USERS
                empty = Funnel((0,) * len(steps), (None,) * len(steps))
                groups.append(FunnelGroup(name, empty if hidden else funnel(rows), hidden))
    return FunnelTable(tuple(steps), first, last, within, tuple(groups))
