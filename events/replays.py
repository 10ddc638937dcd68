"""Replaying dead letters: each is sent on through `ingestion.ingest` like any other event, as it was or mended.

It is judged anew, by the rules that held for its sender, and its event id makes sure that it is stored once.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import Error, transaction

from events import ingestion
from events.cleaning.rules import Sending
from events.cleaning.schema import InvalidEvent
from events.dead_letters import MAX_PAYLOAD_BYTES, REPLAY, change_reason, is_cut
from events.group_commit import is_transient
from events.models import DeadLetter


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What became of a replay.

    `stored` are new in the log, `known` were in it already (`conflicts` of them with another payload), `failed` are
    refused again, by letter and with the reason. Letters that were settled before are none of these.
    """

    stored: int
    known: int
    conflicts: int
    failed: Mapping[int, str]


def replay(
    ids: Collection[int],
    *,
    now: datetime,
    by: str = "",
    edits: Mapping[int, bytes] | None = None,
    settled: Callable[[DeadLetter, ingestion.IngestReport], None] | None = None,
) -> ReplayReport:
    """Send open letters on, in the version of `edits` where there is one.

    Each is a transaction of its own and holds its row, so two people who replay the same letter store it once. It is
    judged by the time at which it came, not by today's. A letter that is refused again stays open, with the new
    reason; where an edited version is refused, the letter stays as it was, because it is not what was sent. Where one
    is stored, the letter keeps it beside what was sent. `settled` is told of each letter in that letter's transaction.
    """
    stored = known = conflicts = 0
    failed: dict[int, str] = {}
    for letter_id in sorted(set(ids)):
        edited = (edits or {}).get(letter_id)
        try:
            report = _replay_one(letter_id, edited, now=now, by=by, settled=settled)
        except InvalidEvent as error:
            failed[letter_id] = str(error)
            if edited is None:
                change_reason(letter_id, code=error.code, detail=error.detail)
            continue
        if report is not None:
            stored += report.accepted
            known += report.duplicates
            conflicts += report.conflicts
    return ReplayReport(stored, known, conflicts, failed)


def _replay_one(
    letter_id: int,
    edited: bytes | None,
    *,
    now: datetime,
    by: str,
    settled: Callable[[DeadLetter, ingestion.IngestReport], None] | None,
) -> ingestion.IngestReport | None:
    """Ingest one letter and settle it; None where it is gone or settled already."""
    with transaction.atomic():
        open_letters = DeadLetter.objects.select_for_update().filter(state=DeadLetter.State.OPEN)
        letter = open_letters.filter(pk=letter_id).first()
        if letter is None:
            return None
        if edited is None and is_cut(letter):
            raise InvalidEvent("too_large", f"only {MAX_PAYLOAD_BYTES} of {letter.size} bytes were kept")
        try:
            report = ingestion.ingest(
                [bytes(letter.payload) if edited is None else edited],
                now=letter.received_at,
                source=REPLAY,
                historical=letter.historical,
                user_id=letter.user_id,
                sending=_sending_of(letter),
                # The id is new today, and must be known for as long as any other.
                arrived_at=now,
            )
        except Error as error:
            if is_transient(error):
                raise
            raise InvalidEvent("unstorable", f"the database refuses it: {error}") from error
        if report.rejected:
            raise InvalidEvent(report.rejected[0].code, report.rejected[0].detail)
        note = "edited" if edited is not None else ""
        if report.conflicts:
            note = f"{note} the log has another event with this id, which stays".strip()
        letter.state, letter.note, letter.settled_by, letter.settled_at = DeadLetter.State.REPLAYED, note, by, now
        letter.sent_on = edited
        letter.save(update_fields=["state", "note", "settled_by", "settled_at", "sent_on"])
        if settled is not None:
            settled(letter, report)
    return report


def _sending_of(letter: DeadLetter) -> Sending:
    """What was known when the letter came. Not its late window: whoever replays has decided that its age is welcome."""
    return Sending(sent_at=letter.sent_at, anonymous=letter.anonymous, bot=letter.bot, internal=settings.INTERNAL_USERS)
