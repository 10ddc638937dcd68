"""The sequences that models of behaviour are learned from, and the sums over them, kept between runs.

    hours counted anew --> their enjoyments --> sequences of users --> sums of those that differ --> models

The file beside the snapshots says which hours it has taken in, and as which count of them. Hours that were counted
again since (late events, erased ones, a backfill) are read again as a whole; users whose sequences are others for it
leave the sums and come back. As sums are exact, whatever happened in between, the result has the very bits of one that
was made from the log at once. Where that cannot be had by small steps it is made so: without a usable file, after the
length of a clip changed (it decides what a long view is), and when too few of the kept enjoyments are left. An hour
that cannot be read is left out, and tried again with the next ones.

Call it under the lock of `materialize`.
"""

import logging
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from django.conf import settings
from django.db import transaction
from numpy.typing import NDArray

from events.group_commit import is_transient
from events.queries import interactions_between
from features import log_windows
from features.embeddings import behaviour, word2vec
from features.embeddings.behaviour import DEFAULT, MAX_TRANSITIONS, MIN_TRANSITIONS, SequentialItemModel
from features.embeddings.statistics import SequenceStatistics
from features.embeddings.word2vec import ItemVectors
from features.extraction.definitions import WINDOW_S
from features.extraction.sequences import ENJOYABLE, enjoyments, newest
from features.extraction.snapshot import UNKNOWN

logger = logging.getLogger(__name__)

KEPT: Final = 2 * MAX_TRANSITIONS
"""Models are learned from half of them; the others stand in for what may be erased."""
READ_AT_ONCE: Final = 1_000_000
"""Events of all kinds; an hour that is larger by itself is read at once."""
NEAR: Final = 24
"""Hours no further apart are read as one span."""
_FILE: Final = "sequences.npz"
_FORMAT: Final = 1
"""Another one after a change of what is an enjoyment."""
_NEVER: Final = np.iinfo(np.int64).min

Part = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Users, contents and hours of enjoyments, as codes."""


@dataclass(slots=True)
class Memory:
    """Enjoyments of the log in order of time, and the sums over the sequences that were learned from last.

    Attributes
    ----------
    hours : int64 array (h, 3), as `log_windows.filled_versions`
    floor : nothing is known of the hours before this one
    users, contents : their ids; those of users ascend
    duration_s : float32 array, of the contents, as the catalogue had them
    user, content, hour : int64 arrays (p,), the enjoyments
    items, sums : ids of the items, and the sums over them; users are those of `users`
    """

    hours: NDArray[np.int64]
    floor: int
    users: list[str]
    contents: list[str]
    duration_s: NDArray[np.float32]
    user: NDArray[np.int64]
    content: NDArray[np.int64]
    hour: NDArray[np.int64]
    items: list[str]
    sums: SequenceStatistics

    @classmethod
    def empty(cls) -> "Memory":
        """Of nothing."""
        none = np.empty(0, np.int64)
        sums = SequenceStatistics(0, channels=DEFAULT.channels)
        return cls(none.reshape(0, 3), _NEVER, [], [], np.empty(0, np.float32), none, none, none, [], sums)

    def save(self, target: Path) -> None:
        """Replace the file at once, or not at all."""
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        self.sums.save(
            partial, format=np.array([_FORMAT]), hours=self.hours, floor=np.array([self.floor]),
            users=_packed(self.users), contents=_packed(self.contents), duration_s=self.duration_s,
            enjoying=self.user, enjoyed=self.content, when=self.hour, items=_packed(self.items),
        )  # fmt: skip
        os.replace(partial, target)

    @classmethod
    def load(cls, source: Path) -> "Memory":
        """Read what `save` wrote; raises what `_load` catches if there is no such file."""
        # Opened here: of a damaged file the library would keep the handle.
        with source.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            if arrays["format"].tolist() != [_FORMAT]:
                raise ValueError(f"format {arrays['format'].tolist()} of {source.name} is not {_FORMAT}")
            memory = cls(
                arrays["hours"], int(arrays["floor"][0]), _unpacked(arrays["users"]), _unpacked(arrays["contents"]),
                arrays["duration_s"], arrays["enjoying"], arrays["enjoyed"], arrays["when"],
                _unpacked(arrays["items"]), SequenceStatistics.load(source),
            )  # fmt: skip
        if memory.sums.channels != DEFAULT.channels:
            raise ValueError(f"the sums of {source.name} are of the channels {memory.sums.channels}")
        return memory


def path() -> Path:
    """Where the sequences are kept."""
    return Path(settings.SNAPSHOT_DIR) / _FILE


def forget() -> bool:
    """Keep nothing; the next snapshot learns from the whole log. Returns whether there was anything."""
    try:
        path().unlink()
    except FileNotFoundError:
        return False
    return True


def learn(
    content_id: NDArray[np.object_], duration_s: NDArray[np.float32], *, until: datetime, anew: bool
) -> tuple[SequentialItemModel | None, ItemVectors | None]:
    """The models of behaviour from the hours that the feature store has taken in.

    Parameters
    ----------
    content_id, duration_s : the catalogue, in order of the rows of the snapshot
    until : the running hour is read up to here
    anew : from the log alone
    """
    row_of = {each: row for row, each in enumerate(content_id.tolist())}
    memory = None if anew else _load(row_of, duration_s)
    refreshed = _refreshed(memory or Memory.empty(), row_of, duration_s, until)
    if refreshed is None:
        refreshed = _refreshed(Memory.empty(), row_of, duration_s, until)
    assert refreshed is not None  # what was made from the whole log lacks nothing
    user, row = newest(refreshed.user, _rows(refreshed.contents, row_of)[refreshed.content])
    items = _add_up(refreshed, user, row, content_id)
    _prune(refreshed)
    refreshed.save(path())
    # Vectors by gensim are for the contents beyond those that the sequential model can hold.
    vectors = word2vec.fit(user, row, len(row_of)) if len(np.unique(row)) > behaviour.MAX_ITEMS else None
    enough = refreshed.sums.steps >= MIN_TRANSITIONS
    return behaviour.solve(refreshed.sums, items, len(row_of)) if enough else None, vectors


def _load(row_of: dict[str, int], duration_s: NDArray[np.float32]) -> Memory | None:
    """What is kept, if it can be gone on with."""
    try:
        memory = Memory.load(path())
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, zlib.error, zipfile.BadZipFile):
        logger.exception("%s cannot be used; the sequences are read from the log again", path())
        return None
    same = np.array_equal(_durations(memory.contents, row_of, duration_s), memory.duration_s, equal_nan=True)
    return memory if same else None


def _refreshed(
    memory: Memory, row_of: dict[str, int], duration_s: NDArray[np.float32], until: datetime
) -> Memory | None:
    """The memory in line with the log; None where what was dropped from it is needed now."""
    log = log_windows.filled_versions()
    known = {int(each[0]): each.tolist() for each in memory.hours}
    stale = [each for each in log.tolist() if each[0] >= memory.floor and known.get(each[0]) != each]
    same = np.array([each[0] for each in log.tolist() if known.get(each[0]) == each], np.int64)
    kept = np.isin(memory.hour, same)
    parts = [(memory.user[kept], memory.content[kept], memory.hour[kept])]
    floor, unread = memory.floor, list[int]()
    user_of = {each: code for code, each in enumerate(memory.users)}
    content_of = {each: code for code, each in enumerate(memory.contents)}
    in_catalogue, numbered, new = _rows(memory.contents, row_of) >= 0, len(content_of), 0
    old = parts[0][2][in_catalogue[parts[0][1]]]
    # Newest first: where there is enough, the rest of a long log is never read.
    for span in _spans(stale):
        read, bad = _readable(span, lambda hours: _read(hours, user_of, content_of, row_of, duration_s, until))
        parts += read
        unread += bad
        known_rows = _rows(list(content_of)[numbered:], row_of)
        in_catalogue, numbered = np.append(in_catalogue, known_rows >= 0), len(content_of)
        new += sum(int(in_catalogue[content].sum()) for _, content, _ in read)
        if new + len(old) - np.searchsorted(old, span[0]) >= KEPT:
            break
    user, content, hour = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort(hour, kind="stable")
    known_at = np.flatnonzero(in_catalogue[content[order]])
    if len(known_at) >= KEPT:
        floor = max(floor, int(hour[order[known_at[-KEPT]]]))
        order = order[hour[order] >= floor]
    elif floor != _NEVER and len(known_at) < MAX_TRANSITIONS:
        return None
    memory.users, memory.contents, memory.floor = list(user_of), list(content_of), floor
    memory.user, memory.content, memory.hour = user[order], content[order], hour[order]
    memory.duration_s = _durations(memory.contents, row_of, duration_s)
    memory.hours = log[(log[:, 0] >= floor) & ~np.isin(log[:, 0], unread)]
    _in_order(memory)
    return memory


def _spans(stale: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Hours that are read at once, ascending; the newest span first."""
    span: list[int] = []
    size = 0
    for hour, events, _ in reversed(stale):
        if span and (span[0] - hour > NEAR or size + events > READ_AT_ONCE):
            yield span
            span, size = [], 0
        span, size = [hour, *span], size + events
    if span:
        yield span


def _readable(span: list[int], read: Callable[[list[int]], Part]) -> tuple[list[Part], list[int]]:
    """What could be read of a span, in parts, and the hours that could not: they hold up no other."""
    try:
        with transaction.atomic():
            return [read(span)], []
    except Exception as error:
        if is_transient(error):
            raise
        if len(span) == 1:
            logger.exception("models are learned without %s, which cannot be read", log_windows.moment(span[0]))
            return [], span
    halves = [_readable(half, read) for half in (span[: len(span) // 2], span[len(span) // 2 :])]
    return [part for parts, _ in halves for part in parts], [hour for _, bad in halves for hour in bad]


def _read(
    span: list[int],
    user_of: dict[str, int],
    content_of: dict[str, int],
    row_of: dict[str, int],
    duration_s: NDArray[np.float32],
    until: datetime,
) -> Part:
    """Users, contents and hours of the enjoyments of a span, in order of time; ids that are new get a code."""
    start, end = log_windows.moment(span[0]), min(log_windows.moment(span[-1] + 1), until)
    log = interactions_between(start, end, types=ENJOYABLE)
    at = enjoyments(log, _durations(log.contents.tolist(), row_of, duration_s))
    hour = (log.timestamp[at] // WINDOW_S).astype(np.int64)
    # An hour in between has not changed, or was not taken in yet.
    at, hour = at[np.isin(hour, span)], hour[np.isin(hour, span)]
    users = np.array([user_of.setdefault(each, len(user_of)) for each in log.users.tolist()], np.int64)
    contents = np.array([content_of.setdefault(each, len(content_of)) for each in log.contents.tolist()], np.int64)
    return users[log.user[at]], contents[log.content[at]], hour


def _add_up(
    memory: Memory, user: NDArray[np.int64], row: NDArray[np.int64], content_id: NDArray[np.object_]
) -> NDArray[np.int64]:
    """Bring the sums in line with the sequences; returns the rows of the items."""
    items, user, item = behaviour.chosen(user, row, len(content_id))
    names = content_id[items].tolist()
    place_of = {each: place for place, each in enumerate(names)}
    moved = np.array([place_of.get(each, UNKNOWN) for each in memory.items], np.int64)
    memory.sums, memory.items = memory.sums.on(moved, len(names)), names
    memory.sums.replace(user, item)
    return items


def _in_order(memory: Memory) -> None:
    """Number the users by their ids, so that nothing depends on when they were first met."""
    place = np.empty(len(memory.users), np.int64)
    order = sorted(range(len(memory.users)), key=memory.users.__getitem__)
    place[order] = np.arange(len(order))
    memory.users = [memory.users[code] for code in order]
    memory.user = place[memory.user]
    # The old ones ascended, and so they do among the others.
    memory.sums.user = place[memory.sums.user]


def _prune(memory: Memory) -> None:
    """Drop users without an enjoyment: nobody is remembered for nothing."""
    used = np.unique(memory.user)
    memory.users = [memory.users[code] for code in used.tolist()]
    memory.user, memory.sums.user = np.searchsorted(used, memory.user), np.searchsorted(used, memory.sums.user)


def _rows(contents: Sequence[str], row_of: dict[str, int]) -> NDArray[np.int64]:
    return np.array([row_of.get(each, UNKNOWN) for each in contents], np.int64)


def _durations(contents: Sequence[str], row_of: dict[str, int], duration_s: NDArray[np.float32]) -> NDArray[np.float32]:
    """Seconds of each content, NaN where the catalogue does not say."""
    return np.append(duration_s, np.float32(np.nan))[_rows(contents, row_of)]


def _packed(names: Sequence[str]) -> NDArray[np.uint8]:
    """Ids as bytes; they hold no control characters."""
    return np.frombuffer("".join(f"{each}\n" for each in names).encode(), np.uint8)


def _unpacked(packed: NDArray[Any]) -> list[str]:
    return packed.tobytes().decode().split("\n")[:-1]
