"""Figures of a content against the events they come from."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from events.catalogue import NewContent, register_contents
from events.ingestion import ingest
from features.content_stats import content_stats
from features.materialize import materialize

NOW = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)


def say(event_type, user_id, content_id, at, **fields):
    return {
        "event_id": str(uuid.uuid4()),
        "event_type": event_type,
        "user_id": user_id,
        "content_id": content_id,
        "timestamp": at.isoformat(),
        **fields,
    }


@pytest.fixture
def counted(db, settings, tmp_path):
    settings.SNAPSHOT_DIR = tmp_path / "snapshots"
    register_contents(
        [NewContent(each, "k", NOW - timedelta(days=60), duration_s=10.0) for each in ("a", "b/2", "c", "quiet")]
    )
    long_ago, lately = NOW - timedelta(days=20), NOW - timedelta(hours=30)
    raw = []
    for person in range(6):
        raw.append(say("impression", f"u{person}", "b/2", long_ago))
        raw.append(say("view", f"u{person}", "b/2", long_ago, watch_duration=4.0))
    for person in range(3):
        raw.append(say("impression", f"u{person}", "b/2", lately))
        raw.append(say("view", f"u{person}", "b/2", lately, watch_duration=10.0))
        raw.append(say("complete_view", f"u{person}", "b/2", lately))
        raw += [say("impression", f"u{person}", other, lately) for other in ("a", "c")]
    raw += [say("like", "u0", "b/2", lately), say("like", "u0", "b/2", lately + timedelta(minutes=1))]
    raw += [say("share", "u1", "b/2", long_ago, platform="sms"), say("like", "u1", "c", lately)]
    assert ingest(raw, now=NOW, source="test", historical=True).accepted == len(raw)
    materialize(until=NOW)


def test_all_time_and_the_last_week_are_told_apart(counted):
    stats = content_stats("b/2", now=NOW)
    total, recent = stats.total, stats.last_7d
    assert (total.impressions, recent.impressions) == (9, 3)
    assert (total.views, recent.views) == (9, 3)
    assert (total.completions, recent.completions) == (3, 3)
    assert (total.completion, recent.completion) == (pytest.approx(1 / 3), 1.0)
    assert (total.likes, recent.likes) == (1, 1), "who likes twice within an hour counts once"
    assert (total.shares, recent.shares) == (1, 0)
    assert (total.watch_s, recent.watch_s) == (pytest.approx(54.0), pytest.approx(30.0))


def test_neighbours_in_the_row_do_not_leak(counted):
    assert content_stats("a", now=NOW).total.likes == 0
    assert content_stats("c", now=NOW).total.likes == 1


def test_what_nobody_met_has_zeros(counted):
    stats = content_stats("quiet", now=NOW)
    assert (stats.total.impressions, stats.total.completion, stats.as_of is not None) == (0, None, True)


def test_before_anything_is_counted_nothing_is_known(db):
    stats = content_stats("a", now=NOW)
    assert (stats.total.views, stats.as_of) == (0, None)


def test_it_never_says_to_know_the_future(counted):
    assert content_stats("a", now=NOW).as_of <= NOW


def test_it_costs_two_queries(counted, django_assert_num_queries):
    with django_assert_num_queries(2):
        content_stats("b/2", now=NOW)
