"""The counts of hours in Postgres: written by `materialize`, read by whoever folds them.

Rows travel as binary COPY, one row per hour with long arrays, so that a month of a busy system is some hundred rows.
"""

import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from django.db import connection
from django.db.models import Max
from numpy.typing import NDArray

from features import pgcopy
from features.extraction.aggregates import WindowCounts
from features.extraction.definitions import COUNTER_SET, SIGNALS, WATCH_BINS, WATCH_BUCKETS, WINDOW_S
from features.extraction.population import SURFACE_COUNTS, Population
from features.log_windows import moment
from features.models import PopulationWindow

_PUT: Final = (
    "COPY content_window (window_start, events, counter_set, folded, contents, cells, counts) "
    "FROM STDIN (FORMAT binary)"
)
_SELECT: Final = "SELECT window_start, events, folded, contents, cells, counts FROM content_window"
_HOURS_OF: Final = """
    WITH days AS (SELECT DISTINCT day_start FROM content_features WHERE content_id = ANY(%(ids)s))
    SELECT hours.window_start FROM days JOIN content_window hours
        ON hours.window_start >= day_start AND hours.window_start < day_start + interval '1 day'
    WHERE hours.folded AND EXISTS (SELECT FROM unnest(hours.contents) AS about (id) WHERE about.id = ANY(%(ids)s))
"""
_PUT_POPULATION: Final = (
    "COPY population_window (window_start, surfaces, watch, surface, watch_state, surface_state) "
    "FROM STDIN (FORMAT binary)"
)


@dataclass(frozen=True, slots=True)
class Hour:
    """The counts of one hour; c cells that are not zero.

    Attributes
    ----------
    window : number of the hour since 1970 UTC
    events : of all kinds
    folded : whether the states know it
    contents : ids, ascending
    cells : int32 array (c,), place in `contents` times the number of signals, plus the signal; ascending
    counts : float32 array (c,)
    """

    window: int
    events: int
    folded: bool
    contents: Sequence[str]
    cells: NDArray[np.int32]
    counts: NDArray[np.float32]

    def by_content(self) -> dict[str, bytes]:
        """The counts of each content, in a form that is equal where they are."""
        bounds = np.searchsorted(self.cells, np.arange(len(self.contents) + 1) * len(SIGNALS))
        signal = (self.cells % len(SIGNALS)).astype(np.int32)
        return {
            each: signal[start:stop].tobytes() + self.counts[start:stop].tobytes()
            for each, start, stop in zip(self.contents, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
        }


def hours_of(
    counts: WindowCounts, contents: NDArray[np.object_], *, windows: Sequence[int], events: Sequence[int], until: float
) -> list[Hour]:
    """Counts as rows, one per asked window.

    Parameters
    ----------
    counts : codes are into `contents`
    contents : object array of str, ascending
    windows, events : the hours to make rows of, and how many events they have
    until : seconds since 1970 UTC, how far the log was read
    """
    bounds = np.searchsorted(counts.window, [*windows, np.iinfo(np.int64).max])
    ends = np.searchsorted(counts.window, np.array(windows, np.int64), side="right")
    rows = []
    for window, count, start, stop in zip(windows, events, bounds[:-1].tolist(), ends.tolist(), strict=True):
        place, signal = np.nonzero(counts.counts[start:stop])
        rows.append(
            Hour(
                window=window,
                events=count,
                folded=(window + 1) * WINDOW_S <= until,
                contents=contents[counts.content[start:stop]].tolist(),
                cells=(place * len(SIGNALS) + signal).astype(np.int32),
                counts=counts.counts[start:stop][place, signal],
            )
        )
    return rows


def counts_of(hours: Sequence[Hour], place_of: dict[str, int]) -> WindowCounts:
    """Rows as counts; contents that `place_of` does not have are left out.

    Parameters
    ----------
    hours : ascending
    place_of : the code of each content id
    """
    parts = []
    for hour in hours:
        code = np.array([place_of.get(each, -1) for each in hour.contents], np.int64)
        table = np.zeros((len(code), len(SIGNALS)), np.float32)
        table.reshape(-1)[hour.cells] = hour.counts
        known = np.flatnonzero(code >= 0)
        known = known[np.argsort(code[known])]
        parts.append(WindowCounts(np.full(len(known), hour.window, np.int64), code[known], table[known]))
    return WindowCounts.joined(parts)


def put(hours: Sequence[Hour]) -> None:
    """Write rows in the place of those of the same hours; an hour without events has no row."""
    windows = [moment(hour.window) for hour in hours]
    items = pgcopy.text_items({each for hour in hours for each in hour.contents})
    rows = [
        [
            pgcopy.moment(hour.window * WINDOW_S), pgcopy.integer(hour.events),
            COUNTER_SET.encode(), pgcopy.boolean(hour.folded), pgcopy.texts(hour.contents, items),
            pgcopy.integers(hour.cells), pgcopy.reals(hour.counts),
        ]
        for hour in hours
        if hour.events
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM content_window WHERE window_start = ANY(%s)", [windows])
        if rows:
            cursor.copy_expert(_PUT, io.BytesIO(pgcopy.join_rows(rows)))


def named(windows: Collection[int]) -> dict[int, Hour]:
    """The rows of some hours, by hour."""
    starts = [moment(window) for window in windows]
    return {hour.window: hour for hour in _read("window_start = ANY(%s)", [starts])} if starts else {}


def between(first: int, stop: int) -> Iterator[Hour]:
    """The rows of the hours first..stop-1, ascending."""
    yield from _read("window_start >= %s AND window_start < %s", [moment(first), moment(stop)])


def about(content_id: str) -> list[Hour]:
    """The rows that count a content."""
    return list(_read("%s = ANY(contents)", [content_id]))


def complete_hours_of(content_ids: Collection[str]) -> list[datetime]:
    """Starts of the hours that count any of some contents and that the states know.

    Their days are found by the index content_features_once, so that only hours of those are looked into.
    """
    with connection.cursor() as cursor:
        cursor.execute(_HOURS_OF, {"ids": list(content_ids)})
        return [start for (start,) in cursor.fetchall()]


def unfolded(after: int) -> list[Hour]:
    """Rows from an hour on that no state knows, in order: the running hour, if it has any event."""
    return list(_read("NOT folded AND window_start >= %s", [moment(after)]))


def due(until: float) -> list[Hour]:
    """Rows that no state knows although their hour has ended by `until` (seconds since 1970 UTC)."""
    end = moment(int(until // WINDOW_S))
    return list(_read("NOT folded AND window_start < %s", [end]))


def newest_folded() -> int | None:
    """The last hour that the states know."""
    newest = PopulationWindow.objects.aggregate(newest=Max("window_start"))["newest"]
    return None if newest is None else int(newest.timestamp() // WINDOW_S)


def population_before(window: int) -> Population:
    """The state after the last hour before a window, as a population of one hour or none."""
    row = PopulationWindow.objects.filter(window_start__lt=moment(window)).order_by("-window_start").first()
    if row is None:
        return Population.empty()
    surfaces = np.array(row.surfaces, object)
    return Population(
        np.array([row.window_start.timestamp() // WINDOW_S], np.int64),
        np.array([row.watch_state], np.float32),
        surfaces,
        np.array(row.surface_state, np.float32).reshape(1, len(surfaces), len(SURFACE_COUNTS)),
    )


def population_counts(first: int, stop: int | None = None) -> Population:
    """The counts of the population in all hours from one on, up to but without `stop`."""
    found = PopulationWindow.objects.filter(window_start__gte=moment(first)).order_by("window_start")
    rows = list(found if stop is None else found.filter(window_start__lt=moment(stop)))
    surfaces = sorted({name for row in rows for name in row.surfaces})
    at = {name: place for place, name in enumerate(surfaces)}
    surface = np.zeros((len(rows), len(surfaces), len(SURFACE_COUNTS)), np.float32)
    for number, row in enumerate(rows):
        surface[number, [at[name] for name in row.surfaces]] = np.reshape(row.surface, (-1, len(SURFACE_COUNTS)))
    return Population(
        np.array([row.window_start.timestamp() // WINDOW_S for row in rows], np.int64),
        np.array([row.watch for row in rows], np.float32).reshape(len(rows), WATCH_BUCKETS * WATCH_BINS),
        np.array(surfaces, object),
        surface,
    )


def put_population(counts: Population, states: Population, *, since: int) -> None:
    """Write counts and states of the same hours in the place of whatever is there from an hour on."""
    at = {name: place for place, name in enumerate(counts.surfaces.tolist())}
    rows = []
    for number, window in enumerate(counts.window.tolist()):
        # Only what the state knows of: another order of chunks must not leave other bytes.
        known = [place for place in range(len(states.surfaces)) if states.surface[number, place].any()]
        names = [str(states.surfaces[place]) for place in known]
        surface = [
            counts.surface[number, at[name]] if name in at else np.zeros(len(SURFACE_COUNTS), np.float32)
            for name in names
        ]
        rows.append(
            [
                pgcopy.moment(window * WINDOW_S), pgcopy.texts(names), pgcopy.reals(counts.watch[number]),
                pgcopy.reals(np.array(surface, np.float32).reshape(-1)), pgcopy.reals(states.watch[number]),
                pgcopy.reals(states.surface[number, known].reshape(-1)),
            ]
        )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM population_window WHERE window_start >= %s", [moment(since)])
        cursor.copy_expert(_PUT_POPULATION, io.BytesIO(pgcopy.join_rows(rows)))


def _read(condition: str, values: list[Any]) -> Iterator[Hour]:
    buffer = io.BytesIO()
    with connection.cursor() as cursor:
        # Conditions are written in this file.
        statement = f"{_SELECT} WHERE counter_set = %s AND {condition} ORDER BY window_start"
        query = cursor.mogrify(statement, [COUNTER_SET, *values]).decode()
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT binary)", buffer)
    for start, events, folded, contents, cells, counts in pgcopy.split_rows(buffer.getbuffer()):
        yield Hour(
            window=int(pgcopy.seconds(start) // WINDOW_S),
            events=int.from_bytes(events),
            folded=bool(folded[0]),
            contents=pgcopy.to_texts(contents),
            cells=pgcopy.to_integers(cells),
            counts=pgcopy.to_reals(counts),
        )
