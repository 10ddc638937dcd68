"""Engaged people per hour of the log and content, creator, tag and category, kept in line with the log.

Hours are counted anew, never incremented, as `events.windows` finds them changed: late events, imports and erasures
alike. Only the weeks that judging looks back on are kept. Tags and categories are those that the catalogue had when
the hour was counted.
"""

import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
from django.db import connection, transaction
from django.db.models import Min
from numpy.typing import NDArray

from events import windows
from events.columnar.interactions import Interactions
from events.queries import ContentCard, content_cards, interactions_between, log_span
from events.windows import Window
from features.extraction.snapshot import UNKNOWN, encode
from features.extraction.trends import ENGAGING_TYPES, HOUR_S, PAST_HOURS, HourCounts, count_people, engaged
from features.models import TrendHour, TrendKind, TrendPoint

FAMILY: Final = "trend"
SERIES_HOURS: Final = 72
KEPT_HOURS: Final = PAST_HOURS + SERIES_HOURS
"""Every point of a series of three days has its whole past."""
RUN_EVENTS: Final = 500_000
RUN_WINDOWS: Final = 400


def count_hours(until: datetime) -> tuple[int, int]:
    """Count the hours before `until` that differ from the log; returns how many they were and the points written.

    An hour that cannot be counted holds up no other (`windows.work_off`).
    """
    span = log_span()
    horizon = _hour(min(span[1], until) if span else until) - KEPT_HOURS
    # Hours with nothing left in them are done as well, however old.
    opened = [w for w in windows.open_windows(FAMILY, until=until) if _hour(w.start) >= horizon or w.events == 0]
    done = 0
    points: list[int] = []

    def work(mine: Sequence[Window]) -> None:
        # Counted all at once: of a run that fails nothing stays.
        points.extend([_count_span(part, until) for part in _spans(mine)])

    for run in windows.runs(opened, max_events=RUN_EVENTS, max_windows=RUN_WINDOWS):
        done += len(windows.work_off(FAMILY, run, work, now=until))
    _prune(horizon)
    return done, sum(points)


@transaction.atomic
def _prune(horizon: int) -> None:
    """Drop the hours before one; should the log end earlier again some day, they are counted once more."""
    old = TrendHour.objects.filter(hour__lt=horizon)
    first = old.aggregate(first=Min("hour"))["first"]
    if first is None:
        return
    TrendPoint.objects.filter(hour__lt=horizon).delete()
    old.delete()
    start, end = (datetime.fromtimestamp(hour * HOUR_S, UTC) for hour in (first, horizon))
    windows.reopen(start, end, family=FAMILY, failed=False)


def _spans(mine: Sequence[Window]) -> Iterator[list[Window]]:
    """Hours that follow each other, as one span each."""
    span: list[Window] = []
    for window in mine:
        if span and window.start != span[-1].end:
            yield span
            span = []
        span.append(window)
    if span:
        yield span


def _count_span(part: Sequence[Window], until: datetime) -> int:
    """Replace the counts of some hours in a row by those of the log; returns the points written."""
    first, last = _hour(part[0].start), _hour(part[-1].start)
    TrendPoint.objects.filter(hour__range=(first, last)).delete()
    TrendHour.objects.filter(hour__range=(first, last)).delete()
    alive = [_hour(window.start) for window in part if window.events]
    if not alive:
        return 0
    log = interactions_between(part[0].start, min(part[-1].end, until), types=ENGAGING_TYPES, people_only=True)
    cards = content_cards([each for each in log.contents.tolist() if each])
    lengths = [getattr(cards.get(each), "duration_s", None) for each in log.contents.tolist()]
    duration_s = np.array([np.nan if length is None else length for length in lengths], np.float32)
    row = np.flatnonzero(engaged(log, duration_s=duration_s))
    hour = np.floor(log.timestamp[row] / HOUR_S).astype(np.int64)
    user = log.user[row].astype(np.int64)
    everyone = count_people(hour, user, np.zeros(len(row), np.int64))
    people = np.bincount(everyone.hour - first, weights=everyone.people, minlength=last - first + 1).astype(int)
    things, touches = np.zeros((len(TrendKind), len(people)), int), np.zeros((len(TrendKind), len(people)), int)
    written = 0
    for kind, event, thing, names in _things(log, row, cards):
        counts = count_people(hour[event], user[event], thing)
        at = counts.hour - first
        things[kind.value - 1] = np.bincount(at, minlength=len(people))
        touches[kind.value - 1] = np.bincount(at, weights=counts.people, minlength=len(people))
        _put(kind, counts, names)
        written += len(counts.hour)
    TrendHour.objects.bulk_create(
        TrendHour(
            hour=each,
            people=int(people[each - first]),
            things=things[:, each - first].tolist(),
            touches=touches[:, each - first].tolist(),
        )
        for each in alive
    )
    return written


def _things(
    log: Interactions, row: NDArray[np.int64], cards: dict[str, ContentCard]
) -> Iterator[tuple[TrendKind, NDArray[np.int64], NDArray[np.int64], NDArray[np.object_]]]:
    """Per kind: positions in `row`, the thing each of them is about, and the names of the things.

    A creator is the one of the catalogue, or where that has none, the one the event names.
    """
    content = log.content[row]
    everything = np.arange(len(row))
    yield TrendKind.CONTENT, everything, content.astype(np.int64), log.contents
    known = [cards.get(each) for each in log.contents.tolist()]
    makers = [card.creator_id if card else "" for card in known]
    code, names = encode(_texts([*makers, *log.creators.tolist(), ""]))
    # A content without a maker reads what the event says; the code ABSENT is -1 and reads the last entry, nobody.
    of_content, of_event = np.append(code[: len(makers)], UNKNOWN)[content], code[len(makers) :][log.creator[row]]
    yield TrendKind.CREATOR, everything, np.where(of_content >= 0, of_content, of_event).astype(np.int64), names
    tags = [sorted({tag_name(tag) for tag in card.tags} - {""}) if card else [] for card in known]
    code, names = encode(_texts(list(chain.from_iterable(tags))))
    count = np.array([len(each) for each in tags] + [0], np.int64)
    start = np.append(0, np.cumsum(count))
    repeats = count[content]
    within = np.arange(int(repeats.sum())) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    event = np.repeat(everything, repeats)
    yield TrendKind.TAG, event, code[start[content[event]] + within].astype(np.int64), names
    code, names = encode(_texts([*(card.category if card else "" for card in known), ""]))
    yield TrendKind.CATEGORY, everything, code[content].astype(np.int64), names


def tag_name(tag: str) -> str:
    """A tag as trends know it: without its hash sign, spaces around it and differences of case."""
    return tag.strip().lstrip("#").strip().casefold()


def _put(kind: TrendKind, counts: HourCounts, names: NDArray[np.object_]) -> None:
    if len(counts.hour) == 0:
        return
    table = pa.table(
        {
            "kind": pa.array(np.full(len(counts.hour), kind.value)),
            "name": pa.array(names[counts.thing], pa.string()),
            "hour": pa.array(counts.hour),
            "people": pa.array(counts.people),
        }
    )
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(table, buffer, pyarrow.csv.WriteOptions(include_header=False))
    buffer.seek(0)
    with connection.cursor() as cursor:
        cursor.copy_expert("COPY trend_point (kind, name, hour, people) FROM STDIN (FORMAT csv)", buffer)


def _hour(moment: datetime) -> int:
    return int(moment.timestamp() // HOUR_S)


def _texts(values: Sequence[str]) -> NDArray[np.object_]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
