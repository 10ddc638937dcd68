"""One day's sums, against counts written out by hand."""

import numpy as np
import pytest

from dashboards.stats.day import Day, DayLog, Dimension, VisitLog, distinct, first_of, rows_of
from dashboards.stats.measures import MEASURES
from events.cleaning.schema import EVENT_TYPES

HOUR = 3600.0


def day(*rows, sessions=None):
    """Rows are (user, type, content, request, time in s, watched s) in order of time; sessions beside them."""
    users, contents, requests = (sorted({row[place] for row in rows if row[place]}) for place in (0, 2, 3))
    named = sorted(set(sessions or ()))

    def codes(values, vocabulary):
        return np.array([vocabulary.index(value) if value else -1 for value in values], np.int32)

    at = np.array([row[4] for row in rows], np.float64)
    return Day(
        DayLog(
            kind=np.array([EVENT_TYPES.index(row[1]) for row in rows], np.uint8),
            user=codes([row[0] for row in rows], users),
            content=codes([row[2] for row in rows], contents),
            request=codes([row[3] for row in rows], requests),
            session=codes(sessions or [None] * len(rows), named),
            at=at,
            watch_s=np.array([np.nan if row[5] is None else row[5] for row in rows], np.float64),
            hour=(at // HOUR).astype(np.int64),
            night=np.arange(24) < 5,
            users=len(users), contents=len(contents), requests=len(requests), sessions=len(named),
        )
    )  # fmt: skip


def everybody(rows):
    return Dimension(np.zeros(len(rows), np.int64), ("",))


def totals(*rows, sessions=None):
    """Measures of the whole day by name, without zeros."""
    found = day(*rows, sessions=sessions).sums(everybody(rows))
    cells = {hour: measures for _, hour, _, measures in rows_of({"all": (("",), found)})}
    return {name: int(value) for name, value in zip(MEASURES, cells[-1], strict=True) if value}


def test_a_day_is_summed():
    rows = [
        ("ann", "impression", "a", "r1", 0, None),
        ("ann", "impression", "a", "r1", 1, None),  # the same position, reported twice
        ("ann", "view", "a", "r1", 5, 4.0),
        ("ann", "like", "a", "r1", 6, None),
        ("ann", "impression", "b", "r1", 10, None),
        ("ann", "skip", "b", "r1", 11, 0.5),
        ("bob", "impression", "a", "r3", 50, None),
        ("ann", "impression", "a", "r2", 4000, None),
        ("ann", "view", "a", "r2", 4002, 1.0),  # too short to be a click
    ]
    assert totals(*rows) == {
        "events": 9, "views": 2, "skips": 1, "likes": 1, "impressions": 4, "clicked": 1, "engaged": 1,
        "watch_ms": 5500, "night_ms": 5500, "users": 1,
    }  # fmt: skip


def test_clicks_without_an_impression_never_push_the_rate_above_one():
    found = totals(("ann", "view", "a", "r1", 0, 9.0), ("ann", "impression", "b", "r1", 1, None))
    assert "clicked" not in found
    assert found["unattributed"] == 1


def test_without_requests_a_content_is_shown_once_per_session():
    rows = [("ann", "impression", "a", None, 0, None), ("ann", "like", "a", None, 1, None)]
    rows += [("ann", "impression", "a", None, 9000, None), ("ann", "skip", "a", None, 9001, 0.4)]
    found = totals(*rows, sessions=["s1", "s1", "s2", "s2"])
    assert (found["impressions"], found["engaged"]) == (2, 1)


def test_nobody_watches_longer_than_there_was_time_and_what_happens_at_once_has_no_order():
    rows = [("ann", "view", c, None, at, 300.0) for c, at in (("a", 0), ("b", 10), ("c", 20), ("d", 60))]
    # The first and the last have a side without bound; the others the longer pause and two seconds.
    assert totals(*rows)["watch_ms"] == (300 + 12 + 42 + 300) * 1000
    at_once = [("ann", "impression", "x", None, 10, None)]
    assert totals(*rows[:1], *at_once, *rows[1:])["watch_ms"] == totals(*rows[:2], *at_once, *rows[2:])["watch_ms"]


def test_time_is_regretted_when_the_content_is_hidden_afterwards():
    rows = [
        ("ann", "view", "a", None, 6 * HOUR, 30.0), ("ann", "hide", "a", None, 6 * HOUR + 60, None),
        ("ann", "view", "a", None, 7 * HOUR, 20.0), ("bob", "view", "a", None, 8 * HOUR, 20.0),
    ]  # fmt: skip
    found = totals(*rows)
    assert (found["regretted_ms"], found["watch_ms"]) == (30_000, 70_000)
    assert "night_ms" not in found


def test_uploads_make_publishers_and_no_active_users():
    found = totals(("ann", "content_upload", "a", None, 0, None), ("ann", "content_upload", "b", None, 9, None))
    assert (found["uploads"], found["publishers"], "users" in found) == (2, 1, False)


def test_a_breakdown_puts_each_event_under_its_value_and_users_under_each_they_touched():
    rows = [
        ("ann", "like", "a", None, 0, None),
        ("ann", "like", "b", None, 1, None),
        ("bob", "like", "b", None, 2, None),
    ]
    found = day(*rows).sums(Dimension(np.array([0, 1, 1]), ("x", "y")))
    assert [each.tolist() for each in found.user_sets] == [[0], [0, 1]]
    assert found.users[0].tolist() == [1, 2]
    assert found.of_events[0, :, MEASURES.index("likes")].tolist() == [1, 2]


def test_sessions_are_engaged_by_length_views_or_what_was_done():
    rows = [
        ("ann", "like", "a", None, 100, None),
        ("bob", "view", "a", None, 200, 1.0),
        ("cleo", "view", "a", None, 1, 0),
    ]
    rows.sort(key=lambda row: row[4])
    lengths = np.array([0, 11_000, 0, 3 * 3_600_000])
    visits = VisitLog(np.array([0, 1, 2, 2]), np.array([0, 0, 0, 1]), np.array([100.0, 200.0, 1.0, 4000.0]), lengths,
                      np.array([0, 1, 1, 2]))  # fmt: skip
    found = day(*rows).session_sums(visits, None)
    assert found[:2, 0].tolist() == [[3, 11_000, 1, 2, 0, 2], [1, 10_800_000, 1, 1, 1, 2]]


def test_exposure_counts_each_content_and_remembers_its_first_moment():
    rows = [("ann", "impression", "b", "r", 9, None), ("bob", "impression", "b", "r2", 12, None),
            ("bob", "view", "a", "r2", 13, 1.0)]  # fmt: skip
    found = day(*rows).exposure()
    assert (found.content.tolist(), found.impressions.tolist(), found.first_s.tolist()) == ([1], [2], [9.0])


def test_an_empty_day_has_no_cells():
    nothing = day()
    assert list(rows_of({"all": (("",), nothing.sums(everybody([])))})) == []
    assert len(nothing.watch_ms()) == 0
    assert len(nothing.exposure().content) == 0


@pytest.mark.parametrize("keys", [[], [4], [5, 5, 1, 5, 0], [2**61, 3, 2**61]])
def test_first_places_and_distinct_keys_are_those_of_numpy(keys):
    array = np.array(keys, np.int64)
    expected, places = np.unique(array, return_index=True)
    found, first = first_of(array)
    assert found.tolist() == expected.tolist() == distinct(array).tolist()
    assert first.tolist() == places.tolist()
