"""One day's sums, against counts written out by hand."""

import numpy as np

from dashboards.stats.daily import session_durations, summarise_users
from events.cleaning.schema import EVENT_TYPES
from events.columnar.interactions import Interactions


def log(*rows, sessions=None):
    """Rows are (user, type, content, request, time in s, watched s); sessions are given beside them."""
    users = sorted({row[0] for row in rows})
    contents = sorted({row[2] for row in rows if row[2]})
    requests = sorted({row[3] for row in rows if row[3]})

    def codes(values, vocabulary):
        return np.array([vocabulary.index(v) if v else -1 for v in values], np.int32)

    n = len(rows)
    return Interactions(
        event_type=np.array([EVENT_TYPES.index(r[1]) for r in rows], np.uint8),
        user=codes([r[0] for r in rows], users),
        content=codes([r[2] for r in rows], contents),
        creator=np.full(n, -1, np.int32),
        timestamp=np.array([r[4] for r in rows], np.float64),
        watch_s=np.array([np.nan if r[5] is None else r[5] for r in rows], np.float32),
        long_view=np.full(n, -1, np.int8),
        session=np.full(n, -1, np.int32) if sessions is None else codes(sessions, sorted(set(sessions))),
        request=codes([r[3] for r in rows], requests),
        users=np.array(users, object),
        contents=np.array(contents, object),
        creators=np.empty(0, object),
        sessions=np.array(sorted(set(sessions or ())), object),
        requests=np.array(requests, object),
    )


def test_a_day_is_summed_per_user():
    day = summarise_users(
        log(
            ("ann", "impression", "a", "r1", 0, None),
            ("ann", "impression", "a", "r1", 1, None),  # the same position, reported twice
            ("ann", "view", "a", "r1", 5, 4.0),
            ("ann", "like", "a", "r1", 6, None),
            ("ann", "impression", "b", "r1", 10, None),
            ("ann", "skip", "b", "r1", 11, 0.5),
            ("ann", "impression", "a", "r2", 4000, None),
            ("ann", "view", "a", "r2", 4002, 1.0),  # too short to be a click
            ("bob", "impression", "a", "r3", 50, None),
        )
    )
    assert day.user_id.tolist() == ["ann", "bob"]
    assert day.active.tolist() == [True, False], "being shown something is no activity"
    assert day.impressions.tolist() == [3, 1]
    assert day.clicked.tolist() == [1, 0]
    assert day.engaged.tolist() == [1, 0]
    assert day.views.tolist() == [2, 0]
    assert day.skips.tolist() == [1, 0]
    assert day.sessions.tolist() == [2, 1]
    assert day.watch_s.tolist() == [5.5, 0.0]


def test_clicks_without_an_impression_never_push_the_rate_above_one():
    day = summarise_users(log(("ann", "view", "a", "r1", 0, 9.0), ("ann", "impression", "b", "r1", 1, None)))
    assert day.clicked.tolist() == [0]


def test_without_requests_a_content_is_shown_once_per_session():
    rows = [("ann", "impression", "a", None, 0, None), ("ann", "like", "a", None, 1, None)]
    rows += [("ann", "impression", "a", None, 9000, None), ("ann", "skip", "a", None, 9001, 0.4)]
    day = summarise_users(log(*rows, sessions=["s1", "s1", "s2", "s2"]))
    assert day.impressions.tolist() == [2]
    assert day.engaged.tolist() == [1]
    assert day.skips.tolist() == [1]


def test_session_durations_count_the_last_watch():
    durations = session_durations(log(("ann", "impression", "a", "r", 0, None), ("ann", "view", "a", "r", 30, 12.0)))
    assert durations.tolist() == [42.0]


def test_an_empty_day_has_no_rows():
    day = summarise_users(log())
    assert len(day.user_id) == 0
    assert len(session_durations(log())) == 0
