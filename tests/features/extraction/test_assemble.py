import dataclasses
import datetime
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.cleaning.schema import EVENT_TYPES
from events.columnar.history import History
from features.embeddings import behaviour
from features.extraction import assemble, assemble_many, timeline
from features.extraction.assemble import counted_by
from features.extraction.content import content_block
from features.extraction.definitions import CONTENT_DIM, CONTEXT_DIM, COUNTERS, DEFAULTS, FEATURES, NAMES, USER_DIM
from features.extraction.profile import Profile
from features.extraction.sequences import enjoyed
from features.extraction.temporal import zone_of
from tests.features.logs import HOUR, T0, event, history_of, log_of, random_rows, snapshot_of, texts

N = 9
BLOCKS = ("user", "content", "context")
PROFILE = Profile(
    zone=zone_of("Asia/Kolkata"), categories={"g0": 1.0, "g1": -1.0}, creators={"k2": 1.0, "k3": -1.0},
    languages=frozenset({"en"}), since=T0 - 60 * HOUR,
)  # fmt: skip


def moment(at: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at, datetime.UTC)


def examples(rng, users, n=12):
    where = texts(rng.choice(["for_you", "profile", ""], n).tolist())
    return rng.integers(0, users, n), rng.integers(0, N, n), np.round(T0 - rng.uniform(0, 30 * HOUR, n), 3), where


def assembled(rows, asked, folds=4, snapshot=None):
    log, snapshot = log_of(rows), snapshot or snapshot_of(N)
    who, content, at, where = asked
    code = {user: code for code, user in enumerate(log.users.tolist())}
    return assemble_many(
        log, snapshot, timeline(log, snapshot), user=np.array([code[f"u{each}"] for each in who], np.int32),
        rows=content, moments=at, surfaces=where, profiles={"u1": PROFILE, "u2": PROFILE}, folds=folds,
    )  # fmt: skip


def everyone(users):
    """One old event per user, so that every user is in the log whatever else happens."""
    return [event("impression", f"u{user}", "c000", T0 - 100 * HOUR) for user in range(users)]


def every_kind(user, content, at, *kinds):
    """One event of each kind (of all by default) at a moment."""
    more = {"creator": "k0", "surface": "for_you", "position": 1, "watch_s": 19.0}
    return [event(kind, user, content, at, **more) for kind in kinds or EVENT_TYPES]


def uploads_after(now):
    return now + np.array([0.001, 1.0, 60.0, 600.0, 5000.0])


def grown(now):
    """The catalogue with five contents d000, d001, ... more, uploaded after a moment, the last by somebody new."""
    uploaded = uploads_after(now)
    more = snapshot_of(N + len(uploaded))
    creator = np.append(more.creator[:-1], np.int32(len(more.creators)))
    return dataclasses.replace(
        more, creator=creator, creators=texts([*more.creators, "k9"]),
        content_id=texts([*more.content_id[:N], *(f"d{row:03d}" for row in range(len(uploaded)))]),
        upload_timestamp=np.append(more.upload_timestamp[:N], uploaded),
    )  # fmt: skip


def equal(one, other):
    return all(np.array_equal(getattr(one, block), getattr(other, block)) for block in BLOCKS)


def serving(snapshot, states, now):
    """The snapshot that serves at a moment: the contents of this one, counted up to the last complete hour."""
    until = counted_by(snapshot, states, np.array([now]))
    (counters, receptions), *_ = states.at(until)
    features = content_block(
        counters, creator=snapshot.creator, creators=len(snapshot.creators), category=snapshot.category,
        categories=len(snapshot.categories), duration_s=snapshot.duration_s, upload_timestamp=snapshot.upload_timestamp,
        until=float(until[0]), receptions=receptions,
    )  # fmt: skip
    hour = int(np.searchsorted(states.population.window, until[0] // HOUR)) - 1
    watch, surface = (each[max(hour, 0)] * (hour >= 0) for each in (states.population.watch, states.population.surface))
    return dataclasses.replace(
        snapshot, counters=counters, features=features, watch=watch, surfaces=states.population.surfaces,
        surface=surface,
    )  # fmt: skip


def test_a_stranger_gets_finite_features_of_the_right_shape():
    blocks = assemble(History.empty(), snapshot_of(N), np.array([3, 1]), now=moment(T0))
    assert blocks.user.shape == (USER_DIM,)
    assert blocks.content.shape == (2, CONTENT_DIM)
    assert blocks.context.shape == (2, CONTEXT_DIM)
    for block in (blocks.user, blocks.content, blocks.context):
        assert block.dtype == np.float32
        assert np.isfinite(block).all()


def test_a_stranger_and_an_unknown_content_have_the_defaults():
    snapshot = snapshot_of(1, duration_s=np.nan)
    snapshot = dataclasses.replace(snapshot, upload_timestamp=np.full(1, T0))
    blocks = assemble(History.empty(), snapshot, np.array([0]), now=moment(T0))
    computed = {
        block: dict(zip(NAMES[block], getattr(blocks, block).reshape(-1).tolist(), strict=True)) for block in BLOCKS
    }
    clock, alone = {"hour_sin", "hour_cos", "weekday_sin", "weekday_cos"}, {"creator_contents"}
    for feature in FEATURES:
        if feature.name not in clock | alone:
            assert computed[feature.block][feature.name] == pytest.approx(feature.default, abs=1e-6), feature.name


def test_no_rows_give_empty_blocks():
    blocks = assemble(History.empty(), snapshot_of(N), np.empty(0, np.int64), now=moment(T0))
    assert blocks.content.shape == (0, CONTENT_DIM)
    assert blocks.context.shape == (0, CONTEXT_DIM)


def test_every_column_stands_where_the_list_says():
    rows = [event("complete_view", "ann", "c004", T0 - 60)]
    blocks = assemble(history_of(rows, user="ann", before=T0), snapshot_of(N), np.array([4]), now=moment(T0))
    user, content, context = (dict(zip(NAMES[name], getattr(blocks, name).reshape(-1), strict=True)) for name in BLOCKS)
    assert user["user_has_taste"] == 1.0
    assert content["content_duration"] == pytest.approx(np.log1p(20))
    assert context["taste_cosine"] == pytest.approx(1.0)
    assert context["times_seen"] == pytest.approx(np.log1p(1))
    assert context["content_age"] == pytest.approx(np.log1p(24))


def test_hour_and_weekday_are_those_of_the_user_s_own_clock():
    night = datetime.datetime(2026, 11, 22, 23, 30, tzinfo=datetime.UTC)
    columns = {
        name: assemble(
            History.empty(), snapshot_of(N), np.array([0]), now=night, profile=Profile(zone=zone_of(name))
        ).context[0]
        for name in ("UTC", "Asia/Tokyo")
    }
    hour, weekday = NAMES["context"].index("hour_cos"), NAMES["context"].index("weekday_cos")
    assert columns["UTC"][hour] > 0.98
    assert columns["Asia/Tokyo"][hour] == pytest.approx(np.cos(8.5 / 24 * 2 * np.pi), abs=1e-6)
    assert columns["Asia/Tokyo"][weekday] == pytest.approx(np.cos(8.5 / 24 / 7 * 2 * np.pi), abs=1e-6)


def test_permuting_contents_permutes_their_features():
    rng = np.random.default_rng(3)
    rows = random_rows(rng, events=80, users=1, contents=N, hours=40)
    snapshot = snapshot_of(N, counters=rng.uniform(0, 9, (N, len(COUNTERS))).astype(np.float32))
    history, order = history_of(rows, user="u0", before=T0), rng.permutation(N)
    straight = assemble(history, snapshot, np.arange(N), now=moment(T0))
    permuted = assemble(history, snapshot, order, now=moment(T0))
    assert np.array_equal(permuted.content, straight.content[order])
    assert np.array_equal(permuted.context, straight.context[order])
    assert np.array_equal(permuted.user, straight.user)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_training_computes_what_serving_would_have_to_the_bit(seed):
    rng = np.random.default_rng(seed)
    rows = everyone(3) + random_rows(rng, events=250, users=3, contents=N, hours=40)
    asked = examples(rng, 3)
    log, snapshot = log_of(rows), snapshot_of(N)
    states = timeline(log, snapshot)
    many = assembled(rows, asked, folds=1)
    for at, (who, content, now, where) in enumerate(zip(*asked, strict=True)):
        profile = PROFILE if who else Profile()
        others = rng.permutation(N)
        one = assemble(
            history_of(rows, user=f"u{who}", before=now), serving(snapshot, states, now), others,
            now=moment(now), profile=profile, surface=where,
        )  # fmt: skip
        place = others.tolist().index(content)
        assert np.array_equal(many.user[at], one.user)
        assert np.array_equal(many.content[at], one.content[place])
        assert np.array_equal(many.context[at], one.context[place])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 29.0))
def test_an_event_at_or_after_the_moment_and_an_upload_after_it_change_no_feature(seed, ago_h):
    rng = np.random.default_rng(seed)
    rows = everyone(3) + random_rows(rng, events=250, users=3, contents=N, hours=40)
    now = float(np.round(T0 - ago_h * HOUR, 3))
    past = [row for row in rows if row[3] < now]
    future = random_rows(rng, events=150, users=3, contents=N, hours=ago_h)
    future = [(*row[:3], max(row[3], now), row[4]) for row in future]
    who, content, _, where = examples(rng, 3)
    asked = who, content, np.full(len(who), now), where
    future += [
        told for user, row in enumerate(rng.permutation(N)[:3])
        for told in every_kind(f"u{user}", f"c{row:03d}", now)
    ]  # fmt: skip
    future += [
        told for row, at in enumerate(uploads_after(now))
        for told in (event("content_upload", "u0", f"d{row:03d}", at), event("like", "u1", f"d{row:03d}", at + 1))
    ]  # fmt: skip
    assert equal(assembled(past, asked), assembled(past + future, asked, snapshot=grown(now)))


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_an_event_of_any_kind_matters_a_millisecond_before_the_moment_but_not_at_it(kind):
    liked = [event(each, "u0", "c004", T0 - 5 * HOUR) for each in ("impression", "like", "save", "follow")]
    asked = np.array([0]), np.array([4]), np.array([T0]), texts(["for_you"])
    before = assembled(liked, asked)
    at, just_before = (assembled([*liked, *every_kind("u0", "c004", at, kind)], asked) for at in (T0, T0 - 0.001))
    assert equal(before, at)
    assert not equal(before, just_before)


def test_contents_uploaded_by_the_moment_of_the_counters_matter():
    """The leak test would notice an upload that is counted."""
    rows = [*everyone(1), event("complete_view", "u0", "c004", T0 - 2 * HOUR)]
    asked = np.array([0]), np.array([4]), np.array([T0]), texts([""])
    before, after = assembled(rows, asked).content[0], assembled(rows, asked, snapshot=grown(T0 - 3 * HOUR)).content[0]
    changed = np.flatnonzero(before != after)
    assert [NAMES["content"][column] for column in changed] == ["content_popularity", "creator_contents"]


@cache
def world():
    """Features of many examples in a busy world, from its first hours on."""
    rng = np.random.default_rng(11)
    rows = everyone(3) + random_rows(rng, events=1200, users=3, contents=N, hours=70)
    rows = [row for row in rows if row[0] not in {"hide", "report"} or rng.random() < 0.1]
    who, content, _, where = examples(rng, 3, n=400)
    return assembled(rows, (who, content, np.round(T0 - rng.uniform(0, 70 * HOUR, 400), 3), where))


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_the_leak_tests_see_every_feature_at_work(feature):
    """A feature that never leaves its default cannot leak in these tests whatever it does."""
    column = NAMES[feature.block].index(feature.name)
    values = getattr(world(), feature.block)[:, column]
    assert (values != DEFAULTS[feature.block][column]).any(), f"{feature.name} is always {feature.default}"
    if feature.name not in {"content_duration", "creator_contents", "user_has_taste"}:
        assert len(np.unique(values)) > 1, f"{feature.name} is always {values[0]}"


@pytest.mark.parametrize("block", BLOCKS)
def test_the_leak_test_would_notice_an_event_just_before_the_moment(block):
    rows = [*everyone(1), event("impression", "u0", "c001", T0 - 40 * HOUR)]
    asked = np.array([0]), np.array([4]), np.array([T0]), texts([""])
    before = assembled(rows, asked)
    after = assembled([*rows, event("complete_view", "u0", "c004", T0 - 0.001)], asked)
    assert not np.array_equal(getattr(before, block), getattr(after, block))


def test_what_a_profile_states_is_unknown_before_it_was_stated():
    rows = everyone(3)
    asked = np.array([1, 1]), np.array([1, 1]), np.array([PROFILE.since - 1, PROFILE.since + 1]), texts(["", ""])
    stated = assembled(rows, asked).context[:, NAMES["context"].index("category_stated")]
    assert stated.tolist() == [0.0, -1.0]


def test_the_counters_serving_went_by_can_be_given():
    rows = [*everyone(1), *(event("like", "u0", "c004", T0 - hours * HOUR - 60) for hours in (0, 1))]
    log, snapshot = log_of(rows), snapshot_of(N)
    asked = {"user": np.zeros(2, np.int32), "rows": np.array([4, 4]), "moments": np.full(2, T0 + 60)}
    given = assemble_many(log, snapshot, timeline(log, snapshot), counted_until=np.array([T0 - HOUR, T0]), **asked)
    column = NAMES["content"].index("content_like_rate_7d")
    assert given.content[0, column] < given.content[1, column]
    assert equal(
        assemble_many(log, snapshot, timeline(log, snapshot), counted_until=np.full(2, T0), **asked),
        assemble_many(log, snapshot, timeline(log, snapshot), **asked),
    )


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
    nothing = np.empty(0, int), np.empty(0, np.int64), np.empty(0), np.empty(0, object)
    blocks = assembled(everyone(1), nothing)
    assert blocks.user.shape == (0, USER_DIM)
    assert blocks.content.shape == (0, CONTENT_DIM)
