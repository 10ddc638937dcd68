from datetime import timedelta

import numpy as np
import pytest

from events.models import Content, Event
from features import hiding, snapshot_files, store, window_rows
from features.erasure import erase_content, erase_user
from features.extraction.definitions import DEFAULTS
from features.materialize import materialize
from features.models import ContentFeatures, ContentWindow, Embedding
from tests.features.clips import CLIPS, NOW, days_of_events, raw, register, send

GONE = CLIPS[5]


@pytest.fixture
def filled(db, snapshots):
    """Three days of events, materialised."""
    register(CLIPS)
    send(days_of_events())
    materialize(until=NOW)
    return snapshots


def test_an_erased_content_leaves_no_row(filled):
    others = {hour.window: hour.by_content() for hour in window_rows.between(0, 10**6)}
    assert sum(erase_content(GONE).values()) > 10
    assert not ContentFeatures.objects.filter(content_id=GONE).exists()
    assert not Embedding.objects.filter(content_id=GONE).exists()
    assert not ContentWindow.objects.filter(contents__contains=[GONE]).exists()
    for hour in window_rows.between(0, 10**6):
        others[hour.window].pop(GONE, None)
        assert hour.by_content() == others[hour.window], "the counts of the others stay"


def test_it_is_hidden_at_once_and_absent_from_the_next_snapshot(filled):
    row = store.snapshot().row_of[GONE]
    erase_content(GONE)
    hidden = store.snapshot()
    assert not hidden.active[row]
    assert np.array_equal(hidden.features[row], DEFAULTS["content"])
    assert not hidden.embedding[row].any()
    assert hidden.active.sum() == len(CLIPS) - 1
    Event.objects.filter(content_id=GONE).delete()
    Content.objects.filter(content_id=GONE).delete()
    materialize(until=NOW)
    store.forget()
    assert GONE not in store.snapshot().row_of
    assert hiding.names(filled) == snapshot_files.answered(snapshot_files.current(filled))


def test_the_hours_of_an_erased_user_are_counted_without_them(filled):
    with_them = store.latest([CLIPS[0]]).state.copy()
    mine = Event.objects.filter(user_id="u3").order_by("timestamp")
    first, last = mine.first().timestamp, mine.last().timestamp
    mine.delete()
    # As many events of somebody else: the number of events alone would not tell.
    send([raw("impression", "other", CLIPS[0], NOW - timedelta(hours=1))])
    assert erase_user("u3", first=first, last=last)["window_fill"] > 20
    materialize(until=NOW)
    assert (store.latest([CLIPS[0]]).state != with_them).any()
