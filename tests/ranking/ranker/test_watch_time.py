"""Ordered levels give seconds back exactly, with and without the advantage of long clips."""

import numpy as np
import pytest

from ranking.ranker.watch_time import BUCKETS, LEVELS, WatchScale, bucket_of


def watches(rng, n=4_000):
    """Clips of 5 s and of 100 s, watched for the same share of their length."""
    duration = np.where(rng.random(n) < 0.5, 5.0, 100.0).astype(np.float32)
    return (duration * rng.beta(2, 3, n)).astype(np.float32), duration


def test_true_answers_give_the_mean_seconds_of_each_length():
    watched, duration = watches(np.random.default_rng(1))
    scale = WatchScale.fit(watched, duration)
    chance = scale.questions(watched, duration).astype(np.float64)
    for length in (5.0, 100.0):
        own = duration == length
        shares = np.tile(chance[own].mean(axis=0), (1, 1))
        assert scale.seconds(shares, duration[own][:1])[0] == pytest.approx(watched[own].mean(), rel=1e-6)
    assert scale.seconds(chance, duration).mean() == pytest.approx(watched.mean(), rel=1e-6)


def test_long_clip_gains_nothing_by_its_length():
    watched, duration = watches(np.random.default_rng(2))
    scale = WatchScale.fit(watched, duration)
    chance = scale.questions(watched, duration).astype(np.float64)
    debiased = scale.debiased_seconds(chance)
    short, long = debiased[duration == 5.0].mean(), debiased[duration == 100.0].mean()
    assert long == pytest.approx(short, rel=0.03)
    assert scale.seconds(chance, duration)[duration == 100.0].mean() > 10 * watched[duration == 5.0].mean()


def test_watched_better_than_others_of_its_length_is_worth_more():
    watched, duration = watches(np.random.default_rng(3))
    scale = WatchScale.fit(watched, duration)
    asked = scale.questions(np.array([4.5, 4.5], np.float32), np.array([5.0, 100.0], np.float32)).astype(np.float64)
    assert asked[0].sum() > asked[1].sum()
    assert scale.debiased_seconds(asked)[0] > 2 * scale.debiased_seconds(asked)[1]


def test_questions_are_ordered_and_unknown_where_the_watch_is():
    watched, duration = watches(np.random.default_rng(4))
    scale = WatchScale.fit(watched, duration)
    asked = scale.questions(np.append(watched, np.float32(np.nan)), np.append(duration, np.float32(5.0)))
    assert (np.diff(asked[:-1], axis=1) <= 0).all()
    assert np.isnan(asked[-1]).all()
    of_short = asked[:-1][duration == 5.0]
    assert of_short.mean(axis=0) == pytest.approx(1 - np.array(LEVELS), abs=0.01)


def test_rare_length_takes_the_edges_of_all():
    watched, duration = watches(np.random.default_rng(5))
    duration[:10] = 40.0
    scale = WatchScale.fit(watched, duration)
    rare = bucket_of(np.array([40.0], np.float32))[0]
    np.testing.assert_allclose(scale.step_s[rare], scale.pooled_step_s)
    assert scale.edge_s.shape == (BUCKETS, len(LEVELS))


def test_no_known_watch_is_refused():
    with pytest.raises(ValueError, match="got none among 3"):
        WatchScale.fit(np.full(3, np.nan, np.float32), np.ones(3, np.float32))
