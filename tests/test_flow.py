"""The flow chart, once, in one process and on a small demo world: events, features, train, promote, feed, KPI."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from dashboards import rollups, series
from dashboards.kpis import BY_KEY
from dashboards.stats.periods import Grain
from events.catalogue import NewContent, register_contents
from events.cleaning.schema import EVENT_TYPES
from events.ingestion import ingest
from events.queries import interactions_between
from features import store
from features.extraction.definitions import FEATURE_SET
from features.materialize import materialize
from ranking import registry
from ranking.feed import FeedRequest, build_feed
from ranking.queries import served_between
from ranking.ranker.network import NetworkConfig
from ranking.ranker.trees import TreesConfig
from ranking.training import TrainConfig, train_and_promote
from recsys.demo.captions import describe
from recsys.demo.scenario import Scenario
from recsys.demo.world import raw_events

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WORLD = Scenario(seed=3, users=150, days=8, variants=6)
QUICK = TrainConfig(network=NetworkConfig(hidden=(32, 16), epochs=4, batch_size=256), trees=TreesConfig(most_trees=10))

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def places(settings, tmp_path):
    settings.MODEL_DIR, settings.SNAPSHOT_DIR = tmp_path / "models", tmp_path / "snapshots"
    for cache in (registry, store):
        cache.forget()
    yield
    for cache in (registry, store):
        cache.forget()


def write_world():
    """The catalogue and every event of a small world; returns how many events."""
    register_contents(
        NewContent(
            clip.content_id, clip.creator_id, datetime.fromtimestamp(clip.uploaded_s, UTC), duration_s=clip.duration_s,
            metadata={"caption": describe(spec.family, spec.variant).caption, "category": spec.family},
        )
        for spec, clip in zip(WORLD.specs(), WORLD.clips(until=NOW), strict=True)
    )  # fmt: skip
    written = 0
    for batch in raw_events(WORLD.play(until=NOW), namespace=WORLD.namespace):
        report = ingest(batch, now=NOW, source="test", historical=True)
        assert report.rejected == ()
        written += report.accepted
    return written


def favourite_family(user_id):
    """The family this user watched longest, by the log itself."""
    log = interactions_between(None, NOW, types=["view"])
    mine = log.user == log.users.tolist().index(user_id)
    seconds = Counter()
    for code, watched in zip(log.content[mine], log.watch_s[mine], strict=True):
        seconds[log.contents[code].split("-")[1]] += float(watched)
    return seconds.most_common(1)[0][0]


def test_events_become_features_a_model_a_feed_and_kpis():
    written = write_world()
    assert written > 5_000

    features = materialize(until=NOW)
    snapshot = store.snapshot()
    assert features.events == written
    assert len(snapshot) == len(WORLD.specs())

    trained = train_and_promote(QUICK, until=NOW, now=NOW)
    assert trained.promoted, str(trained)
    assert trained.metrics["test"]["auc"] > 0.6
    assert registry.champion().feature_set == FEATURE_SET

    log = interactions_between(None, NOW, types=["impression"])
    user_id = log.users[log.user[-1]]
    page = build_feed(FeedRequest(user_id, limit=8), now=NOW)
    assert page.fallback_level == "ranked"
    assert page.model_version == trained.version
    assert len({item.content_id for item in page.items}) == 8
    served = served_between(NOW - timedelta(seconds=1), NOW + timedelta(seconds=1))
    assert [row.content_id for row in served] == [item.content_id for item in page.items]

    rollups.measure_kpis(until=NOW)
    daily = series.series(BY_KEY["dau"], NOW.date() - timedelta(days=7), NOW.date(), Grain.DAY, now=NOW)
    points = {point.period.first: point.value for point in daily.total.points}
    active = interactions_between(
        datetime(2026, 11, 19, tzinfo=UTC),
        datetime(2026, 11, 20, tzinfo=UTC),
        types=set(EVENT_TYPES) - {"impression", "content_upload"},
    )
    assert points[NOW.date() - timedelta(days=1)] == len(set(active.user.tolist()))


def test_the_feed_favours_what_a_user_watched():
    write_world()
    materialize(until=NOW)
    train_and_promote(QUICK, until=NOW, now=NOW)
    log = interactions_between(None, NOW, types=["view"])
    # Known well enough to have a favourite, and not yet through the family's six clips.
    watchers = [log.users[code] for code, views in Counter(log.user.tolist()).items() if 4 <= views <= 8][:20]
    hits = total = 0
    for user_id in watchers:
        page = build_feed(FeedRequest(user_id, limit=6), now=NOW)
        family = favourite_family(user_id)
        hits += sum(item.content.category == family for item in page.items)
        total += len(page.items)
    assert hits / total > 0.35, f"{hits} of {total} are of the user's favourite among four families"
