"""Training learns from the rows that served, whatever became known since."""

import uuid
from datetime import timedelta

import numpy as np
import pytest

from events.catalogue import NewProfile, update_profiles
from events.ingestion import ingest
from events.queries import catalogue_table, interactions_between
from features import snapshot_build, store
from features.extraction import assemble_many, timeline
from features.extraction.definitions import NAMES
from features.materialize import materialize
from ranking import queries, training
from ranking.feed import FeedRequest, build_feed
from ranking.models import Served
from ranking.ranker.examples import label_exposures
from tests.ranking.feeds import NOW, event

USER, LATER = "u1", NOW + timedelta(hours=5)
SERVED_AT = NOW + timedelta(hours=3, minutes=10)
REQUEST = uuid.uuid5(uuid.NAMESPACE_OID, "a page")


def send(*events):
    report = ingest(events, now=LATER, source="test", historical=True)
    assert report.accepted == len(events), report


@pytest.fixture
def page(champion, monkeypatch):
    """A page ranked by a snapshot three hours old, in which somebody else did something, and seen by its user."""
    monkeypatch.setattr(snapshot_build, "GROWTH", 1e9)
    champion()
    send(*(event("like", "u2", f"ocean-{clip:02d}", NOW + timedelta(hours=2)) for clip in range(16)))
    feed = build_feed(FeedRequest(USER, 10), now=SERVED_AT, request_id=REQUEST)
    send(*(
        event("impression", USER, item.content_id, SERVED_AT + timedelta(seconds=5 * place), request_id=str(REQUEST))
        for place, item in enumerate(feed.items, 1)
    ))  # fmt: skip
    return [item.content_id for item in feed.items]


def trained():
    """Log, snapshot, the examples of the page in its order, and the rows a training has for them."""
    log, snapshot = interactions_between(None, LATER), store.snapshot()
    examples = label_exposures(log, catalogue_table(), until=LATER.timestamp())
    matrix = training._assemble(examples, log, snapshot, lambda _share: None)
    mine = np.flatnonzero(examples.request == log.requests.tolist().index(str(REQUEST)))
    rows = matrix.rows(mine)
    return log, snapshot, examples.rows(mine), np.concatenate([rows.user, rows.content, rows.context], axis=1)


def logged(page):
    row_of = {row.content_id: np.frombuffer(row.features, "<f4") for row in queries.served_of([REQUEST])}
    return np.stack([row_of[each] for each in page])


def test_a_trained_row_is_the_served_one_after_a_late_event_a_profile_edit_and_a_refit(page):
    served = logged(page)
    send(event("like", USER, page[0], SERVED_AT - timedelta(hours=4)))
    update_profiles([NewProfile(USER, {"time_zone": "Asia/Tokyo"}, {"liked_categories": ["neon", "ocean"]})])
    materialize(until=LATER, refit=True)
    store.forget()
    assert np.array_equal(trained()[-1], served)
    Served.objects.update(feature_set="another")
    assert not np.array_equal(trained()[-1], served), "what became known since would have changed the rows"


def test_rows_of_another_feature_set_are_computed_by_the_moments_that_serving_logged(page):
    Served.objects.update(feature_set="another", features=b"")
    log, snapshot, examples, rows = trained()
    assert [log.contents[code] for code in examples.content] == page
    asked = {
        "user": examples.user, "rows": snapshot.rows(page), "moments": np.full(len(page), SERVED_AT.timestamp()),
        "surfaces": np.full(len(page), "for_you", object),
    }  # fmt: skip
    states, counted = timeline(log, snapshot), np.full(len(page), snapshot.until)
    known = assemble_many(log, snapshot, states, **asked, counted_until=counted)
    fresh = assemble_many(log, snapshot, states, **asked)
    content = slice(len(NAMES["user"]), len(NAMES["user"]) + len(NAMES["content"]))
    assert np.array_equal(rows[:, : content.start], known.user)
    assert np.array_equal(rows[:, content], known.content)
    assert not np.array_equal(known.content, fresh.content), "the newer counters would have been others"


def test_a_request_named_by_somebody_else_is_not_theirs(page):
    send(event("impression", "u3", page[0], SERVED_AT + timedelta(minutes=1), request_id=str(REQUEST)))
    log, _, examples, rows = trained()
    theirs = np.flatnonzero(log.users[examples.user] == "u3")
    assert len(theirs) == 1
    assert not np.array_equal(rows[theirs[0]], logged(page)[0])
