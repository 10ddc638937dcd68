"""The softmax over a drawn part is that over the whole catalogue in the mean, and the same where all is drawn."""

import numpy as np
import pytest

from features.embeddings import sampled_softmax

ITEMS, DIMENSIONS, TARGETS = 400, 8, 60


@pytest.fixture(scope="module")
def tf():
    import tensorflow  # noqa: PLC0415  seconds that only these tests need

    tensorflow.random.set_seed(3)
    return tensorflow


@pytest.fixture(scope="module")
def world(tf):
    rng = np.random.default_rng(0)
    share = rng.dirichlet(np.full(ITEMS, 0.3))
    vectors = rng.normal(0.0, 0.5, (ITEMS + 1, DIMENSIONS)).astype(np.float32)
    bias = np.append(0.0, np.log(share + 1e-4)).astype(np.float32)
    now = rng.normal(0.0, 1.0, (TARGETS, DIMENSIONS)).astype(np.float32)
    return share, now, vectors, bias


def drawn_loss(tf, world, following, drawn):
    share, now, vectors, bias = world
    absence = np.append(0.0, np.log1p(-share)).astype(np.float32)
    given = (tf.constant(each) for each in (now, following, vectors, bias, absence))
    return float(sampled_softmax.loss(tf, *given, drawn=drawn))


def full_loss(world, following):
    _, now, vectors, bias = world
    scores = (now @ vectors.T + bias)[:, 1:].astype(np.float64)
    own = scores[np.arange(TARGETS), following - 1]
    return float(np.mean(np.log(np.exp(scores).sum(axis=1)) - own))


def test_with_everything_drawn_it_is_the_full_softmax(tf, world):
    following = np.resize([1, 7, 7, 300, 400], TARGETS).astype(np.int32)
    assert drawn_loss(tf, world, following, 40_000) == pytest.approx(full_loss(world, following), abs=1e-3)


def test_in_the_mean_over_batches_it_is_the_full_softmax(tf, world):
    """What is not corrected, or corrected as if drawn evenly, would be off by one nat."""
    rng = np.random.default_rng(1)
    share, apart, uncorrected = world[0], [], []
    for _ in range(60):
        following = rng.choice(np.arange(1, ITEMS + 1), TARGETS, p=share).astype(np.int32)
        apart.append(drawn_loss(tf, world, following, 80) - full_loss(world, following))
        even = (np.full(ITEMS, 1e-9), *world[1:])
        uncorrected.append(drawn_loss(tf, even, following, 80) - full_loss(world, following))
    assert abs(np.mean(apart)) < 0.05
    assert abs(np.mean(uncorrected)) > 0.5
