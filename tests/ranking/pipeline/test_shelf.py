"""What the last events say about a user's taste."""

from dataclasses import replace

import numpy as np
import pytest

from events.columnar.history import History
from ranking.pipeline.shelf import followed, judge, refused, session_taste
from tests.worlds import families, history, skipped, watched

WORLD = families()
SHELF = WORLD.shelf


def one_of(family: int, nth: int = 0) -> str:
    return SHELF.content_id[np.flatnonzero(WORLD.family == family)[nth]]


@pytest.mark.parametrize(
    ("event", "worth"),
    [
        (("view", "clip-000", 8.0), 1.0),
        (("view", "clip-000", 4.0), 0.5),
        (("view", "clip-000", 1.0), -0.5),
        (("view", "elsewhere", 9.0), 0.5),
        (("view", "clip-000"), 0.0),
        (("skip", "clip-000", 0.5), -1.0),
        (("hide", "clip-000"), -3.0),
        (("impression", "clip-000"), 0.0),
        (("share", "clip-000"), 1.5),
    ],
)
def test_an_event_is_worth(event, worth):
    past = history(event)
    assert judge(past, SHELF, SHELF.rows(past.content_id)).tolist() == [worth]


def test_an_imported_long_view_needs_no_watch_time():
    past = history(("view", "clip-000"), ("view", "clip-001"))
    stated = History(past.event_type, past.content_id, past.creator_id, past.timestamp, past.watch_s,
                     np.array([1, 0], np.int8))  # fmt: skip
    assert judge(stated, SHELF, SHELF.rows(past.content_id)).tolist() == [1.0, 0.0]


def test_the_first_event_already_moves_the_affinity():
    taste = session_taste(history(("complete_view", one_of(2))), SHELF)
    assert taste.category[2] == pytest.approx(1.0 / (1.0 + 1.0))
    assert taste.evidence == pytest.approx(1 / 3)
    assert taste.category[[0, 1, 3]].tolist() == [0.0, 0.0, 0.0]


def test_affinity_is_the_shrunk_weighted_mean_of_judgements():
    taste = session_taste(history(("complete_view", one_of(2)), ("skip", one_of(2, 1)), ("skip", one_of(0))), SHELF)
    # lags: skip of family 0 is 0, skip of family 2 is 1, its completion is 2
    assert taste.category[2] == pytest.approx((0.81 * 1.0 - 0.9 * 1.0) / (0.81 + 0.9 + 1.0), rel=1e-5)
    assert taste.category[0] == pytest.approx(-1.0 / 2.0)


def test_what_was_met_is_told_once_in_order_of_the_latest():
    past = history(
        ("impression", "clip-005"), ("skip", "clip-001"), ("view", "clip-005", 1.0), ("view", "nowhere", 9.0)
    )
    assert session_taste(past, SHELF).met.tolist() == [1, 5]


def test_the_events_of_one_clip_are_one_judgement():
    taste = session_taste(history(*watched(one_of(1)), *skipped(one_of(0))), SHELF)
    assert taste.evidence == pytest.approx(2 / 4)
    assert taste.positives.tolist() == [SHELF.row_of[one_of(1)]]


def test_only_the_last_twenty_judged_contents_count():
    old = [("complete_view", one_of(3))]
    taste = session_taste(history(*old, *[("skip", one_of(0, n)) for n in range(16)],
                                  *[("skip", one_of(1, n)) for n in range(4)]), SHELF)  # fmt: skip
    assert taste.category[3] == 0.0


def test_positives_reach_back_beyond_the_session():
    clips = [f"clip-{row:03d}" for row in range(40)]
    taste = session_taste(history(*(event for clip in clips for event in watched(clip))), SHELF)
    assert taste.positives.tolist() == [SHELF.row_of[clip] for clip in clips]


def test_positives_are_oldest_first():
    past = history(("like", one_of(1)), ("like", one_of(2)), ("like", one_of(1)))
    assert session_taste(past, SHELF).positives.tolist() == [SHELF.row_of[one_of(2)], SHELF.row_of[one_of(1)]]


def test_unknown_category_and_creator_have_no_affinity():
    taste = session_taste(history(("complete_view", one_of(2))), SHELF)
    assert taste.category[-1] == 0.0
    assert taste.creator[-1] == 0.0


def test_an_empty_history_and_an_empty_catalogue_say_nothing():
    empty = families(size=0).shelf
    for past, shelf in ((History.empty(), SHELF), (history(*watched("clip-000")), empty), (History.empty(), empty)):
        taste = session_taste(past, shelf)
        assert (taste.evidence, len(taste.positives)) == (0.0, 0)
        assert not taste.category.any()


def test_hidden_and_reported_contents_are_refused():
    past = history(("hide", "a"), ("report", "b"), ("skip", "c"), ("follow", "", np.nan, "creator"))
    assert refused(past) == {"a", "b"}


def test_a_hide_that_was_taken_back_refuses_nothing_and_a_report_stays():
    past = history(("hide", "a"), ("hide", "b"), ("report", "c"), ("unhide", "a"), ("unhide", "c"), ("hide", "d"))
    assert refused(past) == {"b", "c", "d"}
    again = history(("hide", "a"), ("unhide", "a"), ("hide", "a"), ("unhide", "b"), ("hide", "c"))
    assert refused(again) == {"a", "c"}


def test_a_thinned_shelf_is_the_shelf_of_the_allowed_contents_in_the_same_order():
    shelf = families().shelf
    allowed = np.arange(len(shelf)) % 3 != 0
    thinned = shelf.only(allowed)
    made_anew = replace(shelf, active=shelf.active & allowed)
    for name in ("active", "hottest", "newest"):
        assert np.array_equal(getattr(thinned, name), getattr(made_anew, name))
    assert shelf.active.all()


def test_who_is_followed_is_what_the_last_word_says():
    nan = float("nan")
    past = history(("follow", "a", nan, "k"), ("follow", "b", nan, "m"), ("unfollow", "a", nan, "k"))
    assert followed(past, frozenset({"k", "n"})) == {"m", "n"}
