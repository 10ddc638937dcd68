import dataclasses
import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.columnar.history import History
from features.embeddings import behaviour
from features.extraction import assemble, assemble_many, timeline
from features.extraction.definitions import CONTENT_DIM, CONTEXT_DIM, COUNTERS, NAMES, USER_DIM
from features.extraction.sequences import enjoyed
from tests.features.logs import HOUR, T0, event, history_of, log_of, random_rows, snapshot_of

N = 9


def moment(at: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at, datetime.UTC)


def examples(rng, users, n=12):
    return rng.integers(0, users, n), rng.integers(0, N, n), np.round(T0 - rng.uniform(0, 30 * HOUR, n), 3)


def assembled(rows, asked, folds=4):
    log, snapshot = log_of(rows), snapshot_of(N)
    who, content, at = asked
    code = {user: code for code, user in enumerate(log.users.tolist())}
    return assemble_many(
        log, snapshot, timeline(log, snapshot), user=np.array([code[f"u{each}"] for each in who], np.int32),
        rows=content, moments=at, folds=folds,
    )  # fmt: skip


def everyone(users):
    """One old event per user, so that every user is in the log whatever else happens."""
    return [event("impression", f"u{user}", "c000", T0 - 100 * HOUR) for user in range(users)]


def test_a_stranger_gets_finite_features_of_the_right_shape():
    blocks = assemble(History.empty(), snapshot_of(N), np.array([3, 1]), now=moment(T0))
    assert blocks.user.shape == (USER_DIM,)
    assert blocks.content.shape == (2, CONTENT_DIM)
    assert blocks.context.shape == (2, CONTEXT_DIM)
    for block in (blocks.user, blocks.content, blocks.context):
        assert block.dtype == np.float32
        assert np.isfinite(block).all()


def test_no_rows_give_empty_blocks():
    blocks = assemble(History.empty(), snapshot_of(N), np.empty(0, np.int64), now=moment(T0))
    assert blocks.content.shape == (0, CONTENT_DIM)
    assert blocks.context.shape == (0, CONTEXT_DIM)


def test_every_column_stands_where_the_list_says():
    snapshot = dataclasses.replace(snapshot_of(N), duration_s=np.arange(N, dtype=np.float32))
    rows = [event("complete_view", "ann", "c004", T0 - 60)]
    blocks = assemble(history_of(rows, user="ann", before=T0), snapshot, np.array([4]), now=moment(T0))
    user, content, context = (
        dict(zip(NAMES[name], getattr(blocks, name).reshape(-1), strict=True))
        for name in ("user", "content", "context")
    )
    assert user["user_has_taste"] == 1.0
    assert content["content_duration"] == pytest.approx(np.log1p(4))
    assert context["taste_cosine"] == pytest.approx(1.0)
    assert context["times_seen"] == pytest.approx(np.log1p(1))


def test_permuting_contents_permutes_their_features():
    rng = np.random.default_rng(3)
    rows = random_rows(rng, events=80, users=1, contents=N, hours=40)
    snapshot = snapshot_of(N, counters=rng.uniform(0, 9, (N, len(COUNTERS))).astype(np.float32))
    history, order = history_of(rows, user="u0", before=T0), rng.permutation(N)
    straight = assemble(history, snapshot, np.arange(N), now=moment(T0))
    permuted = assemble(history, snapshot, order, now=moment(T0))
    assert np.array_equal(permuted.content, straight.content[order])
    # The cosine is a matrix product, which sums in blocks of rows.
    assert permuted.context == pytest.approx(straight.context[order], abs=1e-6)
    assert np.array_equal(permuted.user, straight.user)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_training_computes_what_serving_would_have(seed):
    rng = np.random.default_rng(seed)
    rows = everyone(3) + random_rows(rng, events=150, users=3, contents=N, hours=40)
    asked = examples(rng, 3)
    log, snapshot = log_of(rows), snapshot_of(N)
    states = timeline(log, snapshot)
    many = assembled(rows, asked, folds=1)
    for at, (who, content, now) in enumerate(zip(*asked, strict=True)):
        one = assemble(
            history_of(rows, user=f"u{who}", before=now), snapshot, np.array([content]), now=moment(now),
            counters=states.at(np.array([content]), np.array([now])), total=states.totals(np.array([now]))[0],
        )  # fmt: skip
        assert np.array_equal(many.user[at], one.user)
        assert many.content[at] == pytest.approx(one.content[0], rel=1e-5, abs=1e-6)
        assert np.array_equal(many.context[at], one.context[0])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 29.0))
def test_an_event_at_or_after_the_moment_changes_no_feature(seed, ago_h):
    rng = np.random.default_rng(seed)
    rows = everyone(3) + random_rows(rng, events=250, users=3, contents=N, hours=40)
    now = float(np.round(T0 - ago_h * HOUR, 3))
    past = [row for row in rows if row[3] < now]
    future = random_rows(rng, events=150, users=3, contents=N, hours=ago_h)
    future = [(*row[:3], max(row[3], now), row[4]) for row in future]
    who, content, _ = examples(rng, 3)
    asked = who, content, np.full(len(who), now)
    known, betrayed = assembled(past, asked), assembled(past + future, asked)
    assert np.array_equal(known.user, betrayed.user)
    assert np.array_equal(known.content, betrayed.content)
    assert np.array_equal(known.context, betrayed.context)


def test_the_leak_test_would_notice_an_event_just_before_the_moment():
    rows = [*everyone(1), event("impression", "u0", "c001", T0 - 40 * HOUR)]
    asked = np.array([0]), np.array([4]), np.array([T0])
    before = assembled(rows, asked)
    after = assembled([*rows, event("complete_view", "u0", "c004", T0 - 0.001)], asked)
    assert not np.array_equal(before.user, after.user)
    assert not np.array_equal(before.context, after.context)


def test_a_training_set_is_scored_by_sequential_models_of_the_time_before():
    walk = [event("complete_view", "u0", f"c{i % N:03d}", T0 - 40 * HOUR + 60 * i) for i in range(400)]
    log, snapshot = log_of(walk), snapshot_of(N)
    at = T0 - 40 * HOUR + 60 * np.array([50.5, 150.5, 250.5, 350.5])
    following = np.array([51, 151, 251, 351]) % N
    blocks = assemble_many(
        log, snapshot, timeline(log, snapshot), user=np.zeros(4, np.int32), rows=following, moments=at, folds=4
    )
    scores = blocks.context[:, NAMES["context"].index("sequential_score")]
    assert scores[0] == 0.0, "the first period has no past to learn from"
    cut = np.quantile(at, 0.75)
    model = behaviour.fit(*enjoyed(log, snapshot.rows(log.contents), snapshot.duration_s, before=cut), N)
    walked = np.arange(351) % N
    latest = [int(row) for row in dict.fromkeys(walked[::-1])][::-1]
    assert scores[3] == pytest.approx(model.scores(np.array(latest))[following[3]], rel=1e-5)
    assert (scores[1:] > 0.1).all()


def test_examples_of_no_length_give_empty_blocks():
    blocks = assembled(everyone(1), (np.empty(0, int), np.empty(0, np.int64), np.empty(0)))
    assert blocks.user.shape == (0, USER_DIM)
    assert blocks.content.shape == (0, CONTENT_DIM)
