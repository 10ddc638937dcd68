"""The judgement of the moderation benchmark, on figures written by hand."""

import pytest

from recsys.benchmarks.moderation import CROPS, _judge

GOOD = {
    "files": 25.0, "files_hidden": 0, "files_flagged": 2, "indecency_most": 0.49, "captions": 20.0,
    "captions_hidden": 0, "captions_flagged": 1, "media_s": 0.8,
    "abusive": 12.0, "abusive_caught": 12, "abusive_hidden": 10, "adverts": 6.0,
    "adverts_caught": 6, "flood": 30.0, "flood_hidden": 26, "again": 15.0, "others": 200.0, "others_quarantined": 0,
    "others_held": 2, "texts_per_s": 100.0, "listed": 10_000.0, "listed_ms": 3.0,
    **{f"again_{at}_{name}": 0.0 for at in range(len(CROPS)) for name in ("flag", "hold", "quarantine")},
    **{f"again_{at}_quarantine": 15.0 for at in range(len(CROPS))},
}  # fmt: skip


def failing(**changed):
    return [bar.name for bar in _judge({**GOOD, **changed}, real=True).bars if not bar.holds]


def test_good_figures_hold():
    assert failing() == []
    assert failing(again_1_quarantine=10, again_1_hold=5) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("files_hidden", 1), ("captions_hidden", 1), ("abusive_caught", 11), ("adverts_caught", 5),
        ("flood_hidden", 25), ("texts_per_s", 10.0), ("again_0_quarantine", 14), ("again_2_quarantine", 14),
        ("others_quarantined", 1),
    ],
)  # fmt: skip
def test_each_bar_can_fail(name, value):
    assert len(failing(**{name: value})) == 1
