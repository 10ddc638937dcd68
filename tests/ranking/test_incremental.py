"""The champion's successor goes on from it with what was served since, and nothing is lost where that breaks."""

from datetime import timedelta

import numpy as np
import pytest

from events.ingestion import ingest
from events.queries import interactions_between
from features import store
from features.materialize import materialize
from ranking import drift_watch, incremental, registry, training
from ranking.evaluation.cadence import FULL_AT_MOST_EVERY, FULL_EVERY, LEAST_NEW, cadence
from ranking.feed import FeedRequest, build_feed
from ranking.models import ModelDrift, ModelVersion
from ranking.ranker.bundle import BundleError
from ranking.ranker.warm_start import LEARNER_FILE, STATE_FILE
from ranking.training import train_and_promote
from tests.ranking.test_training import NOW, SOURCE, event, fill_world

# Each trains a network, and a machine with much else to do takes its time.
pytestmark = pytest.mark.timeout(1200)
LATER = NOW + timedelta(hours=2)
PAGES, PER_PAGE, USERS = 4, 10, 40


@pytest.fixture(autouse=True)
def places(settings, tmp_path):
    settings.MODEL_DIR, settings.SNAPSHOT_DIR = tmp_path / "models", tmp_path / "snapshots"
    settings.FEED_BUDGET_MS = 60_000
    for cache in (registry, store):
        cache.forget()
    yield
    for cache in (registry, store):
        cache.forget()


@pytest.fixture
def champion(db, kept_training):
    fill_world()
    materialize(until=NOW)
    store.forget()
    return kept_training.champion().version


def serve(pages=PAGES):
    """Pages to everybody, who watch one half of the clips and skip the other; returns what was seen."""
    events, seen = [], []
    for user in range(USERS):
        for number in range(pages):
            at = NOW + timedelta(minutes=10 + 20 * number, seconds=user)
            page = build_feed(FeedRequest(f"user-{user}", PER_PAGE), now=at)
            for item in page.items:
                at += timedelta(seconds=12)
                pleased = int(item.content_id.split("-")[1]) % 2 == user % 2
                told = {"user_id": f"user-{user}", "content_id": item.content_id, "request_id": str(page.request_id)}
                watched = 10.0 if pleased else 1.0
                events.append(event("impression", at, **told, position=item.position))
                events.append(event("view", at + timedelta(seconds=watched), watch_duration=watched, **told))
                seen.append((at, told))
    report = ingest(events, now=LATER, source="test", historical=True)
    assert report.accepted == len(events), report.rejected[:2]
    return seen


def test_successor_goes_on_from_the_champion_and_serves(champion):
    seen = serve()
    report = incremental.increment(now=LATER)
    assert report.training is not None, report.waits
    assert report.training.promoted, str(report.training)
    row = ModelVersion.objects.get(version=report.training.version)
    assert (row.parent, row.state, row.trained_until) == (champion, "champion", LATER)
    assert row.metrics["train_examples"] + row.metrics["test"]["examples"] <= len(seen)
    assert row.metrics["champion"]["version"] == champion
    assert row.metrics["test"]["auc"] > 0.75
    assert {LEARNER_FILE, STATE_FILE} <= row.artefacts.keys()
    # It is learned from once: nothing came since.
    assert incremental.increment(now=LATER).training is None


def test_it_waits_until_enough_was_served(champion):
    assert incremental.increment(now=LATER).new == 0
    serve(pages=1)
    report = incremental.increment(now=NOW + timedelta(minutes=20))
    assert report.training is None
    assert 0 < report.new < LEAST_NEW
    assert "exposures in" in report.waits
    assert ModelVersion.objects.count() == 1


def test_without_a_champion_there_is_nothing_to_go_on_from(db):
    assert "no champion" in incremental.increment(now=NOW).waits


def test_a_champion_that_cannot_be_gone_on_from_waits_for_a_full_training(db):
    fill_world()
    materialize(until=NOW)
    version = train_and_promote(SOURCE, until=NOW, now=NOW).version
    serve()
    report = incremental.increment(now=LATER)
    assert report.training is None
    assert f"{version} cannot be gone on from: there is no learner.keras" in report.waits


def test_damaged_files_are_never_gone_on_from(champion, settings):
    serve()
    path = settings.MODEL_DIR / champion / LEARNER_FILE
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    report = incremental.increment(now=LATER)
    assert "is damaged" in report.waits
    assert registry.champion_version() == champion


def test_what_breaks_on_the_way_leaves_no_half_model_and_is_made_up_for(champion, monkeypatch):
    serve()

    def broken(*_arguments, **_named):
        raise BundleError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(registry.model_files, "store", broken)
        assert "the disk is full" in incremental.increment(now=LATER).waits
    assert list(ModelVersion.objects.values_list("version", flat=True)) == [champion]
    assert incremental.increment(now=LATER).training.promoted


def test_a_like_that_comes_late_is_learned_from_the_next_time(champion):
    seen = serve()

    def likes():
        log = interactions_between(NOW - training.GOES_BACK, LATER + timedelta(days=1), refusals=True)
        examples, _, _ = training._examples(
            log, store.snapshot(), LATER + timedelta(days=1), incremental.INCREMENT, None, served_only=True
        )
        return int(np.nansum(examples.labels.of("like") == 1)), len(examples)

    before, examples = likes()
    at, told = seen[3]
    ingest([event("like", at + timedelta(minutes=5), **told)], now=LATER, source="test", historical=True)
    assert likes() == (before + 1, examples)


def test_drift_is_measured_from_what_was_served_and_raises_the_cadence(champion):
    assert drift_watch.measure(now=LATER) is None, "too few pages to say"
    serve()
    drift = drift_watch.measure(now=LATER)
    assert (drift.version, drift.positions) == (champion, USERS * PAGES * PER_PAGE)
    assert len(drift.worst) == drift_watch.WORST_SHOWN
    assert drift_watch.newest(champion) == drift
    assert drift_watch.pace(champion) == cadence(drift.score_psi, drift.moved_share)
    drift.pk, drift.score_psi, drift.measured_at = None, 0.9, LATER + timedelta(minutes=1)
    drift.save()
    assert drift_watch.pace(champion).full_after == FULL_AT_MOST_EVERY


def test_drift_makes_a_full_training_due_sooner(champion):
    def due(after):
        return incremental.full_training_is_due(now=NOW + after)

    hour = timedelta(hours=1)
    assert not due(FULL_EVERY - hour)
    assert due(FULL_EVERY)
    ModelDrift.objects.create(
        version=champion, measured_at=LATER, positions=900, score_psi=0.5, moved_share=0.0, worst=[]
    )
    assert not due(FULL_AT_MOST_EVERY - hour)
    assert due(FULL_AT_MOST_EVERY)
