"""What serving logged of its features, computed again from the log by the road that training takes."""

import uuid
from datetime import timedelta

import numpy as np

from events.catalogue import NewProfile, update_profiles
from events.models import UserProfile
from events.queries import interactions_between
from features import profiles, snapshot_build, store
from features.extraction import assemble_many, timeline
from features.extraction.definitions import FEATURE_SET
from features.materialize import materialize
from ranking import queries
from ranking.feed import FeedRequest, build_feed
from tests.ranking.feeds import FAMILIES, NOW, Viewer

PEOPLE, PAGES, PAGE = 12, 9, 10
SURFACES = ("for_you", "category")


def live() -> None:
    """People watch page after page for a day, while the snapshot follows from hour to hour, sometimes late."""
    people = [Viewer(f"u{number}") for number in range(PEOPLE)]
    for hour in range(PAGES):
        for number, viewer in enumerate(people):
            viewer.now = NOW + timedelta(hours=3 * hour, minutes=2 * number, seconds=number)
            request = FeedRequest(viewer.user_id, PAGE, surface=SURFACES[number % 2])
            request_id = uuid.uuid5(uuid.NAMESPACE_OID, f"{viewer.user_id} {hour}")
            feed = build_feed(request, now=viewer.now, request_id=request_id)
            viewer.react(feed, FAMILIES[number % 4], count=5)
            viewer.do(["like", "save", "hide", "replay"][hour % 4], feed.items[0].content_id)
            if number == PEOPLE // 2 and hour % 3:
                materialize(until=viewer.now)
                store.forget()


def test_a_thousand_served_rows_are_what_training_computes_of_the_log_to_the_bit(champion, monkeypatch):
    # Learned models are part of a snapshot; rows are compared as of one of them.
    monkeypatch.setattr(snapshot_build, "_outgrown", lambda *_: False)
    champion()
    update_profiles([
        NewProfile(f"u{number}", {"time_zone": zone}, {"liked_categories": ["neon"], "languages": ["en"]})
        for number, zone in enumerate(("Asia/Tokyo", "America/Sao_Paulo", "+05:30", "nowhere"))
    ])  # fmt: skip
    # As if all of it had been said a day ago.
    UserProfile.objects.update(created_at=NOW - timedelta(days=1), stated_before=[])
    live()
    served = list(queries.served_between(NOW, NOW + timedelta(days=9)))
    log, snapshot = interactions_between(None, NOW + timedelta(days=9)), store.snapshot()
    code = {user: number for number, user in enumerate(log.users.tolist())}
    blocks = assemble_many(
        log,
        snapshot,
        timeline(log, snapshot),
        user=np.array([code[row.user_id] for row in served], np.int32),
        rows=snapshot.rows([row.content_id for row in served]),
        moments=np.array([row.served_at.timestamp() for row in served]),
        surfaces=np.array([row.surface for row in served], object),
        profiles=profiles.read_many(log.users.tolist()),
        counted_until=np.array([row.counted_until.timestamp() for row in served]),
        folds=0,
    )
    again = np.concatenate([blocks.user, blocks.content, blocks.context], axis=1)
    logged = np.stack([np.frombuffer(row.features, "<f4") for row in served])
    assert len(served) >= 1000
    assert {row.feature_set for row in served} == {FEATURE_SET}
    assert len({row.counted_until for row in served}) >= 5, "the counters moved on between the pages"
    assert np.array_equal(again, logged)
