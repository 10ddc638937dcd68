"""Ingestion: validate, clean and store raw events, once each, durable before it answers.

Every event is judged by itself: one bad event is refused with a code and does not cost its neighbours. The good ones
are stored in one transaction, and an event id that is known already is counted as a duplicate; the first one stays.
Sending a batch twice is therefore always safe.

It does not compute features, sessions or KPIs: those read the log later, and can be computed again from it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from operator import attrgetter
from typing import Any, Final

from django.db import Error, connection

from events import durations, log_writer, partitions, telemetry
from events.catalogue import NewContent
from events.cleaning.rules import PLAIN, CleanEvent, Sending, clean_event, read_event
from events.cleaning.schema import ForbiddenUser, InvalidEvent, RawEvent
from events.cleaning.uploads import read_upload
from events.dead_letters import Refused
from events.group_commit import GroupCommit, is_transient
from events.log_writer import Batch, Stored

# Small requests share a commit up to these bounds. In a large one it is the rows that cost, and two connections store
# them faster than one: single events, 1,040 requests/s together and 630 alone; batches of 100, 220 and 260.
GROUPED_BELOW_EVENTS: Final = 50
GROUP_EVENTS: Final = 1_000
GROUP_REQUESTS: Final = 64
NOTHING: Final = Stored(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused event: its place in the batch, a stable code, and a sentence naming field and value."""

    index: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of a batch; accepted + duplicates + rejected is its length.

    `conflicts` are duplicates whose id was known with another payload or user.
    """

    accepted: int
    duplicates: int
    rejected: tuple[Rejection, ...]
    conflicts: int = 0


_group: Final[GroupCommit[Batch, Stored]] = GroupCommit(
    log_writer.write, most_weight=GROUP_EVENTS, most_works=GROUP_REQUESTS
)


def ingest(
    raw_events: Sequence[Mapping[str, Any] | bytes],
    *,
    now: datetime,
    source: str,
    historical: bool = False,
    user_id: str | None = None,
    sending: Sending = PLAIN,
    keep_rejected: bool = True,
    arrived_at: datetime | None = None,
) -> IngestReport:
    """Take in a batch of events.

    Parameters
    ----------
    raw_events : mappings, or JSON texts of one object each (see `cleaning.schema`)
    now : time of arrival, kept as `received_at`
    source : where the batch came from, for the counters: "api", "beacon", the name of an import
    historical : an imported log: old timestamps, and views that state `long_view` instead of a watch time
    user_id : the user whose token sent the batch; without it the sender may speak for any user
    sending : what else is known about the batch (see `cleaning.rules`)
    keep_rejected : make dead letters of refused events; not where the source itself stays, as the file of an import
    arrived_at : from when on the ids are remembered, where that is not `now`: a replay comes long after its event did

    Returns
    -------
    IngestReport. When it is returned outside of a transaction, accepted events are committed.

    Raises
    ------
    ForbiddenUser
        An event claims another user than `user_id`. Nothing of the batch is stored: its sender is lying or confused.
    """
    gone: frozenset[date] = frozenset()
    while True:
        try:
            return _ingest(
                raw_events, now=now, source=source, historical=historical, user_id=user_id, sending=sending,
                keep_rejected=keep_rejected, arrived_at=arrived_at, gone=gone,
            )  # fmt: skip
        except partitions.MonthDropped as error:
            # Found while storing, so that nobody pays for it who is not that late.
            gone |= {error.month}


def _ingest(
    raw_events: Sequence[Mapping[str, Any] | bytes],
    *,
    now: datetime,
    source: str,
    historical: bool,
    user_id: str | None,
    sending: Sending,
    keep_rejected: bool,
    arrived_at: datetime | None,
    gone: frozenset[date],
) -> IngestReport:
    """`ingest`, refusing events of months that are gone; raises MonthDropped where there is one more of them."""
    batch = Batch(now, source, arrived_at)
    rejected: list[Rejection] = []
    read: list[tuple[int, RawEvent, str]] = []
    for index, raw in enumerate(raw_events):
        try:
            read.append((index, *read_event(raw, now=now, historical=historical)))
        except InvalidEvent as error:
            rejected.append(Rejection(index, error.code, error.detail))
    lengths = {} if historical else durations.durations(_watched(read))
    for index, raw_event, unreadable in read:
        try:
            event = clean_event(
                raw_event,
                now=now,
                historical=historical,
                user_id=user_id,
                sending=sending,
                unreadable=unreadable,
                duration_s=lengths.get(raw_event.content_id) if raw_event.content_id else None,
            )
            if gone:
                _ensure_kept(event, gone)
        except ForbiddenUser as error:
            telemetry.count_batch(source, 0, 0, [error.code] * len(raw_events))
            raise
        except InvalidEvent as error:
            rejected.append(Rejection(index, error.code, error.detail))
            continue
        if batch.add(event) and event.event_type == "content_upload":
            batch.uploads.append(_uploaded(event))
    rejected.sort(key=attrgetter("index"))
    if keep_rejected:
        batch.refused += [
            _refused(raw_events[one.index], one, user_id=user_id, historical=historical, sending=sending)
            for one in rejected
        ]
    try:
        stored = _store(batch) if batch.rows or batch.refused else NOTHING
    except Error as error:
        # Within a caller's transaction nothing can be tried again, and a database that is away refuses everything.
        if is_transient(error) or connection.in_atomic_block:
            raise
        options = {"now": now, "source": source, "historical": historical, "user_id": user_id, "sending": sending}
        # Only replays arrive at another time than now, and they are transactions of a caller.
        return _ingest_apart(raw_events, error, keep_rejected=keep_rejected, **options)
    report = IngestReport(stored.accepted, stored.duplicates, tuple(rejected), stored.conflicts)
    telemetry.count_batch(
        source,
        report.accepted,
        report.duplicates,
        [rejection.code for rejection in rejected],
        conflicts=report.conflicts,
        lags_s=() if historical else [(now - moment).total_seconds() for moment in stored.times],
    )
    return report


def _ensure_kept(event: CleanEvent, gone: frozenset[date]) -> None:
    if partitions.month_of(event.timestamp) in gone:
        said = event.timestamp.isoformat()
        raise InvalidEvent("month_dropped", f"timestamp: the log no longer keeps events of that month; got {said}")


def _store(batch: Batch) -> Stored:
    """Small batches together with whoever else is waiting; large ones, and within a caller's transaction, alone."""
    if connection.in_atomic_block or len(batch.rows) >= GROUPED_BELOW_EVENTS:
        return log_writer.write([batch])[0]
    return _group.submit(batch, weight=len(batch.rows))


def _ingest_apart(
    raw_events: Sequence[Mapping[str, Any] | bytes], error: Error, *, keep_rejected: bool, **options: Any
) -> IngestReport:
    """Take in a batch that the database refused: by halves, down to the event that is to blame, which is rejected.

    Every half is a transaction of its own, so a batch that meets this may be stored in part when the database goes away
    meanwhile. Sending it again is safe, as ever.
    """
    if len(raw_events) > 1:
        middle = len(raw_events) // 2
        first = ingest(raw_events[:middle], keep_rejected=keep_rejected, **options)
        second = ingest(raw_events[middle:], keep_rejected=keep_rejected, **options)
        later = tuple(replace(one, index=one.index + middle) for one in second.rejected)
        return IngestReport(
            first.accepted + second.accepted,
            first.duplicates + second.duplicates,
            first.rejected + later,
            first.conflicts + second.conflicts,
        )
    # The first line only: the others quote rows of the table.
    rejection = Rejection(0, "unstorable", f"the database refuses it: {str(error).partition(chr(10))[0]}")
    source = options["source"]
    if keep_rejected:
        batch = Batch(options["now"], source)
        sender = {name: options[name] for name in ("user_id", "historical", "sending")}
        batch.refused.append(_refused(raw_events[0], rejection, **sender))
        log_writer.write([batch])
    telemetry.count_batch(source, 0, 0, [rejection.code])
    return IngestReport(0, 0, (rejection,))


def _refused(
    raw: Mapping[str, Any] | bytes, why: Rejection, *, user_id: str | None, historical: bool, sending: Sending
) -> Refused:
    """A refused event with what its sender is held to when it is replayed."""
    return Refused(
        _payload(raw),
        why.code,
        why.detail,
        user_id,
        historical,
        anonymous=sending.anonymous,
        bot=sending.bot,
        sent_at=sending.sent_at,
    )


def _payload(raw: Mapping[str, Any] | bytes) -> bytes:
    """An event as it was sent; a mapping as JSON in ASCII, which can hold whatever the mapping does."""
    return raw if isinstance(raw, bytes) else json.dumps(raw, default=str).encode()


def _watched(read: Iterable[tuple[int, RawEvent, str]]) -> set[str]:
    """The contents whose length bounds something in a batch."""
    return {event.content_id for _, event, _ in read if event.content_id and getattr(event, "watch_duration", None)}


def _uploaded(event: CleanEvent) -> NewContent:
    assert event.content_id is not None  # the schema requires both for an upload
    assert event.creator_id is not None
    metadata = event.additional_info.get("metadata", {})
    facts = read_upload(metadata)
    return NewContent(event.content_id, event.creator_id, event.timestamp, metadata, "active", *facts)
