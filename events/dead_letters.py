"""Dead letters: events that were refused, kept with their reason until somebody fixes, discards or forgets them.

A refused event is answered with its reason and kept in the same transaction as its batch, so that nothing which was
acknowledged is lost.

It does not judge events, it does not send them on (`replays` does), and it does not decide who may see them (`admin`
does).
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Min, Q, Sum

from events.cleaning.masking import MASK, masked_detail, masked_value
from events.models import DeadLetter

MAX_PAYLOAD_BYTES: Final = 32 * 1024
MAX_DETAIL_CHARS: Final = 1_000
DIGEST_BYTES: Final = 16
DROPPED_ROWS: Final = 5_000
# The source under which `replays` sends a letter on; `keep` makes no letter of a letter.
REPLAY: Final = "replay"

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_KEEP: Final = """
    INSERT INTO dead_letter (digest, code, detail, payload, size, historical, source, user_id, anonymous, bot, sent_at,
                             received_at, last_at, times, state, note, settled_by)
    SELECT digest, code, detail, payload, size, historical, %s, user_id, anonymous, bot, sent_at,
           %s, %s, times, 'open', '', ''
    FROM unnest(%s::bytea[], %s::text[], %s::text[], %s::bytea[], %s::int[], %s::bool[], %s::text[], %s::bool[],
                %s::bool[], %s::timestamptz[], %s::int[])
         AS kept (digest, code, detail, payload, size, historical, user_id, anonymous, bot, sent_at, times)
    ON CONFLICT (digest) DO UPDATE SET times = dead_letter.times + excluded.times,
        last_at = greatest(dead_letter.last_at, excluded.last_at)
    RETURNING xmax = 0
"""


@dataclass(frozen=True, slots=True)
class Refused:
    """One refused event: the bytes that were sent, why, and what was known about the sender.

    `user_id` is whom its token speaks for; an `anonymous` sender speaks for devices only, a `bot` is a program, and
    `sent_at` is what its clock said when it sent the batch.
    """

    payload: bytes
    code: str
    detail: str
    user_id: str | None
    historical: bool = False
    anonymous: bool = False
    bot: bool = False
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The letters of one reason: how many in each state, how often they came, and when first and last."""

    code: str
    open: int
    replayed: int
    discarded: int
    times: int
    oldest: datetime
    newest: datetime


def keep(kept: Sequence[Refused], *, now: datetime, source: str) -> int:
    """Keep refused events; returns how many were not known yet. One statement, in the caller's transaction.

    A letter that was settled and comes again stays settled: its fix is stored, or nobody wants it.
    """
    if not kept or source == REPLAY:
        return 0
    letters: dict[bytes, tuple[Refused, int]] = {}
    for refused in kept:
        digest = _digest(refused)
        letters[digest] = (refused, letters[digest][1] + 1 if digest in letters else 1)
    # In order of the digest, so that two batches with the same letters wait for each other instead of dying.
    ordered = sorted(letters.items())
    rows = [refused for _, (refused, _) in ordered]
    with connection.cursor() as cursor:
        cursor.execute(
            _KEEP,
            [
                _text(source)[:64],
                now,
                now,
                [digest for digest, _ in ordered],
                [_text(refused.code)[:64] for refused in rows],
                [_text(refused.detail)[:MAX_DETAIL_CHARS] for refused in rows],
                [refused.payload[:MAX_PAYLOAD_BYTES] for refused in rows],
                [len(refused.payload) for refused in rows],
                [refused.historical for refused in rows],
                [None if refused.user_id is None else _text(refused.user_id) for refused in rows],
                [refused.anonymous for refused in rows],
                [refused.bot for refused in rows],
                [_utc(refused.sent_at) for refused in rows],
                [times for _, (_, times) in ordered],
            ],
        )
        return sum(new for (new,) in cursor.fetchall())


def _utc(moment: datetime | None) -> datetime | None:
    """The same moment in UTC: PostgreSQL refuses offsets of 16 hours and more, which clients may send."""
    if moment is None:
        return None
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # At either end of the calendar; as far off as a clock can be, whatever the offset.
        return moment.replace(tzinfo=UTC)


def groups() -> list[Group]:
    """The letters by reason, the one with most open letters first."""
    state = DeadLetter.State
    rows = DeadLetter.objects.values("code").annotate(
        open=Count("pk", filter=Q(state=state.OPEN)),
        replayed=Count("pk", filter=Q(state=state.REPLAYED)),
        discarded=Count("pk", filter=Q(state=state.DISCARDED)),
        total=Sum("times"),
        oldest=Min("received_at"),
        newest=Max("last_at"),
    )
    return [
        Group(row["code"], row["open"], row["replayed"], row["discarded"], row["total"], row["oldest"], row["newest"])
        for row in rows.order_by("-open", "code")
    ]


def depth() -> int:
    """Letters that wait for somebody."""
    return DeadLetter.objects.filter(state=DeadLetter.State.OPEN).count()


def discard(ids: Collection[int], *, note: str, by: str, now: datetime) -> int:
    """Settle open letters as not wanted, with a note that says why; returns how many."""
    note = note.strip()
    if not note:
        raise ValueError("a discarded letter needs a note that says why")
    open_letters = DeadLetter.objects.filter(pk__in=ids, state=DeadLetter.State.OPEN)
    return open_letters.update(state=DeadLetter.State.DISCARDED, note=note, settled_by=by, settled_at=now)


def drop_expired(*, now: datetime, keep_days: int | None = None) -> int:
    """Delete letters, settled or not, that came last more than `keep_days` (default DEAD_LETTER_DAYS) days ago."""
    keep_days = settings.DEAD_LETTER_DAYS if keep_days is None else keep_days
    if keep_days < 1:
        raise ValueError(f"dead letters are kept for at least a day; got {keep_days}")
    expired = DeadLetter.objects.filter(last_at__lt=now - timedelta(days=keep_days))
    dropped, deleted = 0, DROPPED_ROWS
    while deleted == DROPPED_ROWS:
        page = list(expired.values_list("pk", flat=True)[:DROPPED_ROWS])
        deleted = DeadLetter.objects.filter(pk__in=page).delete()[0]
        dropped += deleted
    return dropped


def export(ids: Collection[int] | None = None, *, reveal: bool) -> Iterator[dict[str, Any]]:
    """Letters as plain data, newest first: all, or those of `ids`; people are masked unless `reveal`."""
    letters = DeadLetter.objects.order_by("-last_at", "-pk")
    if ids is not None:
        letters = letters.filter(pk__in=ids)
    for letter in letters.iterator(chunk_size=500):
        yield {
            "id": letter.pk,
            "code": letter.code,
            "detail": shown_detail(letter, reveal=reveal),
            "payload": shown_payload(letter, reveal=reveal),
            "sent_on": shown_sent_on(letter, reveal=reveal),
            "source": letter.source,
            "user_id": letter.user_id if reveal or letter.user_id is None else MASK,
            "received_at": letter.received_at.isoformat(),
            "last_at": letter.last_at.isoformat(),
            "times": letter.times,
            "state": letter.state,
            "note": letter.note,
            "settled_by": letter.settled_by,
            "settled_at": letter.settled_at.isoformat() if letter.settled_at else None,
        }


def change_reason(letter_id: int, *, code: str, detail: str) -> None:
    """An open letter was refused again, for this reason."""
    DeadLetter.objects.filter(pk=letter_id, state=DeadLetter.State.OPEN).update(
        code=_text(code)[:64], detail=_text(detail)[:MAX_DETAIL_CHARS]
    )


def is_cut(letter: DeadLetter) -> bool:
    """Whether only the beginning of the event was kept."""
    return letter.size > len(bytes(letter.payload))


def shown_payload(letter: DeadLetter, *, reveal: bool) -> str:
    """The payload as text, laid out where it is JSON; without `reveal` its form only (`masking`)."""
    return _shown(bytes(letter.payload), letter.size, reveal=reveal)


def shown_sent_on(letter: DeadLetter, *, reveal: bool) -> str | None:
    """What was replayed where that is not what was sent, as `shown_payload` shows the latter."""
    return None if letter.sent_on is None else _shown(bytes(letter.sent_on), len(letter.sent_on), reveal=reveal)


def shown_detail(letter: DeadLetter, *, reveal: bool) -> str:
    """The reason; without `reveal` the value that was sent is left out, and whom a token speaks for."""
    return letter.detail if reveal else masked_detail(letter.detail)


def _digest(refused: Refused) -> bytes:
    # The sender is part of it: two users who send the same bytes have two letters, each replayed for its own user.
    # What most senders are not adds nothing, so the letters of before 0008 are still known.
    whole = blake2b(refused.payload, digest_size=DIGEST_BYTES)
    if refused.anonymous or refused.bot:
        whole.update(f"\0{refused.anonymous}\0{refused.bot}".encode())
    whole.update(f"\0{refused.code}\0{refused.user_id!r}\0{refused.historical}".encode("utf-8", "backslashreplace"))
    return whole.digest()


def _shown(payload: bytes, size: int, *, reveal: bool) -> str:
    # What cannot be read is not shown at all without `reveal`, because nobody can tell what it holds.
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        # A bad byte or half a surrogate pair is shown as an escape.
        return payload.decode("utf-8", "backslashreplace") if reveal else f"({size} bytes that are no JSON)"
    try:
        text = json.dumps(value if reveal else masked_value(value), indent=2, ensure_ascii=False)
    except RecursionError:
        return payload.decode("utf-8", "backslashreplace") if reveal else f"({size} bytes, nested too deeply)"
    return _UNSTORABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _text(value: str) -> str:
    """A text that PostgreSQL keeps."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
