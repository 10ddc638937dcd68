"""A large made-up log straight into the event table: what a benchmark of readers needs, in seconds instead of minutes.

Rows of one event type have one length, so numpy lays out the binary COPY format by itself. Events come in order of
time, give or take some minutes, as they do in a real log.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from events import partitions

CHUNK: Final = 200_000
AT_ONCE: Final = 500
"""People who take turns, where visits are longer than one event."""
_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_POSTGRES_EPOCH_S: Final = 946_684_800
_COPY: Final = (
    'COPY event (event_id, event_type, user_id, content_id, position, "timestamp", received_at, additional_info) '
    "FROM STDIN (FORMAT binary)"
)
_SURFACE: Final = b'"surface": "for_you"'
SHARES: Final = {
    "impression": 0.5, "view": 0.38, "skip": 0.05, "complete_view": 0.03, "like": 0.025, "share": 0.005, "save": 0.005,
    "comment": 0.004, "hide": 0.001,
}  # fmt: skip
"""How often each event type comes."""


@dataclass(frozen=True, slots=True)
class LogShape:
    """How large a log, over which time, about how many people and contents; a few contents have most of the events."""

    events: int
    users: int
    contents: int
    start: datetime
    days: int
    visit: int = 1
    """How many events a user makes in a row, all of them within the hour or so."""


def fill(shape: LogShape, *, seed: int = 5) -> None:
    """Write the log. Of the indexes of the table only that over time is there afterwards: readers need no other."""
    months = {partitions.month_of(shape.start + timedelta(days=day)) for day in range(shape.days + 1)}
    partitions.ensure(months)
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX IF EXISTS event_user_recent, event_refused, event_timestamp")
        for part in _parts(shape, np.random.default_rng(seed)):
            cursor.copy_expert(_COPY, io.BytesIO(_HEADER + part + _TRAILER))
        cursor.execute('CREATE INDEX event_timestamp ON event ("timestamp")')
        cursor.execute("VACUUM ANALYZE event")


def copy(parts: Iterable[bytes]) -> None:
    """Write parts made by `rows`; the months of their events must exist (`partitions.ensure`)."""
    with connection.cursor() as cursor:
        for part in parts:
            cursor.copy_expert(_COPY, io.BytesIO(_HEADER + part + _TRAILER))


def user_id(number: int) -> str:
    """Id of a user of the log."""
    return f"u{number:07d}"


def content_id(number: int) -> str:
    """Id of a content of the log."""
    return f"c{number:06d}"


def _parts(shape: LogShape, rng: np.random.Generator) -> Iterator[bytes]:
    span_s = shape.days * 86_400.0
    kinds, shares = list(SHARES), np.array(list(SHARES.values()))
    for first in range(0, shape.events, CHUNK):
        n = min(CHUNK, shape.events - first)
        when = shape.start.timestamp() + (first + np.sort(rng.random(n)) * n) / shape.events * span_s
        kind = rng.choice(len(kinds), n, p=shares / shares.sum())
        user = _users(shape, n, rng)
        content = (shape.contents * rng.random(n) ** 3).astype(np.int64)
        of_kinds = [rows(kinds[code], when[at], user[at], content[at], rng)
                    for code in range(len(kinds)) if len(at := np.flatnonzero(kind == code))]  # fmt: skip
        yield b"".join(of_kinds)


def _users(shape: LogShape, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Who makes each of `n` events: some people at a time, who take turns until each had a visit."""
    visits = -(-n // shape.visit)
    people = (shape.users * rng.random(visits) ** 1.5).astype(np.int64)
    if shape.visit == 1:
        return people
    at_once = max(min(AT_ONCE, visits), 1)
    slot = np.arange(n) // (shape.visit * at_once) * at_once + rng.integers(0, at_once, n)
    found: NDArray[np.int64] = people[np.minimum(slot, visits - 1)]
    return found


def rows(
    kind: str,
    when: NDArray[np.float64],
    user: NDArray[np.int64],
    content: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    watch_s: NDArray[np.float64] | None = None,
) -> bytes:
    """Events of one type in the binary COPY format; without `watch_s` views and skips get made-up seconds.

    Parameters
    ----------
    when, user, content : arrays (n,), seconds since 1970 UTC and numbers of users and contents
    watch_s : array (n,), watched seconds of each, 0 up to 999
    """
    n, name = len(when), kind.encode()
    info = _infos(kind, n, rng) if watch_s is None else _watched(watch_s)
    width = info.dtype.itemsize
    layout = np.dtype([
        ("fields", ">i2"), ("l0", ">i4"), ("id", "V16"), ("l1", ">i4"), ("kind", f"V{len(name)}"),
        ("l2", ">i4"), ("user", "V8"), ("l3", ">i4"), ("content", "V7"), ("l4", ">i4"), ("position", ">i2"),
        ("l5", ">i4"), ("when", ">i8"), ("l6", ">i4"), ("received", ">i8"), ("l7", ">i4"), ("version", "u1"),
        ("info", f"V{width}"),
    ])  # fmt: skip
    block = np.zeros(n, layout)
    block["fields"], block["l0"], block["l1"], block["l2"], block["l3"] = 8, 16, len(name), 8, 7
    block["l4"], block["l5"], block["l6"], block["l7"], block["version"] = 2, 8, 8, width + 1, 1
    block["id"] = np.frombuffer(rng.bytes(16 * n), "V16")
    block["kind"] = np.void(name)
    block["user"] = _numbered(b"u", user, 7)
    block["content"] = _numbered(b"c", content, 6)
    block["position"] = rng.integers(0, 20, n)
    micros = np.round((when - _POSTGRES_EPOCH_S) * 1e6).astype(np.int64)
    block["when"] = block["received"] = micros
    block["info"] = info
    return block.tobytes()


def _numbered(prefix: bytes, number: NDArray[np.int64], digits: int) -> NDArray[Any]:
    """A letter and a number with leading zeros, as bytes of one width."""
    text = np.empty((len(number), digits + 1), np.uint8)
    text[:, 0] = prefix[0]
    for place in range(digits):
        text[:, digits - place] = 48 + number // 10**place % 10
    return text.view(f"V{digits + 1}").reshape(-1)


def _infos(kind: str, n: int, rng: np.random.Generator) -> NDArray[Any]:
    """`additional_info` as JSON of one width."""
    if kind not in {"view", "skip"}:
        return np.full(n, np.void(b"{" + _SURFACE + b"}"))
    least_s = 0.1 if kind == "skip" else 10.0
    return _watched(least_s * (1.0 + 9.0 * rng.random(n) ** 2))


def _watched(watch_s: NDArray[np.float64]) -> NDArray[Any]:
    """The same with watched seconds, written as `1.234e+1`."""
    exponent = np.floor(np.log10(np.clip(watch_s, 0.1, 999.9))).astype(np.int64)
    digits = np.clip(np.floor(watch_s / 10.0**exponent * 1_000), 0, 9_999).astype(np.int64)
    text = np.empty((len(watch_s), 8), np.uint8)
    text[:, 1], text[:, 5] = ord("."), ord("e")
    for place, power in ((0, 3), (2, 2), (3, 1), (4, 0)):
        text[:, place] = 48 + digits // 10**power % 10
    text[:, 6], text[:, 7] = np.where(exponent < 0, ord("-"), ord("+")), 48 + np.abs(exponent)
    head, tail = b"{" + _SURFACE + b', "watch_duration": ', b"}"
    whole = np.empty((len(watch_s), len(head) + 8 + len(tail)), np.uint8)
    whole[:, : len(head)] = np.frombuffer(head, np.uint8)
    whole[:, len(head) : len(head) + 8] = text
    whole[:, len(head) + 8 :] = np.frombuffer(tail, np.uint8)
    return np.ascontiguousarray(whole).view(f"V{whole.shape[1]}").reshape(-1)
