"""After retention has dropped a month, features as of then are still those that served."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from events import partitions
from events.queries import interactions_between, recent_history
from events.retention import log_begins, pasts_dropped
from events.sessions import rebuild_sessions
from features import store
from features.extraction import ForgottenError, assemble, assemble_many, timeline
from features.extraction.definitions import NAMES
from features.materialize import materialize
from features.remembered import DAYS, remembered
from tests.features.clips import CLIPS, raw, register, send

OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
UNTIL = OCTOBER + timedelta(days=4, hours=7, minutes=30)
DROPPED_AT = UNTIL + timedelta(hours=1)


def events(days=20.0, count=500):
    """People who meet clips around the end of September, on two surfaces."""
    rng = np.random.default_rng(3)
    rows = []
    for _ in range(count):
        at = UNTIL - timedelta(seconds=float(rng.uniform(60, days * 86_400)))
        kind = str(rng.choice(["impression", "view", "like", "skip", "complete_view"]))
        more = {"watch_duration": float(rng.uniform(0, 12))} if kind in {"view", "skip"} else {}
        user, clip = f"u{rng.integers(9)}", CLIPS[int(rng.integers(len(CLIPS)))]
        rows.append(raw(kind, user, clip, at, surface=str(rng.choice(["for_you", "profile"])), **more))
    return rows


@pytest.fixture
def world(transactional_db, snapshots):
    register(CLIPS)
    send([*events(), raw("hide", "u1", CLIPS[0], OCTOBER - timedelta(days=3))])
    rebuild_sessions(until=UNTIL)
    materialize(until=UNTIL)
    store.forget()
    return snapshots


def drop_september():
    dropped = partitions.drop_expired(now=DROPPED_AT.replace(month=11), keep=1)
    assert dropped
    assert log_begins() == OCTOBER
    return dropped


def content_at(moments):
    """Content block of every clip, and the population, at each moment as training computes them now."""
    snapshot, log = store.snapshot(), interactions_between(None, UNTIL)
    states, found = timeline(log, snapshot, remembered(snapshot)), []
    for moment in moments:
        at = np.full(len(snapshot), moment.timestamp())
        blocks = assemble_many(
            log, snapshot, states, user=np.zeros(len(snapshot), np.int32), rows=np.arange(len(snapshot)), moments=at,
            folds=0,
        )  # fmt: skip
        until = states.clock.boundary(at[:1])
        (_, receptions), *_ = states.at(until)
        found.append((blocks.content, receptions.watch_quantile, receptions.long_rate))
    return found


HOURS = [OCTOBER + timedelta(minutes=20) + timedelta(hours=each) for each in (0, 1, 5, 24, 60, 100)]


def test_content_features_and_population_after_the_drop_are_those_from_before_it(world):
    before = content_at(HOURS)
    drop_september()
    after = content_at(HOURS)
    for (one, watch, rates), (other, watch_now, rates_now) in zip(before, after, strict=True):
        names = [name for name, a, b in zip(NAMES["content"], one.T, other.T, strict=True) if not np.array_equal(a, b)]
        assert names == []
        assert np.array_equal(watch, watch_now)
        assert rates == rates_now


def test_the_snapshot_that_serves_is_what_training_computes_after_the_drop(world):
    drop_september()
    snapshot = store.snapshot()
    states = timeline(interactions_between(None, UNTIL), snapshot, remembered(snapshot))
    (counters, receptions), *_ = states.at(np.array([snapshot.until]))
    assert np.array_equal(snapshot.counters, counters)
    assert np.array_equal(snapshot.receptions.watch_quantile, receptions.watch_quantile)


def test_events_that_came_after_a_moment_change_nothing_before_it_after_the_drop_either(world):
    drop_september()
    before = content_at(HOURS[:4])
    send([raw("like", f"u{n}", CLIPS[n], HOURS[3] + timedelta(hours=1, minutes=n)) for n in range(9)], now=UNTIL)
    materialize(until=UNTIL)
    for (one, *_), (other, *_) in zip(before, content_at(HOURS[:4]), strict=True):
        assert np.array_equal(one, other)


def test_a_moment_just_before_the_drop_is_known_and_an_older_one_is_refused_with_its_limit(world):
    snapshot, at = store.snapshot(), np.array([(OCTOBER - timedelta(days=DAYS - 1)).timestamp()])
    (then, _), *_ = timeline(interactions_between(None, UNTIL), snapshot).at(at)
    drop_september()
    states = timeline(interactions_between(None, UNTIL), snapshot, remembered(snapshot))
    (now, _), *_ = states.at(at)
    assert np.array_equal(then, now)
    older = (OCTOBER - timedelta(days=DAYS + 2)).timestamp()
    with pytest.raises(ForgottenError, match=r"as of 2026-09-22.*begins at 2026-09-2") as refused:
        list(states.at(np.array([older])))
    assert (refused.value.moment, refused.value.since) == (older, states.since)


def test_a_log_that_nothing_was_dropped_of_needs_no_memory(world):
    assert log_begins() is None
    assert remembered(store.snapshot()) is None


def test_a_store_that_had_counted_nothing_goes_on_from_nothing(transactional_db, snapshots):
    register(CLIPS)
    send(events())
    drop_september()
    materialize(until=UNTIL)
    store.forget()
    snapshot = store.snapshot()
    states = timeline(interactions_between(None, UNTIL), snapshot, remembered(snapshot))
    (counters, _), *_ = states.at(np.array([snapshot.until]))
    assert np.array_equal(snapshot.counters, counters)


def test_what_a_user_refused_in_a_dropped_month_is_in_training_as_it_is_in_serving(world):
    drop_september()
    now = UNTIL + timedelta(hours=2)
    materialize(until=now)
    store.forget()
    snapshot = store.snapshot()
    rows = np.arange(len(snapshot))
    served = assemble(recent_history("u1"), snapshot, rows, now=now)
    log = interactions_between(None, now, refusals=True)
    code = log.users.tolist().index("u1")
    trained = assemble_many(
        log, snapshot, timeline(log, snapshot, remembered(snapshot)), user=np.full(len(rows), code, np.int32),
        rows=rows, moments=np.full(len(rows), now.timestamp()), folds=0,
    )  # fmt: skip
    assert served.context[:, NAMES["context"].index("creator_refused")].any()
    assert np.array_equal(trained.user[0], served.user)
    assert np.array_equal(trained.context, served.context)
    assert len(interactions_between(None, now)) == len(log) - 1


def test_it_is_known_whose_past_went_and_when(world):
    send([raw("like", "newcomer", CLIPS[0], OCTOBER + timedelta(days=1))], now=UNTIL)
    rebuild_sessions(until=UNTIL)
    drop_september()
    gone = pasts_dropped(["u1", "newcomer", "stranger"])
    assert gone == {"u1": DROPPED_AT.replace(month=11)}
