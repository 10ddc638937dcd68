"""Trends: which contents, tags, creators and categories rise right now, and how each of them went.

    log, hours that differ --> people per hour (TrendHour, TrendPoint) --> the last window judged --> Trend

"Now" is the newest hour of the log: an imported log of 2022 has the trends of its last day, and while nobody does
anything the list stands still.
"""

import io
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
from django.db import connection, transaction
from django.db.models import Max
from numpy.typing import NDArray

from events.queries import content_cards
from features.extraction.trends import AGAINST, HOUR_S, PAST_HOURS, Verdicts, judge, ordinary_share
from features.models import Trend, TrendHour, TrendKind, TrendPoint
from features.trend_counts import KEPT_HOURS, SERIES_HOURS, count_hours

logger = logging.getLogger(__name__)

LEAST_WATCHED: Final = 5
"""With fewer people in the busier hour a thing is not even looked at."""
MOST_WATCHED: Final = 100
"""Things kept per kind."""
RECHECK_S: Final = 1.0
_LOCK: Final = 0x7EC5_0003
"""Key of the advisory lock under which the list is replaced; arbitrary, but nothing else may use it."""

KINDS: Final = {kind.name.lower(): kind for kind in TrendKind}

_TOUCHED: Final = """
    SELECT name FROM trend_point WHERE kind = %s AND hour BETWEEN %s AND %s
    GROUP BY name HAVING max(people) >= %s ORDER BY name COLLATE "C"
"""
# One descent of the primary key per name.
_POINTS: Final = """
    SELECT asked.at - 1, point.hour, point.people
    FROM unnest(%s::text[]) WITH ORDINALITY AS asked (name, at)
    JOIN trend_point point ON point.kind = %s AND point.name = asked.name AND point.hour BETWEEN %s AND %s
"""


@dataclass(frozen=True, slots=True)
class TrendReport:
    """What a refresh did: hours counted, rows written for them, things that trend now."""

    windows: int
    points: int
    trending: int


@dataclass(frozen=True, slots=True)
class CurrentTrend:
    """One thing that rises, or is watched because it nearly does; fields as in `extraction.trends.Verdicts`.

    `hour` is the start of the newer of the two hours, `against` says in words what the expectation was made of.
    """

    kind: str
    name: str
    hour: datetime
    z: float
    observed: float
    expected: float
    low: float
    high: float
    people: int
    against: str
    trending: bool


@dataclass(frozen=True, slots=True)
class TrendSeries:
    """How one thing went, window by window, oldest first, up to the newest hour of the log.

    Attributes
    ----------
    hour : start of the newer hour of each window
    verdicts : what would have been said at that hour's end (or now, for the hour that runs)
    """

    kind: str
    name: str
    hour: tuple[datetime, ...]
    verdicts: Verdicts

    def __len__(self) -> int:
        return len(self.hour)


@dataclass(frozen=True, slots=True)
class _Platform:
    """Hours from `first` on without a gap; people (h,), things and touches (kinds, h)."""

    first: int
    people: NDArray[np.int64]
    things: NDArray[np.int64]
    touches: NDArray[np.int64]

    @property
    def last(self) -> int:
        return self.first + len(self.people) - 1

    def ordinary(self, kind: TrendKind, start: int, stop: int) -> float:
        """`ordinary_share` of a kind for the window that ends with column stop - 1, looking back to column start."""
        cut = slice(start, stop)
        row = kind.value - 1
        return ordinary_share(self.touches[row, cut], self.things[row, cut], self.people[cut], at=stop - start - 1)


def refresh(*, until: datetime) -> TrendReport:
    """Count the hours of the log before `until` that changed, and judge the newest window.

    Without new events this is one pass over the hours' numbers and the judgement; nothing else is read of the log.
    """
    counted, points = count_hours(until)
    return TrendReport(counted, points, _judge_newest())


def current(kind: str, limit: int) -> list[CurrentTrend]:
    """What trends now, strongest first; `kind` is one of `KINDS`."""
    return _listed(kind, limit, only_trending=True)


def watched(kind: str, limit: int) -> list[CurrentTrend]:
    """The same, followed by what many people touch and what is nearest to a trend."""
    return _listed(kind, limit, only_trending=False)


def series(kind: str, name: str, *, hours: int = SERIES_HOURS) -> TrendSeries:
    """Observed and expected people of one thing over the last hours, each point judged by the past it had.

    Flat at zero for a thing that nobody touched, and empty while nothing is counted at all.
    """
    return series_of(kind, [name], hours=hours)[0]


def series_of(kind: str, names: Sequence[str], *, hours: int = SERIES_HOURS) -> list[TrendSeries]:
    """The same of several things of a kind, in the order given; hardly slower than of one."""
    code = _kind(kind)
    platform = _platform()
    if platform is None:
        nothing = judge(np.zeros((0, 1), np.int64), np.zeros(1, np.int64), ordinary=0.0)
        return [TrendSeries(kind, name, (), nothing) for name in names]
    people = _people(code, names, platform)
    found: list[Verdicts] = []
    shown = range(max(len(platform.people) - hours, 0), len(platform.people))
    for column in shown:
        start, stop = max(column - PAST_HOURS, 0), column + 1
        share = platform.ordinary(code, start, stop)
        found.append(judge(people[:, start:stop], platform.people[start:stop], ordinary=share))
    moments = tuple(_moment(platform.first + column) for column in shown)
    return [TrendSeries(kind, name, moments, _of_one(found, at)) for at, name in enumerate(names)]


def newest_hour() -> datetime | None:
    """Start of the hour that is "now" for trends; None while nothing is counted."""
    newest = TrendHour.objects.aggregate(newest=Max("hour"))["newest"]
    return None if newest is None else _moment(newest)


@transaction.atomic
def forget_thing(kind: str, name: str) -> dict[str, int]:
    """Drop what is known of one thing; returns how many rows that were, by table."""
    # A judgement that read the counts before would put the thing back on the list.
    _hold()
    return {
        model._meta.db_table: model._default_manager.filter(kind=_kind(kind), name=name).delete()[0]
        for model in (TrendPoint, Trend)
    }


class _Serving:
    """Ids of trending contents for this process. One thread at a time asks the database, at most once a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checked_at = -np.inf
        self._ids: tuple[str, ...] = ()

    def get(self) -> tuple[str, ...]:
        if time.monotonic() - self._checked_at < RECHECK_S or not self._lock.acquire(blocking=False):
            return self._ids
        try:
            # Stamped first: a database that fails is asked again in a second, not by every request.
            self._checked_at = time.monotonic()
            found = tuple(trend.name for trend in current("content", MOST_WATCHED))
            if found != self._ids:
                self._ids = found
        except Exception:  # the feed lives without trends
            logger.exception("the trends cannot be read; serving the last known ones")
        finally:
            self._lock.release()
        return self._ids

    def forget(self) -> None:
        with self._lock:
            self._checked_at, self._ids = -np.inf, ()


_serving = _Serving()


def trending_contents() -> tuple[str, ...]:
    """Ids of contents that trend, strongest first, at most about a second old. Safe from any thread, never raises.

    The same object comes back until the list changes.
    """
    return _serving.get()


def forget() -> None:
    """Drop what this process has cached, so that the next call of `trending_contents` asks the database."""
    _serving.forget()


@transaction.atomic
def _judge_newest() -> int:
    """Replace the list by what the newest window says; returns how many things trend."""
    _hold()
    platform = _platform(past=PAST_HOURS)
    rows = [] if platform is None else [row for kind in TrendKind for row in _judged(kind, platform)]
    Trend.objects.all().delete()
    Trend.objects.bulk_create(rows)
    return sum(row.trending for row in rows)


def _hold() -> None:
    """Be the only one to write the list until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _judged(kind: TrendKind, platform: _Platform) -> list[Trend]:
    """Rows of what trends of one kind, and of what comes next."""
    with connection.cursor() as cursor:
        cursor.execute(_TOUCHED, [kind.value, platform.last - 1, platform.last, LEAST_WATCHED])
        names = [name for (name,) in cursor.fetchall()]
    if kind is TrendKind.CONTENT:
        # What the catalogue withdrew, or does not know yet, cannot be shown, so it is no trend either.
        active = {each for each, card in content_cards(names).items() if card.is_shown}
        names = [each for each in names if each in active]
    share = platform.ordinary(kind, 0, len(platform.people))
    found = judge(_people(kind, names, platform), platform.people, ordinary=share)
    order = np.lexsort((-found.z, ~found.trending))[:MOST_WATCHED]
    return [
        Trend(
            kind=kind, name=names[at], hour=platform.last, z=float(found.z[at]), observed=float(found.observed[at]),
            expected=float(found.expected[at]), low=float(found.low[at]), high=float(found.high[at]),
            people=int(found.people[at]), against=int(found.against[at]), trending=bool(found.trending[at]),
        )
        for at in order.tolist()
    ]  # fmt: skip


def _platform(*, past: int = KEPT_HOURS) -> _Platform | None:
    """The hours up to the newest one; None where nothing is counted."""
    newest = TrendHour.objects.aggregate(newest=Max("hour"))["newest"]
    if newest is None:
        return None
    rows = TrendHour.objects.filter(hour__gte=newest - past).order_by("hour")
    known = list(rows.values_list("hour", "people", "things", "touches"))
    first = known[0][0]
    people = np.zeros(newest - first + 1, np.int64)
    things, touches = (np.zeros((len(KINDS), len(people)), np.int64) for _ in range(2))
    for hour, everyone, of_kinds, touched in known:
        people[hour - first], things[:, hour - first], touches[:, hour - first] = everyone, of_kinds, touched
    return _Platform(first, people, things, touches)


def _people(kind: TrendKind, names: Sequence[str], platform: _Platform) -> NDArray[np.int64]:
    """Engaged people per name and hour of the platform, (names, h)."""
    people = np.zeros((len(names), len(platform.people)), np.int64)
    buffer = io.BytesIO()
    with connection.wrap_database_errors, connection.cursor() as cursor:
        query = cursor.mogrify(_POINTS, [list(names), kind.value, platform.first, platform.last]).decode()
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT csv)", buffer)
    if buffer.tell():
        table = pyarrow.csv.read_csv(
            pa.py_buffer(buffer.getbuffer()),
            read_options=pyarrow.csv.ReadOptions(column_names=["at", "hour", "people"], use_threads=False),
        )
        people[table["at"].to_numpy(), table["hour"].to_numpy() - platform.first] = table["people"].to_numpy()
    return people


def _listed(kind: str, limit: int, *, only_trending: bool) -> list[CurrentTrend]:
    rows = Trend.objects.filter(kind=_kind(kind)).order_by("-trending", "-z", "name")
    if only_trending:
        rows = rows.filter(trending=True)
    return [
        CurrentTrend(
            kind, row.name, _moment(row.hour), row.z, row.observed, row.expected, row.low, row.high, row.people,
            AGAINST[row.against], row.trending,
        )
        for row in rows[:limit]
    ]  # fmt: skip


def _of_one(windows: Sequence[Verdicts], at: int) -> Verdicts:
    """What several windows say of one of the things they judge, as arrays over the windows."""
    return Verdicts(*(np.array([getattr(window, name)[at] for window in windows]) for name in Verdicts.__slots__))


def _kind(kind: str) -> TrendKind:
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    return KINDS[kind]


def _moment(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * HOUR_S, UTC)
