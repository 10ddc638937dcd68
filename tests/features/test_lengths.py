"""A clip's length is told or corrected after its events: what is stored and served follows the catalogue."""

from datetime import timedelta

import numpy as np
import pytest

from events.catalogue import NewContent, register_contents
from events.models import Content, WindowFill
from events.queries import interactions_between
from features import log_windows, store
from features import materialize as module
from features.extraction import assemble_many, timeline
from features.extraction.definitions import NAMES
from features.materialize import backfill, materialize
from features.models import CountedLength
from tests.features.clips import CLIPS, NOW, days_of_events, described, raw, register, send
from tests.features.test_interference import rows

LATE = "neon-late"


def told(content_id, duration_s):
    """The host app describes a clip."""
    register_contents([
        NewContent(content_id, "by-1", NOW - timedelta(days=5), described(content_id), duration_s=duration_s)
    ])  # fmt: skip


def strays():
    """Views of a clip that nobody has registered, by its later length long ones and short ones."""
    return [
        raw("view", f"u{n % 7}", LATE, NOW - timedelta(hours=3 * n + 1), watch_duration=float(n % 12))
        for n in range(20)
    ]


def recomputed(snapshot, until=None):
    """The content block of the whole catalogue as training computes it of the log."""
    log = interactions_between(None, NOW)
    everything, at = np.arange(len(snapshot)), np.full(len(snapshot), until or snapshot.until)
    return assemble_many(
        log, snapshot, timeline(log, snapshot), user=np.zeros(len(snapshot), np.int32), rows=everything,
        moments=at, counted_until=at, folds=0,
    ).content  # fmt: skip


def differing(one, other):
    return [name for name, a, b in zip(NAMES["content"], one.T, other.T, strict=True) if not np.array_equal(a, b)]


@pytest.fixture
def world(db, snapshots):
    register(CLIPS)
    send([*days_of_events(), *strays()])
    materialize(until=NOW)
    return snapshots


def served():
    store.forget()
    return store.snapshot()


@pytest.mark.parametrize("changed", [(CLIPS[3], 4.0), (CLIPS[3], None), (LATE, 4.0), (LATE, None), (CLIPS[5], 45.5)])
def test_served_features_are_those_of_the_log_after_a_length_was_told(world, changed):
    assert differing(served().features, recomputed(served())) == []
    told(*changed)
    materialize(until=NOW)
    assert differing(served().features, recomputed(served())) == []


def test_what_is_stored_is_what_a_backfill_makes_of_it(world):
    told(CLIPS[3], 4.0)
    told(LATE, 4.0)
    materialize(until=NOW)
    incremental = rows()
    backfill(NOW - timedelta(days=9), NOW, until=NOW)
    assert rows() == incremental
    module.start_anew()
    materialize(until=NOW)
    assert rows() == incremental


def test_states_as_of_the_past_follow_the_length_too(world):
    told(CLIPS[3], 4.0)
    materialize(until=NOW)
    snapshot, log, past = served(), interactions_between(None, NOW), NOW.replace(minute=0) - timedelta(days=1)
    states = timeline(log, snapshot)
    (counters, _), *_ = states.at(np.array([past.timestamp()]))
    stored = store.as_of(CLIPS, [past] * len(CLIPS)).at(past.timestamp(), states.clock)
    assert np.array_equal(stored, counters[snapshot.rows(CLIPS)])


def test_only_the_hours_of_the_clip_are_counted_again_and_only_once(world):
    told(LATE, 4.0)
    report = materialize(until=NOW)
    assert report.windows == len({each["timestamp"][:13] for each in strays()})
    assert materialize(until=NOW).windows == 0
    told(LATE, 4.0)
    assert materialize(until=NOW).windows == 0, "the same length again says nothing new"


def test_a_new_clip_without_events_opens_no_hour(world):
    told("neon-new", 9.0)
    assert materialize(until=NOW).windows == 0
    assert CountedLength.objects.filter(content_id="neon-new").exists()


def test_a_clip_that_leaves_the_catalogue_is_one_of_unknown_length(world):
    Content.objects.filter(content_id=CLIPS[3]).delete()
    assert materialize(until=NOW).windows > 0
    assert not CountedLength.objects.filter(content_id=CLIPS[3]).exists()
    incremental = rows()
    backfill(NOW - timedelta(days=9), NOW, until=NOW)
    assert rows() == incremental


def test_an_hour_that_was_set_aside_stays_so(world):
    hour = NOW.replace(minute=0) - timedelta(hours=3)
    WindowFill.objects.filter(family=log_windows.FAMILY, window_start=hour).update(attempts=5, state="aside")
    told(LATE, 4.0)
    materialize(until=NOW)
    assert WindowFill.objects.get(family=log_windows.FAMILY, window_start=hour).state == "aside"


def test_ids_of_any_characters_are_remembered(world):
    odd = ["back\\slash", "\\N", "a,b", "ünï ☂"]
    for content_id in odd:
        told(content_id, 1 / 3)
    materialize(until=NOW)
    assert set(CountedLength.objects.filter(duration_s__lt=1).values_list("content_id", flat=True)) == set(odd)
    assert module.lengths.reopen_changed({**dict.fromkeys(CLIPS, 10.0), **dict.fromkeys(odd, 1 / 3)}) == 0


def test_a_late_length_says_nothing_of_events_that_came_later(world):
    """Appending what happens after a moment, and telling a length then, changes the past by the length alone."""
    told(CLIPS[3], 4.0)
    materialize(until=NOW)
    snapshot, past = served(), (NOW.replace(minute=0) - timedelta(days=1)).timestamp()
    whole, log = recomputed(snapshot, past), interactions_between(None, NOW - timedelta(days=1))
    states = timeline(log, snapshot)
    at = np.full(len(snapshot), past)
    until_then = assemble_many(
        log, snapshot, states, user=np.zeros(len(snapshot), np.int32), rows=np.arange(len(snapshot)), moments=at,
        counted_until=at, folds=0,
    ).content  # fmt: skip
    assert differing(whole, until_then) == []
