"""Stored sessions, rebuilt from the log hour by hour wherever the log has changed.

A change in an hour can reach further than the hour: a late event bridges two sessions into one, an erased one leaves
two where there was one, and a session of 24 hours is cut by where it began. So for every user with events in an hour
the whole chains of events without a pause around it are read again, and what they say replaces what stands there. The
same log gives the same rows, in whatever order its events came.
"""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from events import windows
from events.cleaning.sessions import SESSION_CAP_S, SESSION_GAP_S, sessionize
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
_EVENTS: Final = """
    SELECT user_id, coalesce(additional_info->>'device', ''), (extract(epoch FROM event."timestamp") * 1000000)::bigint,
           event_type = 'view', coalesce((additional_info->>'watch_duration')::float8, 0), content_id
    FROM event WHERE user_id = ANY(%(users)s) AND event."timestamp" >= %(start)s AND event."timestamp" < %(end)s
    ORDER BY event."timestamp", event_id
"""


@dataclass(frozen=True, slots=True)
class SessionReport:
    """What a rebuild did: hours taken in, users looked at, sessions written and taken away."""

    windows: int
    users: int
    written: int
    removed: int


@dataclass(frozen=True, slots=True)
class _Log:
    """Events of some users in order of time; `actor` numbers the pairs of user and device in `actors`."""

    actors: Sequence[tuple[str, str]]
    actor: NDArray[np.int32]
    time: NDArray[np.int64]
    is_view: NDArray[np.bool_]
    watch_s: NDArray[np.float64]
    content: Sequence[str | None]


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
        log = _read(pending, lowest, highest)
        chain = sessionize(log.actor, log.time.view("M8[us]"), cap_s=_NEVER_S)
        chains = _Chains.of(log, chain, span)
        limits = (None if lowest <= _EPOCH else _us(lowest)), (None if highest >= until else _us(highest))
        unbounded = {log.actors[actor][0] for actor in chains.unbounded(*limits)}
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
    def of(cls, log: _Log, chain: NDArray[np.int64], span: tuple[int, int]) -> "_Chains":
        count = int(chain.max(initial=-1)) + 1
        actor = np.zeros(count, np.int32)
        first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
        actor[chain] = log.actor
        np.minimum.at(first, chain, log.time)
        np.maximum.at(last, chain, log.time)
        return cls(actor, first, last, (last >= span[0]) & (first <= span[1]))

    def unbounded(self, lowest: int | None, highest: int | None) -> list[int]:
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
        found: list[int] = np.unique(self.actor[self.touched & ~(begins & ends)]).tolist()
        return found

    def ranges(self, log: _Log) -> dict[tuple[str, str], tuple[int, int]]:
        """From where to where the touched chains of each actor go."""
        bounds: dict[tuple[str, str], tuple[int, int]] = {}
        for at in np.flatnonzero(self.touched).tolist():
            actor = log.actors[self.actor[at]]
            first, _ = bounds.get(actor, (int(self.first[at]), 0))
            bounds[actor] = first, int(self.last[at])
        return bounds


def _read(users: Collection[str], start: datetime, end: datetime) -> _Log:
    with connection.cursor() as cursor:
        cursor.execute(_EVENTS, {"users": sorted(users), "start": max(start, _EPOCH), "end": end})
        rows = cursor.fetchall()
    # Numbered in the order of their names, so that nothing depends on what else was read.
    actors = sorted({(user_id, device) for user_id, device, *_ in rows})
    number = {actor: at for at, actor in enumerate(actors)}
    return _Log(
        actors,
        np.array([number[user_id, device] for user_id, device, *_ in rows], np.int32),
        np.array([row[2] for row in rows], np.int64),
        np.array([row[3] for row in rows], np.bool_),
        np.array([row[4] for row in rows], np.float64),
        [row[5] for row in rows],
    )


def _sessions(log: _Log, chosen: NDArray[np.bool_], users: Collection[str]) -> list[Session]:
    """The sessions of the chosen events, as far as they are of these users."""
    wanted = np.array([user_id in users for user_id, _ in log.actors], np.bool_)
    rows = np.flatnonzero(chosen & wanted[log.actor]) if len(log.actors) else np.empty(0, np.int64)
    actor, time, watch_s = log.actor[rows], log.time[rows], log.watch_s[rows]
    number = sessionize(actor, time.view("M8[us]"))
    _, first = np.unique(number, return_index=True)
    end = np.full(len(first), np.iinfo(np.int64).min)
    np.maximum.at(end, number, time + np.rint(watch_s * 1e6).astype(np.int64))
    contents: dict[int, str] = {}
    for at, row in zip(number.tolist(), rows.tolist(), strict=True):
        content = log.content[row]
        if content is not None:
            contents.setdefault(at, content)
    events = np.bincount(number, minlength=len(first)).tolist()
    views = np.bincount(number[log.is_view[rows]], minlength=len(first)).tolist()
    watched = np.bincount(number, weights=watch_s, minlength=len(first)).tolist()
    made = []
    for at, (actor_code, start) in enumerate(zip(actor[first].tolist(), time[first].tolist(), strict=True)):
        user_id, device = log.actors[actor_code]
        made.append(
            Session(
                key=_key(user_id, device, start),
                user_id=user_id,
                device=device,
                started_at=_moment(start),
                ended_at=_moment(int(end[at])),
                events=events[at],
                views=views[at],
                watch_s=watched[at],
                first_content=contents.get(at),
            )
        )
    return made


def _replace(
    users: Collection[str],
    wanted: Sequence[Session],
    ranges: Mapping[tuple[str, str], tuple[int, int]],
    span: tuple[int, int],
) -> tuple[int, int]:
    """Put the wanted sessions where the stored ones of these users start in the span or in their chains."""
    lowest = min([span[0], *(first for first, _ in ranges.values())])
    highest = max([span[1], *(last for _, last in ranges.values())])
    stored = Session.objects.filter(
        user_id__in=list(users), started_at__gte=_moment(lowest), started_at__lte=_moment(highest)
    )
    known: dict[uuid.UUID, Session] = {}
    for session in stored:
        first, last = ranges.get((session.user_id, session.device), span)
        if min(first, span[0]) <= _us(session.started_at) <= max(last, span[1]):
            known[session.key] = session
    changed = [session for session in wanted if not _same(session, known.get(session.key))]
    kept = {session.key for session in wanted}
    stale = [key for key in known if key not in kept]
    Session.objects.filter(key__in=[*stale, *(session.key for session in changed)]).delete()
    Session.objects.bulk_create(changed, batch_size=2_000)
    return len(changed), len(stale)


def _same(one: Session, other: Session | None) -> bool:
    fields: list[Any] = [field.attname for field in Session._meta.concrete_fields]
    return other is not None and all(getattr(one, name) == getattr(other, name) for name in fields)


def _key(user_id: str, device: str, start: int) -> uuid.UUID:
    # Ids hold no control characters, so the parts cannot run into each other.
    return uuid.UUID(bytes=blake2b(f"{user_id}\0{device}\0{start}".encode(), digest_size=16).digest())


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)
