"""Take a content or a user out of the feature store.

The log and the catalogue are erased by their owner, before this; here goes what was derived from them.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
from django.db import transaction

from events import windows
from features import learned_sequences, log_windows, store, window_rows
from features.extraction.definitions import SIGNALS, WINDOW_S
from features.models import ContentAnalysis, ContentFeatures, Embedding


def erase_content(content_id: str) -> int:
    """Forget a content: states, vectors, counts, what its media showed; returns the rows that went or changed.

    Snapshots that serve hide it at once (within `store.RECHECK_S` in every process), and the next one lacks it.
    """
    with transaction.atomic():
        rows = ContentFeatures.objects.filter(content_id=content_id).delete()[0]
        rows += ContentAnalysis.objects.filter(content_id=content_id).delete()[0]
        rows += Embedding.objects.filter(content_id=content_id).delete()[0]
        hours = window_rows.about(content_id)
        window_rows.put([_without(hour, content_id) for hour in hours])
    # The next snapshot learns again, from a log without it.
    learned_sequences.forget()
    store.hide(content_id)
    return rows + len(hours)


def erase_user(*, first: datetime, last: datetime) -> int:
    """Have the hours counted again in which an erased user's events were; returns how many hours that are.

    Only the sequences that models are learned from are stored by user; they go as a whole, and the next snapshot learns
    from the log again. Features of users follow from the log, and counts say how many people, not who. The learned
    preferences stand in the profile, which belongs to the catalogue.

    Parameters
    ----------
    first, last : moments of the user's first and last event
    """
    learned_sequences.forget()
    start = datetime.fromtimestamp(first.timestamp() // WINDOW_S * WINDOW_S, UTC)
    return windows.reopen(start, last + timedelta(microseconds=1), family=log_windows.FAMILY)


def _without(hour: window_rows.Hour, content_id: str) -> window_rows.Hour:
    place = list(hour.contents).index(content_id)
    at = hour.cells // len(SIGNALS)
    kept = np.flatnonzero(at != place)
    cells = hour.cells[kept] - np.where(at[kept] > place, len(SIGNALS), 0)
    contents = [each for each in hour.contents if each != content_id]
    return replace(hour, contents=contents, cells=cells.astype(np.int32), counts=hour.counts[kept])
