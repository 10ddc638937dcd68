"""Labels and the split, on logs one can read, and against a plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.cleaning.schema import EVENT_TYPES
from ranking.ranker.examples import label_exposures, split_by_time
from tests.ranking.ranker.logs import NAN, catalogue, log

CLIPS = {"a": 60.0, "b": 8.0, "c": NAN}
LATER = 200_000.0


def view(at, content, watch_s=NAN, user="u", **more):
    return {"at": at, "user": user, "type": "view", "content": content, "watch_s": watch_s} | more


def labels(*rows, until=LATER, creators=None):
    events = log(*rows)
    found = label_exposures(events, catalogue(CLIPS, creators), until=until)
    return [(events.contents[c], t, y) for c, t, y in zip(found.content, found.timestamp, found.label, strict=True)]


@pytest.mark.parametrize(
    ("outcome", "label"),
    [
        (view(5, "a", 18.0), 1),
        (view(5, "a", 17.9), 0),
        (view(5, "a", 2.0, long_view=1), 1),
        (view(5, "a", 30.0, long_view=0), 0),
        ((5, "u", "complete_view", "a"), 1),
        ((5, "u", "like", "a"), 1),
        ((5, "u", "save", "a"), 1),
        ((5, "u", "share", "a"), 1),
        ((5, "u", "comment", "a"), 1),
        ((5, "u", "skip", "a"), 0),
        ((5, "u", "unlike", "a"), 0),
        (view(600, "a", 20.0), 1),
        ((86_400, "u", "like", "a"), 1),
        ((86_401, "u", "like", "a"), 0),
        ((5, "w", "like", "a"), 0),
        ((5, "u", "like", "b"), 0),
    ],
)
def test_watch_within_ten_minutes_or_gesture_within_a_day_decides_the_label(outcome, label):
    assert labels((0, "u", "impression", "a"), outcome)[0] == ("a", 0.0, label)


def test_short_clip_is_satisfied_by_its_whole_length_and_unknown_length_by_18_s():
    rows = labels((0, "u", "impression", "b"), view(8, "b", 8.0), (20, "u", "impression", "c"), view(37, "c", 17.0))
    assert rows == [("b", 0.0, 1), ("c", 20.0, 0)]


def test_hide_outweighs_a_like_in_any_order():
    assert labels((0, "u", "impression", "a"), (1, "u", "hide", "a"), (2, "u", "like", "a")) == [("a", 0.0, 0)]
    assert labels((0, "u", "impression", "a"), (1, "u", "like", "a"), (2, "u", "report", "a")) == [("a", 0.0, 0)]


def test_outcome_belongs_to_the_last_exposure_before_it():
    rows = labels((0, "u", "impression", "a"), (100, "u", "impression", "a"), (110, "u", "like", "a"))
    assert rows == [("a", 0.0, 0), ("a", 100.0, 1)]


def test_outcome_at_the_very_moment_of_the_impression_counts():
    assert labels((0, "u", "like", "a"), (0, "u", "impression", "a")) == [("a", 0.0, 1)]


def test_log_without_impressions_still_gives_examples_one_per_viewing():
    rows = labels(view(0, "a", 1.0), (1, "u", "skip", "a"), view(700, "a", 40.0))
    assert rows == [("a", 0.0, 0), ("a", 700.0, 1)]


def test_follow_without_a_content_pleases_for_the_last_exposure_of_that_creator_only():
    creators = {"a": "ann", "b": "bob"}
    shown = [(0, "u", "impression", "a"), (10, "u", "impression", "b")]
    follow = {"at": 12, "user": "u", "type": "follow", "creator": "bob"}
    assert labels(*shown, follow, creators=creators) == [("a", 0.0, 0), ("b", 10.0, 1)]
    assert labels(*shown, follow | {"creator": "ann"}, creators=creators) == [("a", 0.0, 0), ("b", 10.0, 0)]
    assert labels(*shown, follow | {"at": 86_411}, creators=creators) == [("a", 0.0, 0), ("b", 10.0, 0)]


def test_exposure_whose_window_is_open_is_no_example_yet():
    rows = [(0, "u", "impression", "a"), (50, "u", "impression", "b")]
    assert labels(*rows, until=649.0) == [("a", 0.0, 0)]
    assert labels(*rows, until=650.0) == [("a", 0.0, 0), ("b", 50.0, 0)]


def test_page_is_known_from_its_first_exposure_and_a_lone_exposure_from_itself():
    def shown(at, content, user="u", **more):
        return {"at": at, "user": user, "type": "impression", "content": content} | more

    events = log(
        shown(5, "a", request="r1"), shown(9, "b", request="r1"), shown(12, "c"), shown(20, "a", request="r2"),
        shown(3, "a", user="w", request="r1"),
    )  # fmt: skip
    found = label_exposures(events, catalogue(CLIPS), until=LATER)
    assert found.timestamp.tolist() == [3, 5, 9, 12, 20]
    assert found.moment.tolist() == [3, 5, 5, 12, 20]


def test_empty_log_gives_no_examples():
    assert labels() == []


EVENT = st.tuples(
    st.integers(0, 3000),
    st.sampled_from("uvw"),
    st.sampled_from(["impression", "view", "skip", "like", "hide", "complete_view", "unlike", "replay"]),
    st.sampled_from("abc"),
)


@given(st.lists(EVENT, max_size=40))
def test_labels_equal_a_plain_loop(rows):
    assert sorted(labels(*rows)) == sorted(plainly(rows))


def plainly(rows):
    """The rule event by event: the last exposure of the pair, and the last exposing event before it."""
    exposing = ("impression", "view", "complete_view", "replay", "skip")
    exposure, seen, found = {}, {}, []
    for at, user, kind, content in sorted(rows, key=lambda row: (row[0], EVENT_TYPES.index(row[2]))):
        pair = (user, content)
        if kind == "impression" or (kind in exposing and at - seen.get(pair, -LATER) > 600):
            exposure[pair] = {"content": content, "at": float(at), "good": False, "bad": False}
            found.append(exposure[pair])
        if kind in exposing:
            seen[pair] = at
        if pair in exposure:
            waited = at - exposure[pair]["at"]
            exposure[pair]["good"] |= kind == "like" or (kind in ("complete_view", "replay") and waited <= 600)
            exposure[pair]["bad"] |= kind == "hide"
    return [(e["content"], e["at"], int(e["good"] and not e["bad"])) for e in found]


def test_training_labels_are_complete_before_the_first_test_exposure():
    rng = np.random.default_rng(0)
    at = np.sort(rng.uniform(0, 100_000, 1000))
    split = split_by_time(at, test_share=0.15)
    assert split.test.sum() == 150
    assert at[split.train].max() + 600 <= split.cut == at[split.test].min()
    assert not (split.train & split.test).any()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_share_that_leaves_a_side_empty_is_refused(share):
    with pytest.raises(ValueError, match="test_share"):
        split_by_time(np.array([1.0]), test_share=share)


def test_simultaneous_examples_leave_nothing_to_train_on():
    split = split_by_time(np.zeros(10), test_share=0.15)
    assert not split.train.any()
