import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.extraction import counting
from features.extraction.aggregates import WindowCounts
from features.extraction.counting import count_windows
from features.extraction.definitions import SIGNALS
from features.extraction.engagement import EXPOSING
from tests.features.logs import CODE, HOUR, T0, event, log_of, random_rows

HOUR_0 = int(T0 // HOUR)


def count(rows, n=3, duration_s=20.0) -> WindowCounts:
    log = log_of(rows)
    codes = np.array([int(each[1:]) if int(each[1:]) < n else -1 for each in log.contents], np.int64)
    return count_windows(log, content=codes, duration_s=np.full(n, duration_s, np.float32))


def signal(counts: WindowCounts, name: str) -> list[float]:
    return counts.counts[:, SIGNALS.index(name)].tolist()


def test_a_person_counts_once_per_hour_however_often_the_event_repeats():
    rows = [event("like", "ann", "c0", T0 + second) for second in range(50)]
    rows += [event("like", "bob", "c0", T0), event("like", "ann", "c0", T0 + HOUR)]
    counts = count(rows)
    assert counts.window.tolist() == [HOUR_0, HOUR_0 + 1]
    assert signal(counts, "likes") == [2.0, 1.0]


def test_an_impression_and_its_view_are_one_exposure_and_a_view_alone_is_one_too():
    rows = [event("impression", "ann", "c0", T0), event("view", "ann", "c0", T0 + 5, watch_s=5.0)]
    rows += [event("view", "bob", "c0", T0 + 9, watch_s=30.0)]
    counts = count(rows)
    assert signal(counts, "exposures") == [2.0]
    assert signal(counts, "views") == [2.0]
    assert signal(counts, "long_views") == [1.0]
    assert signal(counts, "watch_s") == [35.0]


def test_watching_all_night_counts_ten_minutes():
    assert signal(count([event("view", "ann", "c0", T0, watch_s=30_000.0)]), "watch_s") == [600.0]


def test_each_signal_counts_its_own_events():
    kinds = ("complete_view", "skip", "like", "share", "comment", "save", "follow", "hide", "report", "replay")
    found = {name: signal(count([event(kind, "ann", "c1", T0) for kind in kinds]), name)[0] for name in SIGNALS}
    assert found == dict.fromkeys(SIGNALS, 1.0) | {"watch_s": 0.0, "positions": 0.0, "placed": 0.0}


def test_positions_are_those_that_impressions_state():
    rows = [event("impression", "ann", "c0", T0, position=4), event("impression", "bob", "c0", T0 + 1, position=0)]
    rows += [event("impression", "cem", "c0", T0 + 2), event("view", "ann", "c0", T0 + 3, position=9)]
    counts = count(rows)
    assert (signal(counts, "positions"), signal(counts, "placed")) == ([4.0], [2.0])


def test_events_without_a_content_or_about_unwanted_ones_leave_no_trace():
    rows = [event("follow", "ann", None, T0, creator="k1"), event("like", "ann", "c9", T0)]
    assert len(count(rows)) == 0


def by_sets(rows, n):
    """The definition, person by person."""
    cells = {}
    for kind, user, content, at, more in rows:
        if content is None or int(content[1:]) >= n:
            continue
        cell = cells.setdefault((int(at // HOUR), int(content[1:])), {name: set() for name in SIGNALS})
        long = more.get("watch_s", -1.0) >= 18.0 if more.get("long_view", -1) < 0 else more["long_view"] == 1
        for name, hit in {
            "exposures": EXPOSING[CODE[kind]], "views": kind in {"view", "complete_view", "replay"},
            "long_views": kind == "complete_view" or (kind == "view" and long), "completes": kind == "complete_view",
            "skips": kind == "skip", "likes": kind == "like", "shares": kind == "share",
            "comments": kind == "comment", "saves": kind == "save", "follows": kind == "follow",
            "hides": kind == "hide", "reports": kind == "report", "replays": kind == "replay",
        }.items():  # fmt: skip
            if hit:
                cell[name].add(user)
    return {cell: {name: len(people) for name, people in found.items()} for cell, found in cells.items()}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_counts_are_sets_of_people_by_definition(seed):
    rows = random_rows(np.random.default_rng(seed), events=150, users=5, contents=4, hours=6)
    counts, expected = count(rows, n=5), by_sets(rows, 5)
    found = {
        (int(window), int(content)): dict(zip(SIGNALS, row.tolist(), strict=True))
        for window, content, row in zip(counts.window, counts.content, counts.counts, strict=True)
    }
    for cell, people in expected.items():
        mine = found.get(cell, dict.fromkeys(SIGNALS, 0.0))
        assert {name: mine[name] for name in SIGNALS[:-3]} == {name: people[name] for name in SIGNALS[:-3]}
    assert found.keys() <= expected.keys()


def test_the_order_of_events_changes_nothing_to_the_bit():
    rows = random_rows(np.random.default_rng(9), events=3000, users=30, contents=4, hours=3)
    log = log_of(rows)
    codes = np.array([int(each[1:]) for each in log.contents], np.int64)
    durations = np.full(9, 20.0, np.float32)
    shuffled = log.rows(np.random.default_rng(1).permutation(len(log)))
    one, other = (count_windows(each, content=codes, duration_s=durations) for each in (log, shuffled))
    assert np.array_equal(one.counts, other.counts)
    assert np.array_equal(one.content, other.content)


def test_a_log_too_large_for_one_integer_per_event_is_counted_in_parts(monkeypatch):
    rows = random_rows(np.random.default_rng(2), events=500, users=9, contents=4, hours=50)
    whole = count(rows, n=6)
    monkeypatch.setattr(counting, "_KEY_BITS", 25)
    parts = count(rows, n=6)
    assert np.array_equal(parts.counts, whole.counts)
    assert np.array_equal(parts.window, whole.window)
    monkeypatch.setattr(counting, "_KEY_BITS", 5)
    with pytest.raises(ValueError, match="one hour with 9 users and"):
        count(rows, n=6)
