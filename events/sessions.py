"""Stored sessions, rebuilt from the log hour by hour wherever the log has changed.

A change in an hour can reach further than the hour: a late event bridges two sessions into one, an erased one leaves
two where there was one, and a session of 24 hours is cut by where it began. So for every user with events in an hour
the whole chains of events without a pause around it are read again, and what they say replaces what stands there. The
same log gives the same rows, in whatever order its events came.
"""

import io
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from django.db import connection
from numpy.typing import NDArray

from events import windows
from events.cleaning.schema import EVENT_TYPES
from events.cleaning.sessions import SESSION_CAP_S, SESSION_GAP_S, sessionize
from events.cleaning.watching import bounded_watch_s, is_showing
from events.columnar.interactions import ABSENT
from events.copy_out import TEXT, copy_out, decoded, filled
from events.models import Session
from events.windows import Window

FAMILY: Final = "session"
# Runs of this family follow each other: two that meet the same user would write the same rows.
LOCK: Final = 0x5EC5_0002
RUN_EVENTS: Final = 200_000
RUN_WINDOWS: Final = 256
# How far a run looks around its hours at first; doubled for those who made no pause in there.
REACH: Final = timedelta(hours=6)
# Hours that lie closer together are looked at as one span.
NEAR: Final = timedelta(hours=3)

_VIEW: Final = EVENT_TYPES.index("view")
_GAP_US: Final = round(SESSION_GAP_S * 1_000_000)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# No chain is longer than this; it stands for "never cut".
_NEVER_S: Final = 1e11
# A session lasts a day at most, and its last watch another day.
_LONGEST: Final = timedelta(seconds=2 * SESSION_CAP_S)

_TOUCHED: Final = """
    SELECT user_id FROM event WHERE "timestamp" >= %(start)s AND "timestamp" < %(end)s
    UNION
    SELECT user_id FROM session
    WHERE started_at >= %(earliest)s AND started_at < %(end)s AND ended_at >= %(start)s
"""
# Ordered by what is read, not by the column: see queries.interactions_between.
_EVENTS: Final = """
    SELECT user_id, coalesce(additional_info->>'device', '') AS device,
           (date_part('epoch', event."timestamp") * 1e6)::bigint AS us, event_type,
           additional_info->>'watch_duration' AS watch_s, content_id
    FROM event WHERE user_id = ANY(%(users)s) AND event."timestamp" >= %(start)s AND event."timestamp" < %(end)s
    ORDER BY 3, event_id
"""
_EVENT_COLUMNS: Final = {
    "user_id": TEXT,
    "device": TEXT,
    "us": pa.int64(),
    "event_type": TEXT,
    "watch_s": pa.float64(),
    "content_id": TEXT,
}
_STORED: Final = """
    SELECT key, user_id, device, (date_part('epoch', started_at) * 1e6)::bigint,
           (date_part('epoch', ended_at) * 1e6)::bigint, events, views, watch_s, first_content
    FROM session WHERE user_id = ANY(%(users)s) AND started_at >= %(lowest)s AND started_at <= %(highest)s
"""
_COPY: Final = (
    "COPY session (key, user_id, device, started_at, ended_at, events, views, watch_s, first_content) FROM STDIN"
)
_ESCAPED: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class SessionReport:
    """What a rebuild did: hours taken in, users looked at, sessions written and taken away."""

    windows: int
    users: int
    written: int
    removed: int


@dataclass(frozen=True, slots=True)
class Log:
    """Events of some users in order of time; all columns have the same length.

    `actor` numbers the pairs of user and device; `user` and `device` are the codes of each actor into `users` and
    `devices`.
    """

    actor: NDArray[np.int32]
    time: NDArray[np.int64]
    event_type: NDArray[np.uint8]
    watch_s: NDArray[np.float64]
    content: NDArray[np.int32]
    user: NDArray[np.int64]
    device: NDArray[np.int64]
    users: NDArray[np.object_]
    devices: NDArray[np.object_]
    contents: NDArray[np.object_]

    def name(self, actor: int) -> tuple[str, str]:
        """User and device of an actor."""
        return self.users[self.user[actor]], self.devices[self.device[actor]]


class _Stored(NamedTuple):
    """One session as it lies in the table, its times in microseconds since 1970."""

    key: uuid.UUID
    user_id: str
    device: str
    start: int
    end: int
    events: int
    views: int
    watch_s: float
    first_content: str | None


def rebuild_sessions(*, until: datetime, now: datetime | None = None) -> SessionReport:
    """Bring the stored sessions in line with the log before `until`; one transaction for each run of hours.

    Without new events it changes nothing. Hours that another scheduler is at are left to that one, and an hour that
    cannot be done holds up no other (`windows.work_off`).
    """
    done = 0
    counted: list[tuple[int, int, int]] = []

    def work(mine: Sequence[Window]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        # Counted all at once: of a run that fails nothing stays.
        counted.extend([_rebuild(start, end, until=until) for start, end in _spans(mine)])

    now = now or until
    opened = windows.open_windows(FAMILY, until=until, now=now)
    for run in windows.runs(opened, max_events=RUN_EVENTS, max_windows=RUN_WINDOWS):
        done += len(windows.work_off(FAMILY, run, work, now=now))
    users, written, removed = (sum(column) for column in zip((0, 0, 0), *counted, strict=True))
    return SessionReport(done, users, written, removed)


def _spans(mine: Sequence[Window]) -> Iterator[tuple[datetime, datetime]]:
    """Hours near each other, as one span each."""
    at = 0
    while at < len(mine):
        start, end = mine[at].start, mine[at].end
        while at < len(mine) and mine[at].start - end <= NEAR:
            end = mine[at].end
            at += 1
        yield start, end


def _rebuild(start: datetime, end: datetime, *, until: datetime) -> tuple[int, int, int]:
    """Users looked at, sessions written and removed for the hours from `start` to `end`."""
    with connection.cursor() as cursor:
        cursor.execute(_TOUCHED, {"start": start, "end": min(end, until), "earliest": start - _LONGEST})
        touched = {user_id for (user_id,) in cursor.fetchall()}
    pending, reach = touched, REACH
    written = removed = 0
    span = _us(start) - _GAP_US, _us(end) + _GAP_US
    while pending:
        lowest, highest = start - reach, min(end + reach, until)
        log = read_events(pending, lowest, highest)
        chain = sessionize(log.actor, log.time.view("M8[us]"), cap_s=_NEVER_S)
        chains = _Chains.of(log, chain, span)
        limits = (None if lowest <= _EPOCH else _us(lowest)), (None if highest >= until else _us(highest))
        unbounded = set(log.users[np.unique(log.user[chains.unbounded(*limits)])].tolist())
        settled = pending - unbounded
        new, gone = _replace(settled, _sessions(log, chains.touched[chain], settled), chains.ranges(log), span)
        written, removed = written + new, removed + gone
        pending, reach = unbounded, reach * 2
    return len(touched), written, removed


@dataclass(frozen=True, slots=True)
class _Chains:
    """Runs of events without a pause, ordered by (actor, start); `touched` are those within a gap of the span."""

    actor: NDArray[np.int32]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    touched: NDArray[np.bool_]

    @classmethod
    def of(cls, log: Log, chain: NDArray[np.int64], span: tuple[int, int]) -> "_Chains":
        count = int(chain.max(initial=-1)) + 1
        actor = np.zeros(count, np.int32)
        first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
        actor[chain] = log.actor
        np.minimum.at(first, chain, log.time)
        np.maximum.at(last, chain, log.time)
        return cls(actor, first, last, (last >= span[0]) & (first <= span[1]))

    def unbounded(self, lowest: int | None, highest: int | None) -> NDArray[np.int32]:
        """Actors with a touched chain that may go on outside of what was read; None: nothing lies outside."""
        neighbours = self.actor[1:] == self.actor[:-1]
        begins = np.append(False, neighbours)
        ends = np.append(neighbours, False)
        # Without chains there is one neighbour too many.
        begins, ends = begins[: len(self.actor)], ends[: len(self.actor)]
        if lowest is None:
            begins[:] = True
        else:
            begins |= self.first - lowest > _GAP_US
        if highest is None:
            ends[:] = True
        else:
            ends |= highest - self.last > _GAP_US
        return np.unique(self.actor[self.touched & ~(begins & ends)])

    def ranges(self, log: Log) -> dict[tuple[str, str], tuple[int, int]]:
        """From where to where the touched chains of each actor go."""
        rows = np.flatnonzero(self.touched)
        actors, begins = np.unique(self.actor[rows], return_index=True)
        # Chains are ordered by actor and start, so the last one of an actor lies before the first of the next.
        ends = np.append(begins, len(rows))[1:] - 1
        first, last = self.first[rows[begins]], self.last[rows[ends]]
        named = map(log.name, actors.tolist())
        return dict(zip(named, zip(first.tolist(), last.tolist(), strict=True), strict=True))


def read_events(users: Collection[str], start: datetime, end: datetime) -> Log:
    """Events of some users in a span of time, as columns."""
    values = {"users": sorted(users), "start": max(start, _EPOCH), "end": end}
    # A device is whatever the client calls it.
    table = copy_out(_EVENTS, values, _EVENT_COLUMNS, lines=True)
    (user, user_ids), (device, devices) = decoded(table, "user_id"), decoded(table, "device")
    pair, actor = np.unique(user.astype(np.int64) * max(len(devices), 1) + device, return_inverse=True)
    types, names = decoded(table, "event_type")
    content, contents = decoded(table, "content_id")
    return Log(
        actor=actor.astype(np.int32),
        time=table["us"].to_numpy(),
        event_type=np.array([EVENT_TYPES.index(name) for name in names], np.uint8)[types],
        watch_s=filled(table, "watch_s", np.float64(0.0)),
        content=content,
        user=pair // max(len(devices), 1),
        device=pair % max(len(devices), 1),
        users=user_ids,
        devices=devices,
        contents=contents,
    )


def _sessions(log: Log, chosen: NDArray[np.bool_], users: Collection[str]) -> list[_Stored]:
    """The sessions of the chosen events, as far as they are of these users."""
    wanted = np.array([user_id in users for user_id in log.users], np.bool_)
    rows = np.flatnonzero(chosen & wanted[log.user[log.actor]])
    actor, time, kind = log.actor[rows], log.time[rows], log.event_type[rows]
    number = sessionize(actor, time.view("M8[us]"))
    _, first = np.unique(number, return_index=True)
    count = len(first)
    watch_s = bounded_watch_s(number, time / 1e6, log.watch_s[rows], showing=is_showing(kind))
    end = np.full(count, np.iinfo(np.int64).min)
    np.maximum.at(end, number, time + np.rint(watch_s * 1e6).astype(np.int64))
    about = np.flatnonzero(log.content[rows] != ABSENT)
    with_content, earliest = np.unique(number[about], return_index=True)
    content: NDArray[np.object_] = np.full(count, None, object)
    content[with_content] = log.contents[log.content[rows[about[earliest]]]]
    user_ids, devices = log.users[log.user[actor[first]]], log.devices[log.device[actor[first]]]
    columns = (
        user_ids, devices, time[first], end, np.bincount(number, minlength=count),
        np.bincount(number[kind == _VIEW], minlength=count), np.bincount(number, weights=watch_s, minlength=count),
        content,
    )  # fmt: skip
    listed = zip(*(column.tolist() for column in columns), strict=True)
    return [
        _Stored(_key(user_id, device, start), user_id, device, start, *rest) for user_id, device, start, *rest in listed
    ]


def _replace(
    users: Collection[str],
    wanted: Sequence[_Stored],
    ranges: Mapping[tuple[str, str], tuple[int, int]],
    span: tuple[int, int],
) -> tuple[int, int]:
    """Put the wanted sessions where the stored ones of these users start in the span or in their chains."""
    lowest = min([span[0], *(first for first, _ in ranges.values())])
    highest = max([span[1], *(last for _, last in ranges.values())])
    known: dict[uuid.UUID, _Stored] = {}
    with connection.cursor() as cursor:
        bounds: dict[str, Any] = {"users": sorted(users), "lowest": _moment(lowest), "highest": _moment(highest)}
        cursor.execute(_STORED, bounds)
        for row in cursor.fetchall():
            session = _Stored(*row)
            first, last = ranges.get((session.user_id, session.device), span)
            if min(first, span[0]) <= session.start <= max(last, span[1]):
                known[session.key] = session
    changed = [session for session in wanted if session != known.get(session.key)]
    stale = known.keys() - {session.key for session in wanted}
    gone = [*stale, *(session.key for session in changed if session.key in known)]
    if gone:
        Session.objects.filter(key__in=gone).delete()
    if changed:
        with connection.wrap_database_errors, connection.cursor() as cursor:
            cursor.copy_expert(_COPY, io.BytesIO("".join(_lines(changed)).encode()))
    return len(changed), len(stale)


def _lines(sessions: Sequence[_Stored]) -> Iterator[str]:
    """Sessions in PostgreSQL's COPY text format."""
    times = np.array([(one.start, one.end) for one in sessions], "M8[us]")
    for one, (start, end) in zip(sessions, np.datetime_as_string(times).tolist(), strict=True):
        content = "\\N" if one.first_content is None else one.first_content.translate(_ESCAPED)
        yield (
            f"{one.key}\t{one.user_id.translate(_ESCAPED)}\t{one.device.translate(_ESCAPED)}\t{start}Z\t{end}Z\t"
            f"{one.events}\t{one.views}\t{one.watch_s!r}\t{content}\n"
        )


def _key(user_id: str, device: str, start: int) -> uuid.UUID:
    # Ids hold no control characters, so the parts cannot run into each other.
    return uuid.UUID(bytes=blake2b(f"{user_id}\0{device}\0{start}".encode(), digest_size=16).digest())


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)
