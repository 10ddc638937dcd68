from datetime import timedelta

from events import queries
from features import store, tasks
from features.models import ContentAnalysis, ContentWindow
from tests.features.clips import CLIPS, NOW, days_of_events, raw, register, send


def test_the_tick_takes_in_the_log_and_serves_it(db, snapshots):
    register(CLIPS)
    send(days_of_events(events=40))
    tasks.materialize_features(until=NOW.isoformat())
    assert ContentWindow.objects.exists()
    assert len(store.snapshot()) == len(CLIPS)


def test_the_fast_tick_makes_an_upload_retrievable(transactional_db, snapshots):
    register(CLIPS)
    tasks.refresh_snapshot()
    store.forget()
    register(["neon-99"])
    tasks.refresh_snapshot()
    assert "neon-99" in store.snapshot().row_of


def test_the_tick_of_content_understanding_needs_no_message_but_its_own(db, snapshots):
    register(CLIPS)
    tasks.analyse_contents()
    assert set(ContentAnalysis.objects.values_list("state", flat=True)) == {"done"}
    assert ContentAnalysis.objects.count() == len(CLIPS)


def test_the_names_in_the_schedule_are_those_of_the_tasks():
    assert tasks.materialize_features.name == "features.tasks.materialize_features"
    assert tasks.refresh_snapshot.name == "features.tasks.refresh_snapshot"
    assert tasks.analyse_contents.name == "features.tasks.analyse_contents"
    assert tasks.apply_feedback.name == "features.tasks.apply_feedback"


def test_the_task_applies_feedback_to_profiles(db):
    register(CLIPS)
    send([raw("like", "ann", CLIPS[0], NOW)])
    tasks.apply_feedback(until=(NOW + timedelta(minutes=1)).isoformat())
    assert queries.profile("ann")["preferences"]["learned"]["categories"] == {"ocean": 0.25}
