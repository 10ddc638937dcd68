"""Take a content or a user out of the feature store.

The log and the catalogue are erased by their owner, before this; here goes what was derived from them.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from django.db import transaction

from events import windows
from features import learned_sequences, log_windows, store, trends, window_rows
from features.extraction.definitions import SIGNALS, WINDOW_S
from features.models import ContentAnalysis, ContentFeatures, CountedLength, Embedding
from features.single_flight import single_flight

SEQUENCES: Final = "learned sequences"
"""The one file among the tables of what is erased."""


def erase_content(content_id: str) -> dict[str, int]:
    """Forget a content: states, vectors, counts, trends, what its media showed; returns what went or changed, by table.

    Snapshots that serve hide it at once (within `store.RECHECK_S` in every process), and the next one lacks it. What is
    uploaded anew under the same id comes with the next snapshot made after that.
    """
    # Before all else: a materialisation may hold the lock for minutes.
    store.hide(content_id)
    # A tick that reads the same hours meanwhile would put back what goes here.
    with single_flight():
        with transaction.atomic():
            gone = {
                model._meta.db_table: model._default_manager.filter(content_id=content_id).delete()[0]
                for model in (ContentFeatures, ContentAnalysis, CountedLength, Embedding)
            }
            hours = window_rows.about(content_id)
            window_rows.put([_without(hour, content_id) for hour in hours])
            gone["content_window"] = len(hours)
            gone |= trends.forget_thing("content", content_id)
        # The next snapshot learns again, from a log without it.
        gone[SEQUENCES] = int(learned_sequences.forget())
    return gone


def erase_user(user_id: str, *, first: datetime | None, last: datetime | None) -> dict[str, int]:
    """Have the hours counted again in which an erased user's events were; returns what went or changed, by table.

    Only the sequences that models are learned from are stored by user; they go as a whole, and the next snapshot learns
    from the log again. Features of users follow from the log, and counts say how many people, not who; a user who also
    uploads can trend as a creator. The learned preferences stand in the profile, which belongs to the catalogue.

    Parameters
    ----------
    first, last : moments of the user's first and last event; None where there is none
    """
    # A snapshot that learns meanwhile would write the sequences again, with the user's.
    with single_flight():
        store.note_erased_user()
        gone = {SEQUENCES: int(learned_sequences.forget())} | trends.forget_thing("creator", user_id)
        if first is None or last is None:
            return gone | {"window_fill": 0}
        start = datetime.fromtimestamp(first.timestamp() // WINDOW_S * WINDOW_S, UTC)
        hours = windows.reopen(start, last + timedelta(microseconds=1), family=log_windows.FAMILY)
        return gone | {"window_fill": hours}


def _without(hour: window_rows.Hour, content_id: str) -> window_rows.Hour:
    place = list(hour.contents).index(content_id)
    at = hour.cells // len(SIGNALS)
    kept = np.flatnonzero(at != place)
    cells = hour.cells[kept] - np.where(at[kept] > place, len(SIGNALS), 0)
    contents = [each for each in hour.contents if each != content_id]
    return replace(hour, contents=contents, cells=cells.astype(np.int32), counts=hour.counts[kept])
