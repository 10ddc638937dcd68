"""Settling many dead letters: a stored list of them, worked off in short transactions, by a page first and then by a
task.

A page has seconds, and tens of thousands of letters take minutes. So what somebody wants is kept as a row, and each
step is committed together with its entries in the admin's log and its place in the figures: whoever dies in between is
followed by somebody else, who finds the row (`unfinished`) and goes on. Two who work on the same row disturb nobody,
because a letter is settled once and only one of them moves the row on.

It does not decide who may settle letters (`letter_admin` does).
"""

import time
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import F, Q

from events import dead_letters, replays
from events.ingestion import IngestReport
from events.models import DeadLetter, LetterWork

REPLAYED_AT_ONCE: Final = 50
DISCARDED_AT_ONCE: Final = 500


def begin(
    kind: LetterWork.Kind, ids: Collection[int], *, user_id: int, by: str, now: datetime, note: str = ""
) -> LetterWork:
    """Keep what somebody wants of some letters; nothing is settled yet.

    Parameters
    ----------
    user_id, by : key and name of the member of staff
    note : why the letters are discarded

    Raises
    ------
    ValueError
        Discarding without a note.
    """
    note = note.strip()
    if kind == LetterWork.Kind.DISCARD and not note:
        raise ValueError("a discarded letter needs a note that says why")
    chosen = sorted(set(ids))
    return LetterWork.objects.create(
        kind=kind, letters=chosen, total=len(chosen), note=note, user_id=user_id, by=by, started_at=now
    )


def work_off(work_id: int, *, now: datetime, limit_s: float | None = None) -> LetterWork:
    """Go on with some work until it is done, or for `limit_s` seconds; the row as it is then."""
    until = float("inf") if limit_s is None else time.monotonic() + limit_s
    work = _work(work_id)
    while work.done < work.total and time.monotonic() < until:
        if work.kind == LetterWork.Kind.DISCARD:
            _discard_some(work, now=now)
        else:
            _replay_some(work, now=now, until=until)
        work = _work(work_id)
    return work


def in_words(work: LetterWork) -> str:
    """How far some work is, as a sentence or two."""
    if not work.total:
        return f"Nothing to {work.kind}: already settled."
    if work.kind == LetterWork.Kind.DISCARD:
        parts = [f"{work.settled:,} discarded"]
    else:
        parts = [f"{work.settled - work.known:,} stored"]
        parts += [f"{work.known:,} were in the log already"] if work.known else []
        parts += [f"{work.conflicts:,} of them with another payload, which stays"] if work.conflicts else []
        parts += [f"{work.failed:,} refused again"] if work.failed else []
    said = f"{', '.join(parts)}."
    if work.done < work.total:
        said += f" That is {work.done:,} of {work.total:,}; the rest goes on in the background."
    return said


def unfinished() -> list[int]:
    """The keys of the work that somebody has to go on with, the oldest first."""
    return list(LetterWork.objects.filter(done__lt=F("total")).order_by("pk").values_list("pk", flat=True))


def recent(*, now: datetime) -> list[LetterWork]:
    """What goes on, and what of the last day was more than a page does at once; newest first."""
    shown = Q(done__lt=F("total")) | Q(started_at__gt=now - timedelta(days=1), total__gt=DISCARDED_AT_ONCE)
    return list(LetterWork.objects.filter(shown).defer("letters").order_by("-pk")[:10])


def drop_done(*, now: datetime) -> int:
    """Forget finished work that is older than the letters it was about; returns how many rows."""
    old = LetterWork.objects.filter(started_at__lt=now - timedelta(days=settings.DEAD_LETTER_DAYS), done=F("total"))
    return old.delete()[0]


def _work(work_id: int) -> LetterWork:
    return LetterWork.objects.defer("letters").get(pk=work_id)


def _next(work: LetterWork, count: int) -> list[int]:
    # A part of the list, cut out by the database: whole, it may be megabytes.
    part = LetterWork.objects.filter(pk=work.pk).values_list(f"letters__{work.done}_{work.done + count}", flat=True)
    return list(part[0])


def _discard_some(work: LetterWork, *, now: datetime) -> None:
    ids = _next(work, DISCARDED_AT_ONCE)
    with transaction.atomic():
        # In order of the key, so that two who discard the same letters wait for each other.
        waiting = DeadLetter.objects.filter(pk__in=ids, state=DeadLetter.State.OPEN).only("pk", "code").order_by("pk")
        letters = list(waiting.select_for_update())
        dead_letters.discard([letter.pk for letter in letters], note=work.note, by=work.by, now=now)
        _log(work, letters, f"discarded: {work.note}")
        LetterWork.objects.filter(pk=work.pk).update(settled=F("settled") + len(letters))
        _move_on(work, len(ids), failed=0)


def _replay_some(work: LetterWork, *, now: datetime, until: float) -> None:
    def settled(letter: DeadLetter, report: IngestReport) -> None:
        # In the letter's own transaction: whoever dies after it has counted it.
        _log(work, [letter], "replayed")
        LetterWork.objects.filter(pk=work.pk).update(
            settled=F("settled") + 1,
            known=F("known") + report.duplicates,
            conflicts=F("conflicts") + report.conflicts,
        )

    tried = failed = 0
    for letter_id in _next(work, REPLAYED_AT_ONCE):
        report = replays.replay([letter_id], now=now, by=work.by, settled=settled)
        tried += 1
        failed += len(report.failed)
        if time.monotonic() >= until:
            break
    _move_on(work, tried, failed=failed)


def _move_on(work: LetterWork, count: int, *, failed: int) -> None:
    """Only from where this one began: somebody else may have done the same part meanwhile."""
    here = LetterWork.objects.filter(pk=work.pk, done=work.done)
    here.update(done=F("done") + count, failed=F("failed") + failed)


def _log(work: LetterWork, letters: list[DeadLetter], message: str) -> None:
    kind = ContentType.objects.get_for_model(DeadLetter)
    LogEntry.objects.bulk_create(
        LogEntry(
            user_id=work.user_id,
            content_type_id=kind.pk,
            object_id=str(letter.pk),
            object_repr=str(letter)[:200],
            action_flag=CHANGE,
            change_message=message,
        )
        for letter in letters
    )
