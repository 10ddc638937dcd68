"""Samples of the k-DPP against enumerated probabilities."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from ranking.pipeline.run import check_positions
from ranking.rerank.kdpp import DiverseExploration, KDpp, log_polynomials
from tests.worlds import families, query

SHELF = families(count=4, size=20).shelf


def kernel(n: int, rank: int, seed: int = 5) -> np.ndarray:
    features = np.random.default_rng(seed).normal(size=(n, rank))
    return features @ features.T


def enumerated(matrix: np.ndarray, size: int) -> dict[tuple[int, ...], float]:
    weight = {page: np.linalg.det(matrix[np.ix_(page, page)]) for page in combinations(range(len(matrix)), size)}
    total = sum(weight.values())
    return {page: value / total for page, value in weight.items()}


@pytest.mark.parametrize(("n", "rank", "size"), [(6, 6, 3), (7, 4, 2), (5, 5, 4), (6, 3, 3)])
def test_twenty_thousand_samples_have_the_enumerated_frequencies(n, rank, size):
    matrix, runs = kernel(n, rank), 20_000
    process, rng = KDpp(matrix, size), np.random.default_rng(11)
    chance = enumerated(matrix, size)
    counts = dict.fromkeys(chance, 0)
    for _ in range(runs):
        counts[tuple(sorted(process.sample(rng).tolist()))] += 1
    # A rare page has too few expected samples for a chi-square cell of its own.
    rare = [page for page in chance if runs * chance[page] < 5.0]
    cells = [page for page in chance if page not in rare]
    observed = [counts[page] for page in cells] + ([sum(counts[page] for page in rare)] if rare else [])
    expected = [runs * chance[page] for page in cells] + ([runs * sum(chance[page] for page in rare)] if rare else [])
    if rare and expected[-1] < 5.0:
        expected[-2:], observed[-2:] = [sum(expected[-2:])], [sum(observed[-2:])]
    assert stats.chisquare(observed, np.array(expected) * runs / sum(expected)).pvalue > 1e-3


@pytest.mark.parametrize(("n", "rank", "size"), [(6, 6, 3), (8, 5, 4), (7, 7, 7), (6, 6, 1)])
def test_inclusion_is_the_sum_over_all_pages(n, rank, size):
    matrix = kernel(n, rank)
    expected = np.zeros(n)
    for page, chance in enumerated(matrix, size).items():
        expected[list(page)] += chance
    np.testing.assert_allclose(KDpp(matrix, size).inclusion(), expected, rtol=1e-7)


def test_the_polynomials_are_sums_over_all_subsets():
    values = np.random.default_rng(4).gamma(1.0, size=7)
    found = np.exp(log_polynomials(np.log(values), 4))
    for size in range(5):
        expected = sum(np.prod(chosen) for chosen in combinations(values, size))
        assert found[size, -1] == pytest.approx(expected, rel=1e-12)


def test_three_hundred_eigenvalues_over_twenty_decades_stay_finite():
    spread = np.diag(np.exp(np.linspace(-25.0, 0.0, 300)))
    process = KDpp(spread * 1e200, 20)
    included = process.inclusion()
    assert np.isfinite(included).all()
    assert included.sum() == pytest.approx(20.0)
    assert len(set(process.sample(np.random.default_rng(1)).tolist())) == 20


@pytest.mark.parametrize("size", [4, 7, -1])
def test_more_than_the_rank_of_the_kernel_is_refused(size):
    with pytest.raises(ValueError, match="rank 3"):
        KDpp(kernel(6, 3), size)


def test_a_broken_kernel_is_refused():
    with pytest.raises(ValueError, match="square and finite"):
        KDpp(np.full((2, 2), np.nan), 1)


def test_a_sampled_page_reports_the_frequency_of_every_position():
    stage, candidates = DiverseExploration(SHELF, depth=8), np.arange(0, 40, 5)
    scores, size, runs = np.linspace(1.0, -1.0, 8).astype(np.float32), 3, 20_000
    shown, reported = np.zeros((size, 8)), np.full((size, 8), np.nan)
    for seed in range(runs):
        chosen = stage.order(query(size=size, seed=seed), candidates, scores)
        shown[np.arange(size), chosen.picks[:size]] += 1
        reported[np.arange(size), chosen.picks[:size]] = chosen.propensity[:size]
    for position in range(size):
        expected = reported[position].astype(np.float64)
        assert expected.sum() == pytest.approx(1.0, rel=1e-5)
        assert stats.chisquare(shown[position], expected / expected.sum() * runs).pvalue > 1e-3


def test_a_sampled_page_stays_among_the_safe_candidates():
    rows, scores = np.arange(60), np.linspace(2.0, -2.0, 60).astype(np.float32)
    for seed in range(50):
        chosen = DiverseExploration(SHELF, depth=20).order(query(size=10, seed=seed), rows, scores)
        check_positions(chosen, 60, 10)
        assert chosen.picks[:10].max() < 20


@pytest.mark.parametrize("rows", [np.zeros(60, np.int64), np.arange(60)])
@pytest.mark.parametrize("outlier", [0.0, 1e6])
def test_copies_and_outliers_can_be_sampled(rows, outlier):
    scores = np.zeros(60, np.float32)
    scores[0] = outlier
    for seed in range(20):
        check_positions(DiverseExploration(SHELF).order(query(size=30, seed=seed), rows, scores), 60, 30)
