"""The fast greedy page is the brute-force greedy page, determinant for determinant."""

from itertools import combinations

import numpy as np
import pytest

from ranking.rerank.diversity import Diversity, Volume, greedy_map
from ranking.rerank.kernel import KernelWeights, Similarity
from tests.worlds import families

SHELF = families(count=5, size=12, dim=24).shelf


def problem(n: int, seed: int) -> tuple[np.ndarray, Similarity]:
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(SHELF), size=n, replace=False)
    return rng.normal(size=n), Similarity.of(SHELF, rows, KernelWeights())


def ensemble(values: np.ndarray, similarity: Similarity, theta: float) -> np.ndarray:
    quality = np.exp(theta * values)
    return quality[:, None] * similarity.matrix() * quality


def brute_force(kernel: np.ndarray, size: int, window: int) -> list[int]:
    """Greedy by determinants, each worked out from scratch."""
    picks: list[int] = []
    while len(picks) < size:
        last = picks[-(window - 1) :] if window > 1 else []
        free = [each for each in range(len(kernel)) if each not in picks]
        picks.append(max(free, key=lambda each: np.linalg.det(kernel[np.ix_([*last, each], [*last, each])])))
    return picks


@pytest.mark.parametrize("theta", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("window", [1, 2, 4, 20])
@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_greedy_page_of_brute_force(theta, window, seed):
    values, similarity = problem(14, seed)
    expected = brute_force(ensemble(values, similarity, theta), 10, window)
    assert greedy_map(values, similarity, 10, theta=theta, window=window).tolist() == expected


@pytest.mark.parametrize("seed", range(10))
def test_its_determinant_is_close_to_the_best_of_all_pages(seed):
    values, similarity = problem(11, seed)
    kernel = ensemble(values, similarity, 0.5)

    def log_det(page) -> float:
        return float(np.linalg.slogdet(kernel[np.ix_(page, page)])[1])

    best = max(log_det(list(page)) for page in combinations(range(11), 4))
    found = log_det(greedy_map(values, similarity, 4, theta=0.5, window=10).tolist())
    assert best - 0.35 <= found <= best + 1e-9


@pytest.mark.parametrize("window", [3, 30])
def test_the_parts_left_over_are_ratios_of_determinants(window):
    _, similarity = problem(20, 3)
    kernel, volume, picks = similarity.matrix(), Volume(similarity, window), []
    for pick in (4, 9, 0, 17, 2):
        volume.take(pick)
        picks = [*picks, pick][-(window - 1) :]
        below = np.linalg.det(kernel[np.ix_(picks, picks)])
        for other in set(range(20)) - set(picks):
            both = [*picks, other]
            expected = np.log(np.linalg.det(kernel[np.ix_(both, both)]) / below)
            assert volume.gains()[other] == pytest.approx(expected, abs=1e-4)


def test_a_large_theta_is_the_order_of_values_and_a_small_one_spreads():
    values, similarity = problem(40, 1)
    values = 0.3 * values + 2.0 * (similarity.category == 0)
    by_value = greedy_map(values, similarity, 10, theta=1e3, window=10)
    assert by_value.tolist() == np.argsort(-values)[:10].tolist()
    spread = greedy_map(values, similarity, 10, theta=0.05, window=10)
    kernel = similarity.matrix()

    def likeness(page) -> float:
        return float(kernel[np.ix_(page, page)][~np.eye(10, dtype=bool)].mean())

    assert likeness(spread) < 0.6 * likeness(by_value)
    assert values[spread].sum() < values[by_value].sum()


def test_copies_of_one_content_keep_everything_finite():
    rows = np.zeros(12, np.int64)
    similarity = Similarity.of(SHELF, rows, KernelWeights())
    for window in (2, 5, 30):
        volume = Volume(similarity, window)
        for pick in range(12):
            volume.take(pick)
            assert np.isfinite(volume.gains()).all()
        assert sorted(greedy_map(np.zeros(12), similarity, 12, theta=1.0, window=window)) == list(range(12))


def test_a_page_longer_than_the_candidates_holds_them_all():
    values, similarity = problem(6, 2)
    assert sorted(greedy_map(values, similarity, 50, theta=1.0, window=10)) == list(range(6))
    assert len(greedy_map(np.empty(0), Similarity.of(SHELF, np.empty(0, np.int64), KernelWeights()), 5, theta=1.0,
                          window=10)) == 0  # fmt: skip


@pytest.mark.parametrize("theta", [0.0, -1.0, float("nan")])
def test_a_theta_that_buys_nothing_is_refused(theta):
    with pytest.raises(ValueError, match="theta"):
        Diversity(SHELF, theta=theta)


def test_a_window_of_nothing_is_refused():
    with pytest.raises(ValueError, match="window"):
        Volume(problem(3, 0)[1], 0)
