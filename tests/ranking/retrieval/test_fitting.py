"""A retriever is fitted on the past, judged on the newest day by other people than chose it, and serves from files."""

from dataclasses import replace

import numpy as np
import pytest

from features.embeddings import behaviour, encoder_training
from features.embeddings.encoder_training import EncoderConfig
from features.embeddings.fusion import Fusion
from ranking.retrieval import channels
from ranking.retrieval.channels import Models, Past, fit_models
from ranking.retrieval.fitting import Meetings, RetrieverConfig, fit_retriever
from ranking.retrieval.measure import Measure
from ranking.retrieval.retriever import ARRAYS_FILE, GRAPH_FILE, Retriever, RetrieverFileError

DAY_S = 86_400.0
N = 400
SMALL = EncoderConfig(dimensions=8, blocks=1, heads=1, window=10, epochs=1, batch_size=64)


def world(seed=0, *, users=2400, each=24, families=4):
    """People meet contents of their own family and enjoy few of them, mostly those that anybody enjoys."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), each)
    row = rng.integers(0, N // families, users * each) * families + user % families
    time_s = np.sort(rng.random((users, each)) * 8 * DAY_S, axis=1).ravel()
    happy = rng.random(users * each) < np.where(row % (2 * families) < families, 0.12, 0.01)
    return Meetings(user, row, time_s, happy, N)


@pytest.fixture(scope="module")
def log():
    return world()


@pytest.fixture(scope="module")
def fitted(log):
    return fit_retriever(log, config=RetrieverConfig(), seed=1)


def test_fusion_that_finds_more_serves_with_its_evidence(fitted):
    figures = fitted.evidence["figures"]
    assert fitted.evidence["served"]
    assert figures["ndcg"]["difference_interval"]["low"] > 0.0
    assert figures["ndcg"]["fused"] > 1.2 * figures["ndcg"]["linear"]
    assert fitted.evidence["people"] >= 100
    assert fitted.models.met is not None
    assert fitted.models.encoder is None, "too few enjoyments for an order"


def test_contents_dealt_out_anew_are_found_as_by_chance(log, fitted):
    dealt = replace(log, row=np.random.default_rng(5).permutation(log.row))
    found = fit_retriever(dealt, config=RetrieverConfig(), seed=1).evidence["figures"]["recall"]["fused"]
    assert found < 100 / N + 0.1
    assert fitted.evidence["figures"]["recall"]["fused"] > 2 * found


def test_what_came_after_the_cut_moves_no_model(log):
    cut = float(log.time_s.max()) - DAY_S
    later = np.flatnonzero(log.time_s >= cut)
    row = log.row.copy()
    row[later] = np.random.default_rng(1).permutation(row[later])
    one, other = (each.before(cut) for each in (log, replace(log, row=row)))
    assert np.array_equal(one.row, other.row)
    for name, values in one.shared(cut).items():
        assert np.array_equal(values, other.shared(cut)[name]), name


def test_too_small_a_log_learns_nothing(log):
    assert fit_retriever(log.before(float(log.time_s.min()) + 600.0), config=RetrieverConfig(), seed=1) is None
    none = np.empty(0, np.int64)
    nothing = Meetings(none, none, np.empty(0), np.empty(0, np.bool_), N)
    assert fit_retriever(nothing, config=RetrieverConfig(), seed=1) is None


def walks(users=100, each=20):
    """Sequences of contents that were enjoyed one after another, long enough for an encoder."""
    start = np.repeat(np.arange(users) * 7, each)
    return np.repeat(np.arange(users), each), (start + np.tile(np.arange(each), users)) % N


def test_encoder_is_trained_from_the_stated_size_on(log, monkeypatch):
    assert not log.past().has_sequences, "few enjoyments each"
    user, row = walks()
    past = Past(user, row, user, row, N)
    assert not past.has_sequences, "few enjoyments in all"
    monkeypatch.setattr(channels, "LEAST_ENJOYMENTS", 2000)
    assert past.has_sequences
    assert fit_models(past, config=None).encoder is None
    models = fit_models(past, config=SMALL)
    assert models.encoder is not None
    assert models.met is None, "nothing was met that was not enjoyed"


def ids(numbers):
    column = np.empty(len(numbers), object)
    column[:] = [f"c{number:03}" for number in numbers]
    return column


@pytest.fixture(scope="module")
def whole(log):
    """All kinds of models, in rows of the log."""
    past = log.past()
    encoder = encoder_training.fit(*walks(), N, config=SMALL)
    linear = behaviour.fit(past.user, past.row, N)
    weights = Fusion({"next": 0.5, "taste": 0.3, "met": 1.0, "encoder": 0.7, "rate": 0.4, "enjoyed 1d": 0.2})
    met = behaviour.fit(past.met_user, past.met_row, N, settings=channels.MET_EASE)
    return Models(linear, met, encoder, {}), weights


def test_finder_says_what_the_fusion_of_the_channels_says(log, whole):
    models, weights = whole
    shared = log.shared(float(log.time_s.max()))
    retriever = Retriever.of(models, weights, ids(range(N)))
    find = retriever.finder({each: row for row, each in enumerate(ids(range(N)))}, N, models.linear, shared)
    enjoyed, met = np.array([0, 4, 8]), np.array([0, 1, 4, 8, 12])

    class One:
        pass

    one = One()
    one.enjoyed, one.met = [enjoyed], [met]
    expected = channels.fused(weights, models.personal(), shared)(one)[0]
    np.testing.assert_allclose(find(enjoyed, met), expected, rtol=1e-4, atol=1e-4)
    nobody = np.empty(0, np.int64)
    assert np.isfinite(find(nobody, nobody)).all()


def test_retriever_survives_its_files_and_a_catalogue_in_another_order(log, whole):
    models, weights = whole
    retriever = Retriever.of(models, weights, ids(range(N)))
    again = Retriever.from_files(retriever.to_files())
    assert again.weights == weights
    assert again.contents == retriever.contents
    turned = {each: N - row for row, each in enumerate(ids(range(N)))}  # row 0 is a newcomer, c000 has gone to row N
    row = np.array([turned[each] for each in ids(range(N))])
    linear = models.linear.on(row, N + 1)
    find = again.finder(turned, N + 1, linear, {})
    plain = retriever.finder({each: at for at, each in enumerate(ids(range(N)))}, N, models.linear, {})
    enjoyed, met = np.array([0, 4, 8]), np.array([0, 1, 4, 8, 12])
    best = np.argsort(-plain(enjoyed, met))[:10]
    moved = np.argsort(-find(row[enjoyed], row[met]))[:10]
    assert len(set(row[best]) & set(moved)) >= 9


@pytest.mark.parametrize("name", [ARRAYS_FILE, GRAPH_FILE])
def test_damaged_files_are_refused(whole, name):
    files = Retriever.of(*whole, ids(range(N))).to_files()
    assert Retriever.from_files({}) is None
    for content in (b"", b"nothing", files[name][: len(files[name]) // 2]):
        with pytest.raises(RetrieverFileError):
            Retriever.from_files({**files, name: content})
    with pytest.raises(RetrieverFileError, match=GRAPH_FILE):
        Retriever.from_files({ARRAYS_FILE: files[ARRAYS_FILE]})


def test_measure_counts_by_person():
    measure = Measure([np.array([0]), np.array([1])], [np.array([1]), np.array([2, 3])], np.arange(4.0))
    found = measure.by_person(np.array([[9.0, 5.0, 1.0, 0.0], [0.0, 9.0, 8.0, 1.0]], np.float32))
    best = 1.0 + 1.0 / np.log2(3.0)
    assert found.ndcg.tolist() == pytest.approx([1.0, best / best])
    assert found.recall.tolist() == [1.0, 1.0]
