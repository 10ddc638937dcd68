"""The judgement of the content benchmark, on figures written by hand."""

import numpy as np
import pytest

from recsys.benchmarks.content import _Hostile, _judge, _nearer_share

GOOD = {
    "same_clip_cosine": 0.99, "unrelated_cosine": 0.3, "unrelated_mean_cosine": 0.0, "unrelated_pairs": 10.0,
    "captions_nearer_share": 1.0, "made_sounds_nearer_share": 0.95, "sounds_nearer_share": 0.9, "clip_s": 0.4,
    "times_decoding": 1.2, "start_s": 3.0, "export_s": 10.0, "clips": 5, "hostile": 1, "hostile_as_expected": 1,
    "hostile_slowest_s": 0.2, "peak_mb": 500.0,
}  # fmt: skip
FILES = {"empty": _Hostile("empty_file", "empty_file", 0.1)}


def failing(**changed: float) -> list[str]:
    result = _judge({**GOOD, **changed}, FILES, limit_mb=1200.0, real=True)
    return [bar.name for bar in result.bars if not bar.holds]


def test_good_figures_hold():
    assert failing() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("same_clip_cosine", 0.94), ("same_clip_cosine", float("nan")), ("unrelated_cosine", 0.61),
        ("captions_nearer_share", 0.9), ("hostile_as_expected", 0), ("hostile_slowest_s", 31.0), ("peak_mb", 1300.0),
        ("times_decoding", 6.0), ("made_sounds_nearer_share", 0.8),
    ],
)  # fmt: skip
def test_each_bar_can_fail(name, value):
    assert len(failing(**{name: value})) == 1


def test_the_share_of_nearer_pairs_is_counted():
    # Of a: b is nearer than c and farther than d, so one of two; of b the same by symmetry; c and d are alone.
    vectors = {"a": [1.0, 0.0], "b": [0.8, 0.6], "c": [0.0, 1.0], "d": [0.96, 0.28]}
    kinds = {"a": 0, "b": 0, "c": 1, "d": 1}
    cosine = np.array(list(vectors.values())) @ np.array(list(vectors.values())).T
    expected = np.mean(
        [
            np.mean([cosine[one, mate] > cosine[one, other] for other in others])
            for one, mate, others in ((0, 1, (2, 3)), (1, 0, (2, 3)), (2, 3, (0, 1)), (3, 2, (0, 1)))
        ]
    )
    assert _nearer_share(vectors, kinds) == pytest.approx(expected)
    assert expected not in {0.0, 0.5, 1.0}
