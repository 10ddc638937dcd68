"""The one writer of the event log: batches that are cleaned already, stored together in one transaction, each id once.

Every row becomes a line of COPY text in the thread of its own request, so that the shared part of the work is little
more than joining lines. The ids go first, into `event_dedup`; the rows whose id was new go into the log by COPY.

Ids are nearly always new, and COPY stores them for half of what a statement costs that looks out for known ones. So
COPY comes first; where it meets a known id, all is rolled back and done again by that statement, as is whatever this
process writes within the next seconds: retries come in bursts, and a batch should not be tried twice for each.

It judges no event, and it never looks into the log to find out whether an event is known.
"""

import io
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec
from django.db import IntegrityError, OperationalError, connection, transaction

from events import dead_letters, partitions
from events.catalogue import NewContent, ensure_profiles, register_contents
from events.cleaning.rules import CleanEvent
from events.dead_letters import Refused

NULL: Final = "\\N"
DIGEST_BYTES: Final = 8
# What the server adds or corrects may differ from one try to the next; it is no part of what was sent.
SERVER_SET: Final = frozenset({"clock_corrected", "clock_adjusted", "watch_adjusted", "bot", "internal"})
# Profiles that exist are remembered, so that a busy user costs no look-up per request; for minutes only, because a
# profile may be erased, and bounded.
REMEMBER_USERS: Final = 100_000
REMEMBER_S: Final = 600.0
# For so long after a known id was met, the next batch is expected to hold known ids as well.
EXPECT_KNOWN_S: Final = 10.0
UNIQUE_VIOLATION: Final = "23505"
CHECK_VIOLATION: Final = "23514"
DEADLOCK: Final = "40P01"

_COLUMNS: Final = (
    "event_id, event_type, user_id, content_id, creator_id, session_id, request_id, position, "
    'additional_info, "timestamp", received_at'
)
_COPY: Final = f"COPY event ({_COLUMNS}) FROM STDIN"
_COPY_IDS: Final = 'COPY event_dedup (event_id, "timestamp", arrived, digest) FROM STDIN'
_TAKE_IDS: Final = (
    'INSERT INTO event_dedup (event_id, "timestamp", arrived, digest) '
    "SELECT * FROM unnest(%s::uuid[], %s::timestamptz[], %s::date[], %s::bytea[]) "
    "ON CONFLICT DO NOTHING RETURNING replace(event_id::text, '-', '')"
)
_DIGESTS: Final = (
    "SELECT replace(event_id::text, '-', ''), encode(digest, 'hex') FROM event_dedup WHERE event_id = ANY(%s::uuid[])"
)
_encode = msgspec.json.Encoder(order="deterministic").encode


class Row(NamedTuple):
    """One event as it is stored: a line of COPY text, and what the table of ids needs of it."""

    line: str
    timestamp: str
    arrived: str
    digest: str


@dataclass(slots=True)
class Batch:
    """What one request wants stored, its rows by event id, and what was refused of it.

    `times` has one for each row; `conflicts` and `repeated` arose inside of the batch; `source` is where it came from,
    and `arrived_at` is from when on its ids are remembered (default: `received_at`).
    """

    received_at: datetime
    source: str
    arrived_at: datetime | None = None
    rows: dict[str, Row] = field(default_factory=dict)
    times: list[datetime] = field(default_factory=list)
    users: set[str] = field(default_factory=set)
    uploads: list[NewContent] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    repeated: int = 0
    conflicts: int = 0
    _received: str = field(init=False)
    _arrived: str = field(init=False)

    def __post_init__(self) -> None:
        self._received = self.received_at.astimezone(UTC).isoformat()
        self._arrived = (self.arrived_at or self.received_at).astimezone(UTC).date().isoformat()

    def add(self, event: CleanEvent) -> bool:
        """Take an event in; False where the batch has its id already, because the first one stays."""
        key = event.event_id.hex
        row = make_row(key, event, self._received, self._arrived)
        first = self.rows.setdefault(key, row)
        if first is not row:
            self.repeated += 1
            self.conflicts += first.digest != row.digest
            return False
        self.times.append(event.timestamp)
        self.users.add(event.user_id)
        return True

    def months(self) -> set[date]:
        """The months of its events; nearly always they lie in one."""
        if not self.times:
            return set()
        first, last = partitions.month_of(min(self.times)), partitions.month_of(max(self.times))
        return {first} if first == last else {partitions.month_of(moment) for moment in self.times}


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch; `conflicts`, counted within `duplicates`, had another payload under a known id.

    `times` are those of the accepted events.
    """

    accepted: int
    duplicates: int
    conflicts: int
    times: Sequence[datetime] = field(default=(), compare=False)


def make_row(key: str, event: CleanEvent, received_at: str, arrived: str) -> Row:
    """An event in PostgreSQL's COPY text format: tab between columns, \\N for NULL, backslashes doubled.

    The digest covers neither the times nor what the server corrected: a retry may carry another clock.
    """
    request, position, info = event.request_id, event.position, event.additional_info
    head = (
        f"{key}\t{event.event_type}\t{_field(event.user_id)}\t{_field(event.content_id)}\t"
        f"{_field(event.creator_id)}\t{_field(event.session_id)}\t"
        f"{NULL if request is None else request}\t{NULL if position is None else position}\t"
    )
    json = _field(_encode(info).decode()) if info else "{}"
    sent = json if SERVER_SET.isdisjoint(info) else _sent_json(info)
    digest = blake2b((head + sent).encode(), digest_size=DIGEST_BYTES).hexdigest()
    # In the writing of JSON: several times faster than `isoformat`.
    timestamp = _encode(event.timestamp)[1:-1].decode()
    return Row(f"{head}{json}\t{timestamp}\t{received_at}\n", timestamp, arrived, digest)


def write(batches: Sequence[Batch]) -> list[Stored]:
    """Store some batches in one transaction; what became of each, in their order.

    Where an id stands in several batches, the first batch has it. When this returns outside of a transaction,
    everything is committed.
    """
    rows: dict[str, Row] = {}
    for batch in batches:
        if rows:
            for key, row in batch.rows.items():
                rows.setdefault(key, row)
        else:
            rows.update(batch.rows)
    months = set().union(*(batch.months() for batch in batches))
    new, known = _write_mended(rows, batches, months)
    return [_verdict(batch, rows, new, known) for batch in batches]


def forget() -> None:
    """Drop what this process remembers of profiles and of ids that came again."""
    _users.clear()
    _retries.clear()


def _write_mended(
    rows: Mapping[str, Row], batches: Sequence[Batch], months: set[date]
) -> tuple[set[str], dict[str, str]]:
    """`_write_once`, again after what tells something that this process did not know, and after a deadlock."""
    for tries_left in (2, 1, 0):
        try:
            return _write_once(rows, batches, months)
        except (IntegrityError, OperationalError) as error:
            state = getattr(error.__cause__, "pgcode", None)
            if not tries_left or state not in {UNIQUE_VIOLATION, CHECK_VIOLATION, DEADLOCK}:
                raise
            if state == UNIQUE_VIOLATION:
                _retries.met()
            elif state == CHECK_VIOLATION:  # no partition takes the row: it was dropped
                partitions.forget()
    raise AssertionError("the last try returns or raises")


def _write_once(
    rows: Mapping[str, Row], batches: Sequence[Batch], months: set[date]
) -> tuple[set[str], dict[str, str]]:
    """The ids that were new, and the digests of those that were not."""
    # Profiles, contents, ids and dead letters are locked in this order and each sorted by key, so that batches that
    # overlap wait for each other instead of dying in a deadlock.
    keys = sorted(rows)
    with transaction.atomic():
        partitions.ensure(months)
        users = _users.unknown(set().union(*(batch.users for batch in batches)))
        if users:
            ensure_profiles(users)
            # Only what is committed may be remembered.
            transaction.on_commit(lambda: _users.remember(users))
        uploads = [upload for batch in batches for upload in batch.uploads]
        if uploads:
            register_contents(uploads, keep_known=True)
        # The driver's own cursor: Django's and the metrics' around it cost as much as the statements of a single event.
        with connection.wrap_database_errors, connection.cursor() as wrapped:
            cursor = wrapped.cursor
            new = _take_ids(cursor, keys, rows) if keys else set()
            known = [key for key in keys if key not in new] if len(new) < len(keys) else []
            if new:
                lines = [rows[key].line for key in (sorted(new) if known else keys)]
                cursor.copy_expert(_COPY, io.BytesIO("".join(lines).encode()))
            digests: dict[str, str] = {}
            if known:
                cursor.execute(_DIGESTS, [_array(known)])
                digests = dict(cursor.fetchall())
        # At most one call for each source: its rows are sorted within a call only.
        for source in sorted({batch.source for batch in batches if batch.refused}):
            refused = [one for batch in batches if batch.source == source for one in batch.refused]
            dead_letters.keep(refused, now=batches[-1].received_at, source=source)
    return new, digests


def _take_ids(cursor: Any, keys: Sequence[str], rows: Mapping[str, Row]) -> set[str]:
    """Take the ids that are free; returns them. Raises IntegrityError where none was expected to be known."""
    taken = [rows[key] for key in keys]
    if not _retries.expected():
        lines = [
            f"{key}\t{row.timestamp}\t{row.arrived}\t\\\\x{row.digest}\n" for key, row in zip(keys, taken, strict=True)
        ]
        cursor.copy_expert(_COPY_IDS, io.BytesIO("".join(lines).encode()))
        return set(keys)
    # Nothing in these arrays needs quoting but the bytes, and one text is bound far faster than a list.
    digests = '","'.join(["\\\\x" + row.digest for row in taken])
    cursor.execute(
        _TAKE_IDS,
        [
            _array(keys),
            _array(row.timestamp for row in taken),
            _array(row.arrived for row in taken),
            f'{{"{digests}"}}' if taken else "{}",
        ],
    )
    return {key for (key,) in cursor.fetchall()}


def _verdict(batch: Batch, rows: Mapping[str, Row], new: set[str], known: Mapping[str, str]) -> Stored:
    conflicts = batch.conflicts
    times: list[datetime] = []
    for (key, row), moment in zip(batch.rows.items(), batch.times, strict=True):
        first = rows[key]
        if key not in new:
            # An id that was pruned this very moment has no digest, and is nobody's conflict.
            conflicts += known.get(key, row.digest) != row.digest
        elif first is row:
            times.append(moment)
        else:
            conflicts += first.digest != row.digest
    return Stored(len(times), batch.repeated + len(batch.rows) - len(times), conflicts, times)


def _field(value: str | None) -> str:
    # Ids hold no tab or line break (`schema.check_text`), and JSON escapes them, so the backslash is all there is.
    if value is None:
        return NULL
    return value.replace("\\", "\\\\") if "\\" in value else value


def _sent_json(info: Mapping[str, Any]) -> str:
    sent = {name: value for name, value in info.items() if name not in SERVER_SET}
    if "watch_adjusted" in info:
        sent["watch_duration"] = info["watch_adjusted"]  # what the client said before it was cut
    return _encode(sent).decode()


def _array(values: Iterable[str]) -> str:
    return f"{{{','.join(values)}}}"


class _KnownUsers:
    """Users whose profile is known to exist."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._until = 0.0

    def unknown(self, users: set[str]) -> set[str]:
        return users - self._names

    def remember(self, users: set[str]) -> None:
        now = time.monotonic()
        if now > self._until or len(self._names) > REMEMBER_USERS:
            # A new set: another thread may be reading the old one.
            self._names, self._until = set(), now + REMEMBER_S
        self._names |= users

    def clear(self) -> None:
        self._names = set()


class _Retries:
    """Whether known ids were met lately, and so are to be expected."""

    def __init__(self) -> None:
        self._until = -math.inf

    def met(self) -> None:
        self._until = time.monotonic() + EXPECT_KNOWN_S

    def expected(self) -> bool:
        return time.monotonic() < self._until

    def clear(self) -> None:
        self._until = -math.inf


_users = _KnownUsers()
_retries = _Retries()
