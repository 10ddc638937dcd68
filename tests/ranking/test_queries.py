"""Reads of the served log and of model versions."""

import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ranking import queries
from ranking.models import ModelVersion, Served

NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def serve(user_id: str, *content_ids: str, at: datetime, features: bytes = b"") -> uuid.UUID:
    request_id = uuid.uuid4()
    Served.objects.bulk_create(
        Served(
            request_id=request_id,
            position=position,
            user_id=user_id,
            content_id=content_id,
            source="popular",
            sources=["popular"],
            surface="for_you",
            arm="default",
            score=1.0,
            propensity=0.5,
            features=features,
            served_at=at,
        )
        for position, content_id in enumerate(content_ids)
    )
    return request_id


def memory_of(user_id, **asked):
    return queries.feed_start(user_id, **asked)[1]


def test_the_memory_of_a_feed_holds_the_latest_time_of_the_users_own_contents():
    serve("u", "a", "b", at=NOW - timedelta(minutes=29))
    serve("u", "b", at=NOW - timedelta(minutes=1))
    serve("u", "too old", at=NOW - timedelta(minutes=31))
    serve("other", "c", at=NOW)
    found = memory_of("u", page=None, walk=None, since=NOW - timedelta(minutes=30))
    minutes = {each: (NOW.timestamp() - at) / 60 for each, at in found.served.items()}
    assert (minutes, found.delivered) == ({"a": 29, "b": 1}, ())


def test_a_delivered_page_comes_back_in_order_to_its_own_user_only():
    page = serve("u", "b", "a", at=NOW)
    delivered = memory_of("u", page=page, walk=None, since=NOW).delivered
    assert [(row.position, row.content_id, row.propensity) for row in delivered] == [(0, "b", 0.5), (1, "a", 0.5)]
    assert (delivered[0].served_at, delivered[0].sources) == (NOW.timestamp(), ("popular",))
    assert memory_of("other", page=page, walk=None, since=NOW).delivered == ()
    assert memory_of("u", page=uuid.uuid4(), walk=None, since=NOW).delivered == ()


def test_what_one_walk_delivered_is_told_apart_from_the_rest():
    walk = uuid.uuid4()
    for content_id, of in (("a", walk), ("b", uuid.uuid4()), ("c", None)):
        Served.objects.filter(request_id=serve("u", content_id, at=NOW)).update(walk_id=of)
    Served.objects.filter(request_id=serve("u", "a", at=NOW)).update(walk_id=uuid.uuid4())
    found = memory_of("u", page=None, walk=walk, since=NOW)
    assert (set(found.served), found.walked) == ({"a", "b", "c"}, {"a"})
    assert memory_of("u", page=None, walk=None, since=NOW).walked == frozenset()


def test_served_between_includes_its_start_and_not_its_end():
    serve("u", "at the end", at=NOW)
    serve("u", "x", "y", at=NOW - timedelta(hours=1), features=np.ones(2, "<f4").tobytes())
    serve("u", "before", at=NOW - timedelta(hours=1, seconds=1))
    rows = list(queries.served_between(NOW - timedelta(hours=1), NOW))
    assert [(row.content_id, row.position, row.propensity) for row in rows] == [("x", 0, 0.5), ("y", 1, 0.5)]
    assert np.frombuffer(rows[0].features, "<f4").tolist() == [1.0, 1.0]


def test_model_history_lists_the_newest_first():
    for number in range(3):
        ModelVersion.objects.create(
            version=f"v{number}", kind="mlp", feature_set="f", trained_until=NOW, metrics={"auc": number}
        )
    assert [model.version for model in queries.model_history(2)] == ["v2", "v1"]
    assert queries.model_history(1)[0].metrics == {"auc": 2}


@pytest.mark.parametrize("limit", [1, 600])
def test_the_memory_of_a_feed_is_one_query(django_assert_num_queries, limit):
    page = serve("u", *(f"c{n}" for n in range(limit)), at=NOW)
    with django_assert_num_queries(1):
        found = memory_of("u", page=page, walk=None, since=NOW)
    assert len(found.served) == len(found.delivered) == limit
