"""All that a feed must know of one user, in one statement."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from events.catalogue import NewProfile, update_profile
from events.ingestion import ingest
from events.queries import recent_history
from events.user_past import user_past
from tests.ranking.feeds import event

NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
SINCE = NOW - timedelta(days=90)
pytestmark = pytest.mark.django_db


def send(*raw) -> None:
    assert ingest(list(raw), now=NOW, source="test", historical=True).accepted == len(raw)


def seen(*content_ids: str, minutes: int = 0, user_id: str = "u") -> None:
    """Impressions, one a minute, the last one `minutes` ago."""
    count = len(content_ids)
    send(*(
        event("impression", user_id, each, NOW - timedelta(minutes=minutes + count - n))
        for n, each in enumerate(content_ids)
    ))  # fmt: skip


def test_the_history_is_that_of_recent_history(django_assert_num_queries):
    seen("a", "b", "a")
    send(event("hide", "u", "c", NOW - timedelta(days=3)))
    with django_assert_num_queries(1):
        past = user_past("u", since=SINCE)
    history = recent_history("u")
    for name in ("event_type", "content_id", "timestamp"):
        assert np.array_equal(getattr(past.history, name), getattr(history, name))
    assert past.older == {}


def test_what_lies_before_the_history_is_still_known_as_met(django_assert_num_queries):
    seen(*(f"old{n}" for n in range(40)), minutes=100)
    seen("old3", *(f"new{n}" for n in range(10)))
    seen("other's", user_id="v", minutes=500)
    with django_assert_num_queries(1):
        past = user_past("u", since=SINCE, limit=10)
    assert set(past.history.content_id) == {f"new{n}" for n in range(10)}
    # The event at the very edge may be in both.
    assert {each for each in past.older if each.startswith("old")} == {f"old{n}" for n in range(40)}
    assert past.older["old3"] == (NOW - timedelta(minutes=11)).timestamp()


def test_what_was_met_before_the_span_is_forgotten():
    seen("ancient", minutes=91 * 24 * 60)
    seen(*(f"new{n}" for n in range(10)))
    assert "ancient" not in user_past("u", since=SINCE, limit=10).older


def test_creators_followed_before_the_history_are_known():
    at = NOW - timedelta(days=2)
    for number, (kind, creator) in enumerate([("follow", "k"), ("follow", "m"), ("unfollow", "m"), ("follow", "n")]):
        send(event(kind, "u", f"c{number}", at + timedelta(minutes=number), creator_id=creator))
    seen(*(f"new{n}" for n in range(10)))
    assert user_past("u", since=SINCE, limit=10).follows == {"k", "n"}


def test_the_profile_comes_along():
    update_profile(NewProfile("u", {"birth_year": 1990}, {"languages": ["en"]}))
    past = user_past("u", since=SINCE)
    assert (past.demographics, past.preferences) == ({"birth_year": 1990}, {"languages": ["en"]})
    nobody = user_past("nobody", since=SINCE)
    assert (len(nobody.history), nobody.demographics) == (0, {})
