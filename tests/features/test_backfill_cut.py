"""A backfill that is stopped anywhere, or cannot read an hour, leaves a store that serves what the log says."""

from datetime import timedelta

import numpy as np
import pytest

from events.models import Event
from events.queries import interactions_between
from features import materialize as module
from features import store
from features.extraction import assemble_many, timeline
from features.extraction.definitions import COUNTER_SET
from features.materialize import backfill, materialize, refresh_snapshot
from features.models import ContentFeatures, ContentWindow, PopulationWindow
from features.single_flight import single_flight
from tests.features.clips import CLIPS, NOW, days_of_events, register, send

HOUR = timedelta(hours=1)
RANGES = [(30, -1), (72, 5), (200, -1), (60, 20)]


class KilledError(BaseException):
    """What no code around the work may catch."""


@pytest.fixture
def filled(db, snapshots):
    """Three days of events, materialised, and an upload since: a tick would write a snapshot."""
    register(CLIPS)
    send(days_of_events())
    materialize(until=NOW)
    register(["neon-99"])
    return snapshots


def check_served():
    """What serves is, bit for bit, what the log says as of its moment."""
    store.forget()
    snapshot = store.snapshot()
    log, k = interactions_between(None, NOW + 24 * HOUR), len(snapshot)
    offline = assemble_many(
        log, snapshot, timeline(log, snapshot), user=np.zeros(k, np.int32), rows=np.arange(k),
        moments=np.full(k, (NOW + 3 * HOUR).timestamp()), counted_until=np.full(k, snapshot.until), folds=0,
    )  # fmt: skip
    assert np.array_equal(offline.content, snapshot.features)
    return snapshot


def tick():
    """What any other process may do next, with its result."""
    refresh_snapshot(until=NOW)
    return check_served()


@pytest.mark.parametrize(("first", "last"), RANGES)
def test_killed_before_its_first_hour(filled, monkeypatch, first, last):
    until = store.snapshot().until

    def killed(*_):
        raise KilledError

    monkeypatch.setattr(module, "_fill", killed)
    with pytest.raises(KilledError):
        backfill(NOW - first * HOUR, NOW - last * HOUR, until=NOW)
    monkeypatch.undo()
    assert tick().until == until
    assert "neon-99" in store.snapshot().row_of
    report = materialize(until=NOW)
    assert report.windows > 5, "the hours are still to be done again"
    check_served()


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_killed_between_its_runs(filled, monkeypatch, runs):
    monkeypatch.setattr(module, "MAX_EVENTS_AT_ONCE", 60)
    until, take_in, done = store.snapshot().until, module._take_in, []

    def killed(*args):
        if len(done) == runs:
            raise KilledError
        done.append(take_in(*args))

    monkeypatch.setattr(module, "_take_in", killed)
    with pytest.raises(KilledError):
        backfill(NOW - 70 * HOUR, NOW, until=NOW)
    monkeypatch.undo()
    assert tick().until == until
    materialize(until=NOW)
    check_served()


@pytest.mark.parametrize("back", [0, 1, 30])
def test_an_hour_that_became_unreadable_keeps_its_counts(filled, back):
    hour = (NOW - HOUR).replace(minute=0) - back * HOUR
    served = store.snapshot()
    mine = Event.objects.filter(timestamp__gte=hour, timestamp__lt=hour + HOUR)
    assert mine.update(event_type="view", additional_info={"watch_duration": "a while"}) > 0
    for at in (NOW, NOW + timedelta(minutes=25), NOW + timedelta(minutes=50)):
        backfill(hour - 5 * HOUR, NOW, until=at) if at == NOW else materialize(until=at)
        store.forget()
        assert store.snapshot().until >= served.until
        kept = ContentWindow.objects.get(window_start=hour)
        assert kept.folded, "the states have its counts"
    row = store.snapshot().rows(served.content_id.tolist())
    if store.snapshot().until == served.until:
        assert np.array_equal(store.snapshot().counters[row], served.counters)


def test_nobody_comes_between_its_halves(filled, monkeypatch):
    steps = []

    class Watched:
        def __init__(self):
            self.lock = single_flight()

        def __enter__(self):
            steps.append("lock")
            self.lock.__enter__()

        def __exit__(self, *error):
            steps.append("unlock")
            self.lock.__exit__(*error)

    for name in ("_forget", "_fill"):
        work = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, name=name, work=work: (steps.append(name), work(*args))[1])
    monkeypatch.setattr(module, "single_flight", Watched)
    backfill(NOW - 30 * HOUR, NOW, until=NOW)
    assert steps == ["lock", "_forget", "_fill", "unlock"]


def test_what_is_stored_of_an_hour_is_not_believed_by_a_backfill(filled):
    rows = list(ContentFeatures.objects.order_by("content_id", "day_start").values_list("vector", flat=True))
    ContentFeatures.objects.update(vector=[0.0] * len(rows[0]))
    backfill(NOW - 80 * HOUR, NOW, until=NOW)
    assert list(ContentFeatures.objects.order_by("content_id", "day_start").values_list("vector", flat=True)) == rows


def test_killed_while_it_begins_anew_the_store_has_all_or_nothing(filled, monkeypatch):
    ContentWindow.objects.update(counter_set="older")

    def killed(*_, **__):
        raise KilledError

    monkeypatch.setattr(module.windows, "reopen", killed)
    with pytest.raises(KilledError):
        materialize(until=NOW)
    monkeypatch.undo()
    assert ContentWindow.objects.exists()
    assert PopulationWindow.objects.exists()
    materialize(until=NOW)
    assert set(ContentWindow.objects.values_list("counter_set", flat=True)) == {COUNTER_SET}
    check_served()
