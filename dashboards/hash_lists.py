"""Lists of banned files and frames, taken in from files: each line is checked, and a list changes as a whole or not."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import F

from dashboards.casework.policies import POLICIES
from dashboards.screening_models import HashEntry, HashList
from events.cleaning.schema import show
from events.errors import InvalidRequest

MOST_FRAMES: Final = 64
_BATCH: Final = 2_000
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class ImportedList:
    """What an import did: entries that were read, of these new ones, and the version that the list has now."""

    entries: int
    new: int
    version: int


def import_list(name: str, lines: Iterable[str], *, policy: str, origin: str, now: datetime) -> ImportedList:
    """Add entries to a list: CSV lines of label, SHA-256, and 64-bit perceptual hashes of frames in hexadecimal.

    One of the two may be empty. A label that is on the list already is replaced. Uploads from now on are compared.

    Raises
    ------
    InvalidRequest : a line is none of these; the message says which line
    """
    if policy not in POLICIES:
        raise InvalidRequest(f"policy must be one of {', '.join(POLICIES)}; got {show(policy)}", code="unknown_policy")
    with transaction.atomic():
        listed, _ = HashList.objects.get_or_create(name=name, defaults={"policy": policy, "origin": origin})
        found = {each.label: each for each in _entries(listed, lines)}
        before = HashEntry.objects.filter(listed_in=listed).count()
        HashEntry.objects.bulk_create(
            found.values(), batch_size=_BATCH, update_conflicts=True, unique_fields=["listed_in", "label"],
            update_fields=["sha256", "hashes"],
        )  # fmt: skip
        new = HashEntry.objects.filter(listed_in=listed).count() - before
        HashList.objects.filter(pk=listed.pk).update(
            version=F("version") + 1, policy=policy, origin=origin, changed_at=now
        )
        listed.refresh_from_db()
    return ImportedList(len(found), new, listed.version)


def note_change(listed: HashList, *, now: datetime) -> None:
    """Raise the version of a list that was edited by hand, so that every process reads it again."""
    HashList.objects.filter(pk=listed.pk).update(version=F("version") + 1, changed_at=now)


def _entries(listed: HashList, lines: Iterable[str]) -> Iterable[HashEntry]:
    for number, row in enumerate(csv.reader(lines), 1):
        if not row or row[0].startswith("#"):
            continue
        label, sha256, frames = (*(cell.strip() for cell in row), "", "", "")[:3]
        hashes = frames.lower().split()
        if not label or len(label) > 200 or len(row) > 3:
            raise InvalidRequest(f"line {number}: label, SHA-256 and hashes; got {show(','.join(row))}", line=number)
        if sha256 and not (len(sha256) == 64 and set(sha256.lower()) <= _HEX):
            raise InvalidRequest(f"line {number}: a SHA-256 has 64 hexadecimal digits; got {show(sha256)}", line=number)
        wrong = [each for each in hashes if len(each) > 16 or not set(each) <= _HEX]
        if wrong or len(hashes) > MOST_FRAMES or not (sha256 or hashes):
            raise InvalidRequest(
                f"line {number}: up to {MOST_FRAMES} hashes of 16 hexadecimal digits, or a SHA-256; got {show(frames)}",
                line=number,
            )
        yield HashEntry(listed_in=listed, label=label, sha256=sha256.lower(), hashes=[_signed(each) for each in hashes])


def _signed(text: str) -> int:
    """64 bits as PostgreSQL's bigint holds them."""
    unsigned = int(text, 16)
    return unsigned - (1 << 64) if unsigned >> 63 else unsigned
