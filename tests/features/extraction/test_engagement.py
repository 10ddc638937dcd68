import numpy as np
import pytest

from features.extraction.engagement import is_long_view, worth
from tests.features.logs import CODE


def judged(kind: str, *, watch_s: float = np.nan, long_view: int = -1, duration_s: float = 30.0) -> tuple[bool, float]:
    columns = (
        np.array([CODE[kind]], np.uint8), np.array([watch_s], np.float32), np.array([long_view], np.int8),
        np.array([duration_s], np.float32),
    )  # fmt: skip
    return bool(is_long_view(*columns)[0]), float(worth(*columns)[0])


def test_eighteen_seconds_are_a_long_view_of_a_long_clip():
    assert judged("view", watch_s=18.0) == (True, 1.0)
    assert judged("view", watch_s=17.9)[0] is False


def test_the_whole_of_a_short_clip_is_a_long_view():
    assert judged("view", watch_s=6.0, duration_s=6.0) == (True, 1.0)


def test_an_unknown_duration_asks_for_eighteen_seconds():
    assert judged("view", watch_s=18.0, duration_s=np.nan) == (True, 1.0)
    assert judged("view", watch_s=9.0, duration_s=np.nan) == (False, pytest.approx(0.5))


def test_what_an_imported_log_states_counts_before_the_seconds():
    assert judged("view", watch_s=60.0, long_view=0) == (False, 0.0)
    assert judged("view", long_view=1) == (True, 1.0)


def test_a_view_without_seconds_says_nothing():
    assert judged("view") == (False, 0.0)


def test_leaving_at_once_is_half_a_skip_and_an_impression_is_silent():
    assert judged("view", watch_s=1.0)[1] == -0.5
    assert judged("skip", watch_s=20.0) == (False, -1.0)
    assert judged("impression") == (False, 0.0)


def test_refusals_outweigh_any_praise():
    assert judged("report")[1] < -max(judged(kind)[1] for kind in ("like", "share", "save", "follow", "comment"))
