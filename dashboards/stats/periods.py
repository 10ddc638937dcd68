"""Hours, days, weeks and months of a reporting time zone, as moments of UTC.

A day has 23 or 25 hours when the clocks change, so periods are made from the calendar and never from lengths. Weeks
begin on Monday.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Grain(StrEnum):
    """How long a period is."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` to before `end`, both aware; `first` and `last` are its days in the reporting time zone."""

    start: datetime
    end: datetime
    first: date
    last: date


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The moment in UTC at which a day begins."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def hours_of(day: date, zone: ZoneInfo) -> list[datetime]:
    """The moments in UTC at which the hours of a day begin: 24, or 23 or 25 when the clocks change.

    >>> len(hours_of(date(2026, 3, 8), ZoneInfo("America/New_York")))
    23
    """
    end, hours = midnight(day + DAY, zone), [midnight(day, zone)]
    while hours[-1] + HOUR < end:
        hours.append(hours[-1] + HOUR)
    return hours


def first_day(day: date, grain: Grain) -> date:
    """The first day of the week or month around a day; hours and days begin on the day itself.

    >>> first_day(date(2026, 3, 1), Grain.WEEK)
    datetime.date(2026, 2, 23)
    """
    if grain is Grain.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if grain is Grain.MONTH else day


def next_day(first: date, grain: Grain) -> date:
    """The first day of the period after the one that begins on a day."""
    if grain is Grain.WEEK:
        return first + timedelta(days=7)
    if grain is Grain.MONTH:
        return (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    return first + DAY


def periods(first: date, last: date, grain: Grain, zone: ZoneInfo) -> list[Period]:
    """Every period that has a day from `first` to `last`, both included, in order; weeks and months as a whole."""
    return list(_periods(first, last, grain, zone))


def _periods(first: date, last: date, grain: Grain, zone: ZoneInfo) -> Iterator[Period]:
    day = first_day(first, grain)
    while day <= last:
        following = next_day(day, grain)
        end = midnight(following, zone)
        if grain is Grain.HOUR:
            starts = hours_of(day, zone)
            for start, stop in zip(starts, [*starts[1:], end], strict=True):
                yield Period(start, stop, day, day)
        else:
            yield Period(midnight(day, zone), end, day, following - DAY)
        day = following


def before(first: date, last: date, grain: Grain) -> tuple[date, date]:
    """The range of the same length before another, for comparison: aligned by weekday, and by month where it is months.

    >>> before(date(2026, 3, 1), date(2026, 3, 30), Grain.DAY)
    (datetime.date(2026, 1, 25), datetime.date(2026, 2, 23))
    """
    start, stop = first_day(first, grain), next_day(first_day(last, grain), grain)
    if grain is Grain.MONTH:
        months = (stop.year - start.year) * 12 + stop.month - start.month
        index = start.year * 12 + start.month - 1 - months
        return date(index // 12, index % 12 + 1, 1), start - DAY
    days = -(-(stop - start).days // 7) * 7
    return start - timedelta(days=days), stop - DAY - timedelta(days=days)
