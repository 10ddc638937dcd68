"""Rows of the snapshot that have a tag, by the word of the database.

A rare tag is looked up anew by every request: that costs about as much as any indexed query, and what was tagged a
moment ago is found. A tag of thousands of contents costs a few milliseconds for each thousand; its rows are kept for
`KEPT_S`. Nothing depends on how current they are but which contents are looked at: the cards of a page are judged
once more, by what the database says of each.
"""

import threading
import time
from typing import Final

import numpy as np

from events.tags import contents_tagged
from features.extraction.snapshot import ContentSnapshot
from ranking.pipeline.stages import Ids

COMMON: Final = 2_000
KEPT_S: Final = 5.0
MOST_KEPT: Final = 64

_Key = tuple[str, frozenset[str]]
_kept: dict[_Key, tuple[float, Ids]] = {}
_lock = threading.Lock()


def rows_tagged(snapshot: ContentSnapshot, tags: frozenset[str]) -> Ids:
    """Rows of the contents with any of the tags, ascending: int64 array. Rows keep their meaning for one version."""
    key = (snapshot.version, tags)
    with _lock:
        until, rows = _kept.get(key, (-np.inf, None))
        now = time.monotonic()
        if rows is not None and now < until:
            return rows
        if rows is not None:
            # Whoever comes while this thread asks anew gets the ones before.
            _kept[key] = (now + KEPT_S, rows)
    found = snapshot.rows(contents_tagged(tags))
    found = np.sort(found[found >= 0])
    with _lock:
        _kept.pop(key, None)
        if len(found) > COMMON:
            while len(_kept) >= MOST_KEPT:
                del _kept[next(iter(_kept))]
            _kept[key] = (time.monotonic() + KEPT_S, found)
    return found
