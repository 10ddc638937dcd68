"""The lengths of clips by which hours were counted, and the hours to count again where one of them has changed.

A long view and the bucket of a watch time (D2Q) depend on how long the clip is, and a host app may tell that after the
views, or correct it. Then the whole past is explained by the catalogue as it is now, as it is by its creators and
categories: the hours of the clip are opened again. The other way, each hour by the length that was known in it, would
need every past catalogue wherever features are computed, and would keep for good what was only a mistake.

Which lengths the counts were made with is remembered, and compared with the catalogue once per run, so that whoever
writes a content has nothing to do for this. Hours of months that the log has dropped stay as they are.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from django.db import connection, transaction

from events import windows
from features import log_windows, window_rows
from features.models import CountedLength

# As two texts, which the driver hands over a hundred times faster than rows; no id contains the separator.
_KNOWN: Final = "SELECT string_agg(content_id, E'\\x1f'), string_agg(duration_s::text, ',') FROM counted_length"


def reopen_changed(duration_of: Mapping[str, float]) -> int:
    """Open the hours of clips whose length is another one now; returns how many clips those are.

    Whatever is counted from now on has to be counted by these lengths. Call it under the lock of `materialize`.

    Parameters
    ----------
    duration_of : seconds of each content of the catalogue, NaN where unknown
    """
    known = _known()
    ids = [*duration_of, *(known.keys() - duration_of.keys())]
    then = np.fromiter((known.get(each, np.nan) for each in ids), np.float32, len(ids))
    now = np.full(len(ids), np.nan, np.float32)
    now[: len(duration_of)] = np.fromiter(duration_of.values(), np.float32, len(duration_of))
    moved = np.flatnonzero((then != now) & ~(np.isnan(then) & np.isnan(now))).tolist()
    if moved:
        with transaction.atomic():
            windows.reopen_hours(
                window_rows.complete_hours_of([ids[each] for each in moved]), family=log_windows.FAMILY
            )
            _forget([ids[each] for each in moved if ids[each] in known])
            _remember({ids[each]: float(now[each]) for each in moved})
    return len(moved)


def _known() -> dict[str, float]:
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN)
        ids, lengths = cursor.fetchone()
    return dict(zip(ids.split("\x1f"), map(float, lengths.split(",")), strict=True)) if ids else {}


def _forget(content_ids: Sequence[str]) -> None:
    CountedLength.objects.filter(content_id__in=content_ids).delete()


def _remember(lengths: Mapping[str, float]) -> None:
    # Ids hold no tab or line break, so the backslash is all that COPY would read as something else.
    told = [(each.replace("\\", "\\\\"), length) for each, length in lengths.items() if not np.isnan(length)]
    lines = [f"{content_id}\t{length!r}\n" for content_id, length in told]
    with connection.cursor() as cursor:
        cursor.copy_expert("COPY counted_length (content_id, duration_s) FROM STDIN", io.StringIO("".join(lines)))
