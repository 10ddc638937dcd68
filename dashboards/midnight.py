"""Clicks after midnight: an impression of the day before counts as clicked on its own day, within 24 hours.

The day of the click stores that, beside its own cells, so that a day that is over need not be rebuilt for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from dashboards.day_build import ALL, Facts, PendingClick
from dashboards.stats.measures import CLICK_WATCH_S, ENGAGEMENTS, codes
from dashboards.stats.periods import hours_of
from events import activity_log
from events.activity_log import Activity
from events.cleaning.schema import EVENT_TYPES
from ranking.served_columns import served_columns

WINDOW_S: Final = 86_400.0
_IMPRESSION: Final = EVENT_TYPES.index("impression")
_VIEW: Final = EVENT_TYPES.index("view")
_ENGAGED: Final = frozenset(codes(*ENGAGEMENTS))
_COMPLETE: Final = EVENT_TYPES.index("complete_view")

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Carried:
    """An impression of an earlier day that was clicked today: its hour, its values, what it gains."""

    hour: datetime
    day: datetime
    values: Mapping[str, str]
    clicked: int
    engaged: int
    click: PendingClick


@dataclass(slots=True)
class _Shown:
    at: float
    surface: str
    clicked: bool = False
    engaged: bool = False


def carried(pending: Sequence[PendingClick], start: datetime, zone: ZoneInfo, facts: Facts) -> list[Carried]:
    """The clicks among `pending` that belong to impressions before `start`, the day's first moment."""
    if not pending:
        return []
    pairs = {(click.user, click.request) for click in pending}
    shown = _shown(activity_log.requested(pairs, start - timedelta(seconds=WINDOW_S), start))
    hits = [click for click in pending if _within(click, shown.get((click.user, click.request, click.content)))]
    facts.learn([click.user for click in hits], [click.content for click in hits])
    rows = served_columns(sorted({click.request for click in hits})) if hits else None
    served: dict[tuple[str, str], dict[str, str]] = {}
    if rows is not None:
        columns = (rows.request, rows.content, rows.source, rows.model_version, rows.arm, rows.surface)
        for request, content, source, model, arm, surface in zip(*(each.tolist() for each in columns), strict=True):
            named = {"source": source, "model": model, "arm": arm, "surface": surface}
            served.setdefault((request, content), named)
    found = []
    for click in hits:
        impression = shown[click.user, click.request, click.content]
        values = {
            ALL: "",
            "category": facts.contents[click.content].category,
            "country": facts.country_of[click.user],
            **served.get((click.request, click.content), {}),
        }
        if impression.surface:
            values["surface"] = impression.surface
        hour, day = _hour(impression.at, zone)
        gains = int(not impression.clicked), int(click.engaged and not impression.engaged)
        found.append(Carried(hour, day, values, *gains, click))
    return found


def _within(click: PendingClick, impression: _Shown | None) -> bool:
    return impression is not None and 0 <= click.at - impression.at <= WINDOW_S


def _hour(at: float, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The hour and the day of the reporting time zone in which a moment lies, by their first moments."""
    moment = datetime.fromtimestamp(at, UTC)
    hours = hours_of(moment.astimezone(zone).date(), zone)
    return max(hour for hour in hours if hour <= moment), hours[0]


def _shown(log: Activity) -> dict[Key, _Shown]:
    """The earliest impression of each key, and whether it was clicked and engaged with before the day began."""
    found: dict[Key, _Shown] = {}
    rows = [row for row in log.at.argsort(kind="stable").tolist() if log.person[row] and log.content[row] >= 0]
    for row in rows:
        if log.kind[row] == _IMPRESSION:
            surface = log.surfaces[log.surface[row]] if log.surface[row] >= 0 else ""
            found.setdefault(_key(log, row), _Shown(float(log.at[row]), surface))
    for row in rows:
        impression = found.get(_key(log, row))
        if impression is None:
            continue
        engaged = log.kind[row] in _ENGAGED
        impression.engaged |= bool(engaged)
        watched = log.kind[row] == _VIEW and log.watch_s[row] >= CLICK_WATCH_S
        impression.clicked |= bool(engaged or watched or log.kind[row] == _COMPLETE)
    return found


def _key(log: Activity, row: int) -> Key:
    return str(log.users[log.user[row]]), str(log.requests[log.request[row]]), str(log.contents[log.content[row]])
