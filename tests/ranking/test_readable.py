"""Training after a month was dropped: what it can compute as serving did, and what it leaves out."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from events import partitions
from events.ingestion import ingest
from events.queries import catalogue_table, interactions_between
from events.sessions import rebuild_sessions
from features import store
from features.materialize import materialize
from features.remembered import remembered
from ranking import readable as module
from ranking import training
from ranking.ranker.examples import label_exposures
from ranking.readable import readable
from ranking.training import TrainConfig, train
from tests.features.clips import CLIPS, raw, register, send

OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
DROPPED_AT = datetime(2026, 11, 1, 0, 10, tzinfo=UTC)
NOW = DROPPED_AT + timedelta(days=1)


@pytest.fixture
def dropped(transactional_db, empty_catalogue):
    """An old user whose September is gone and a newcomer, both on pages from before and from after the dropping."""
    register(CLIPS)
    old = [raw("view", "old", CLIPS[n], OCTOBER - timedelta(days=2, hours=n), watch_duration=5.0) for n in range(5)]
    pages = [
        raw("impression", user, CLIPS[n], moment + timedelta(hours=n))
        for user in ("old", "new")
        for moment in (OCTOBER + timedelta(minutes=5), DROPPED_AT + timedelta(hours=2))
        for n in range(4)
    ]
    send([*old, *pages], now=NOW)
    rebuild_sessions(until=NOW)
    materialize(until=NOW)
    store.forget()
    assert partitions.drop_expired(now=DROPPED_AT, keep=1)


def judged():
    """Who looked, and whether after the dropping, of the examples that are learned from and of the others."""
    log = interactions_between(None, NOW, refusals=True)
    examples = label_exposures(log, catalogue_table(), until=NOW.timestamp())
    kept = readable(examples, log, remembered(store.snapshot()))
    late = examples.moment > DROPPED_AT.timestamp()
    return [
        sorted(zip(log.users[examples.user[mask]].tolist(), late[mask].tolist(), strict=True)) for mask in (kept, ~kept)
    ]


def test_pages_whose_user_had_a_past_that_is_gone_are_left_out(dropped):
    kept, out = judged()
    # The first page of October may have begun in September.
    assert kept == [("new", False)] * 3 + [("new", True)] * 4 + [("old", True)] * 4
    assert out == [("new", False)] + [("old", False)] * 4


def test_who_did_enough_since_is_known_as_far_as_features_look_back(dropped, monkeypatch):
    monkeypatch.setattr(module, "HISTORY_LIMIT", 2)
    kept, out = judged()
    assert kept.count(("old", False)) == 2, "the third page and the fourth"
    assert out.count(("old", False)) == 2


def test_a_log_without_a_drop_is_learned_from_as_a_whole(empty_catalogue):
    register(CLIPS)
    send([raw("impression", "old", CLIPS[n], OCTOBER + timedelta(minutes=n)) for n in range(4)], now=NOW)
    materialize(until=NOW)
    store.forget()
    kept, out = judged()
    assert (len(kept), out) == (4, [])


def test_training_says_how_much_was_left_out(dropped):
    report = train(TrainConfig(), until=NOW, now=NOW)
    assert report.version is None
    assert report.metrics == {"examples": 11, "unreadable": 5}
    assert "and 5 whose past the log has dropped" in report.reasons[0]


def test_rows_are_what_they_were_before_the_dropping(transactional_db, empty_catalogue):
    register(CLIPS)
    rng = np.random.default_rng(5)
    rows = [
        raw("view", f"u{n % 5}", CLIPS[int(rng.integers(24))], OCTOBER - timedelta(minutes=7 * n), watch_duration=6.0)
        for n in range(200)
    ]
    rows += [
        raw("impression", f"late{n % 4}", CLIPS[int(rng.integers(24))], OCTOBER + timedelta(hours=n)) for n in range(40)
    ]
    assert ingest(rows, now=NOW, source="test").accepted == 240
    rebuild_sessions(until=NOW)
    materialize(until=NOW)
    store.forget()

    def matrix():
        log, snapshot = interactions_between(None, NOW, refusals=True), store.snapshot()
        examples = label_exposures(log, catalogue_table(), until=NOW.timestamp())
        before = remembered(snapshot)
        examples = examples.rows(readable(examples, log, before))
        late = examples.rows(examples.timestamp > (OCTOBER + timedelta(minutes=30)).timestamp())
        parts = training._assemble(late, log, snapshot, lambda _share: None, before)
        # The sequential model of a fold is learned from what there is.
        columns = [parts.user, parts.content]
        return np.concatenate(columns, axis=1)

    known = matrix()
    assert partitions.drop_expired(now=DROPPED_AT, keep=1)
    assert np.array_equal(matrix(), known)
    assert len(known) == 39
