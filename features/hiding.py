"""Contents that snapshots hold and nobody may be shown any more: one file per erasure beside the snapshots.

    snapshots/.erased/<SHA-256 of the content id>-<random>     {"content_id": ..., "uploaded": ..., "erased": ...}

The name alone hides the content. So erasures at once never meet in one file, none is lost to another or to a snapshot
that is written beside it, and a file that is damaged hides as before. Files are only added whole, and removed: a
snapshot has in its manifest which erasures it has answered, because it was made from a catalogue that was read after
them. All others hold for it. What all snapshots on disk have answered is removed.

Nothing of it stays for longer than it must: `KEPT_S` after the erasure, with the next tick of the store that finds it
answered by the snapshot that serves, older snapshots go that have not answered it, and then its file, which needs the
plain id only to ask the catalogue. An erased user leaves an empty file, whose age says which snapshots are older.

An erasure is answered where the catalogue has the content no more, or has it again because it was uploaded anew.
"""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = ".erased"
KEPT_S: Final = 3600.0
"""An erasure is kept for so long at least: a snapshot that was begun before it may still be on its way to the disk."""
_DIGITS: Final = 64
_UNFINISHED: Final = "."
_USER: Final = ".user-"


class ErasuresUnreadable(RuntimeError):
    """Nobody knows what was erased: nothing may be served that could contain it."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """One content erased once.

    Attributes
    ----------
    name : of its file
    content_id : "" where the file is damaged: the name still tells which content it is, if it is asked
    uploaded : upload of the content as the catalogue had it then, seconds since 1970 UTC; None where it had none
    erased : moment of the erasure, seconds since 1970 UTC; infinite where the file is damaged
    """

    name: str
    content_id: str
    uploaded: float | None
    erased: float

    def undone_by(self, uploaded: float, written: float) -> bool:
        """Whether a row of the catalogue is a later upload: written after the erasure, and not what it was about.

        The same upload written again is none: a nightly sync or a moderator may come before the owner's own erasure.

        >>> Erasure("", "a", uploaded=5.0, erased=9.0).undone_by(5.0, 12.0)
        False
        >>> Erasure("", "a", uploaded=None, erased=9.0).undone_by(5.0, 12.0)
        True
        """
        return written > self.erased and uploaded != self.uploaded


def add(root: Path, content_id: str, *, uploaded: float | None, erased: float) -> None:
    """Note that a content was erased; holds from the moment this returns, for every process and after a power cut."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{_digest(content_id)}-{secrets.token_hex(8)}"
    fresh = folder / f"{_UNFINISHED}{name}"
    with fresh.open("w", encoding="utf-8") as file:
        json.dump({"content_id": content_id, "uploaded": uploaded, "erased": erased}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, folder / name)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def add_user(root: Path) -> None:
    """Note that some user was erased now: snapshots learned before are not kept behind the one that serves."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{_USER}{secrets.token_hex(8)}").touch()


def old_users(root: Path) -> dict[Path, float]:
    """When users were erased, seconds since 1970 UTC, by the file that says so; without those of the last `KEPT_S`."""
    moments = {path: _noted_at(path) for path in (root / FOLDER).glob(f"{_USER}*")}
    return {path: moment for path, moment in moments.items() if _is_old(moment)}


def old_names(root: Path) -> frozenset[str]:
    """The erasures that are older than `KEPT_S`, by name."""
    return frozenset(name for name in names(root) if _is_old(_noted_at(root / FOLDER / name)))


def _noted_at(path: Path) -> float:
    """When a file was written, seconds since 1970 UTC; never where it went meanwhile."""
    try:
        return path.stat().st_mtime
    except OSError:
        return float("inf")


def _is_old(moment: float) -> bool:
    return time.time() - moment > KEPT_S


def names(root: Path) -> frozenset[str]:
    """The erasures there are, by name; raises `ErasuresUnreadable` where that cannot be told."""
    try:
        found = os.listdir(root / FOLDER)
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise ErasuresUnreadable(f"{root / FOLDER} cannot be read: {error.strerror}") from error
    return frozenset(each for each in found if not each.startswith(_UNFINISHED))


def read(root: Path, wanted: Iterable[str]) -> list[Erasure]:
    """Erasures by name, also of those that were removed meanwhile or are damaged."""
    return [_read(root / FOLDER / name) for name in sorted(wanted)]


def of(erasures: Collection[Erasure], content_ids: Iterable[str]) -> dict[str, str]:
    """The content id of each erasure, by name, as far as it is one of these."""
    damaged = {each.name for each in erasures if not each.content_id}
    found = {each.name: each.content_id for each in erasures if each.content_id}
    some = set(content_ids)
    if damaged:
        id_of = {_digest(each): each for each in some}
        found |= {name: id_of.get(name[:_DIGITS], "") for name in damaged}
    return {name: each for name, each in found.items() if each in some}


def broken(root: Path) -> bool:
    """Whether there is something else in place of the list, which does not mend by itself."""
    return os.path.lexists(root / FOLDER) and not (root / FOLDER).is_dir()


def repair(root: Path) -> None:
    """Begin an empty list where it is `broken`. What was erased is lost: only snapshots made after this may serve."""
    (root / FOLDER).unlink(missing_ok=True)


def clear(root: Path, answered: Collection[str]) -> None:
    """Remove erasures that every snapshot has answered, once they are old enough, and what crashes left."""
    folder, now = root / FOLDER, time.time()
    with suppress(FileNotFoundError):
        for name in os.listdir(folder):
            # Another process may clear the same one.
            with suppress(FileNotFoundError):
                over = name in answered or (name.startswith(_UNFINISHED) and not name.startswith(_USER))
                if over and now - (folder / name).stat().st_mtime > KEPT_S:
                    (folder / name).unlink()


def _read(path: Path) -> Erasure:
    try:
        known: Any = json.loads(path.read_bytes())
        content_id, uploaded, erased = known["content_id"], known["uploaded"], float(known["erased"])
        if path.name[:_DIGITS] == _digest(content_id):
            return Erasure(path.name, content_id, None if uploaded is None else float(uploaded), erased)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass  # the name says enough to hide it
    return Erasure(path.name, "", None, float("inf"))


def _digest(content_id: str) -> str:
    return hashlib.sha256(content_id.encode()).hexdigest()
