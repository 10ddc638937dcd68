"""What the benchmark of freshness concludes from what it saw."""

import pytest

from recsys.benchmarks import feed_world, freshness
from recsys.benchmarks.freshness import EventTrial
from recsys.benchmarks.freshness_hides import HideTrial

SIZE = feed_world.Size(contents=600, users=80, events=6_000)
FOUND = {"latest": [2.0] * 20, "for_you": [60.0] * 20}


def judged(*, events=None, hides=None, found=None):
    result = freshness._judge(
        SIZE,
        events or [EventTrial(0.01, 0.03, 1, 4)] * 20,
        [0.004] * 20,
        hides or [HideTrial("event", True), HideTrial("moderator", True)],
        found or FOUND,
    )
    return result, {bar.name for bar in result.bars if not bar.holds}


def test_where_all_holds_the_limit_stands_beside_it():
    result, failed = judged()
    assert failed == set()
    assert result.figures["event_to_feed_p99_ms"] == pytest.approx(40.0)
    assert result.figures["row_written_and_read_p50_ms"] == pytest.approx(4.0)
    assert result.figures["event_to_feed_over_row"] == pytest.approx(10.0)
    assert ("row written and read", "p50 4.0 ms, p99 4.0 ms", "the limit") in list(result.rows)
    assert result.figures["new_in_for_you_p50_s"] == 60.0, "printed, and no bar"


def test_both_requests_count_and_the_slowest_decide():
    trials = [EventTrial(0.01, 0.03, 1, 4)] * 190 + [EventTrial(0.06, 0.05, 1, 4)] * 10
    result, failed = judged(events=trials)
    assert failed == {"p99 ms from event to next feed"}
    assert result.figures["event_to_feed_p99_ms"] == pytest.approx(110.0)
    assert result.figures["event_sent_p99_ms"] == pytest.approx(60.0)


def test_a_feed_that_stays_as_it_was_does_not_count_as_fast():
    assert judged(events=[EventTrial(0.01, 0.01, 4, 4)] * 20)[1] == {"share of feeds that turned"}


def test_a_single_hidden_content_that_is_shown_fails():
    hides = [HideTrial("moderator", True)] * 999 + [HideTrial("event", False)]
    result, failed = judged(hides=hides)
    assert failed == {"hidden contents gone at once"}
    assert (result.figures["hidden_gone_moderator"], result.figures["hidden_gone_event"]) == (999, 0)


def test_new_content_that_is_found_nowhere_fails():
    assert judged(found={"similar": [freshness.GAVE_UP_S] * 20})[1] == {"p99 s until new content is in similar"}
