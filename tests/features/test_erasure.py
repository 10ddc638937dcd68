import os
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from events.models import Content, Event
from features import erasure, hiding, snapshot_build, snapshot_files, store, window_rows
from features.embeddings.text import TextEncoder
from features.erasure import erase_content, erase_user
from features.extraction.definitions import DEFAULTS
from features.materialize import materialize, refresh_snapshot
from features.models import ContentFeatures, ContentWindow, Embedding
from tests.features.clips import CLIPS, NOW, days_of_events, raw, register, send

GONE = CLIPS[5]


@pytest.fixture
def filled(db, snapshots):
    """Three days of events, materialised."""
    register(CLIPS)
    send(days_of_events())
    materialize(until=NOW)
    return snapshots


def test_an_erased_content_leaves_no_row(filled):
    others = {hour.window: hour.by_content() for hour in window_rows.between(0, 10**6)}
    assert sum(erase_content(GONE).values()) > 10
    assert not ContentFeatures.objects.filter(content_id=GONE).exists()
    assert not Embedding.objects.filter(content_id=GONE).exists()
    assert not ContentWindow.objects.filter(contents__contains=[GONE]).exists()
    for hour in window_rows.between(0, 10**6):
        others[hour.window].pop(GONE, None)
        assert hour.by_content() == others[hour.window], "the counts of the others stay"


def test_it_is_hidden_at_once_and_absent_from_the_next_snapshot(filled):
    row = store.snapshot().row_of[GONE]
    erase_content(GONE)
    hidden = store.snapshot()
    assert not hidden.active[row]
    assert np.array_equal(hidden.features[row], DEFAULTS["content"])
    assert not hidden.embedding[row].any()
    assert hidden.active.sum() == len(CLIPS) - 1
    Event.objects.filter(content_id=GONE).delete()
    Content.objects.filter(content_id=GONE).delete()
    materialize(until=NOW)
    store.forget()
    assert GONE not in store.snapshot().row_of
    assert hiding.names(filled) == snapshot_files.answered(snapshot_files.current(filled))


def take_out(content_id):
    Event.objects.filter(content_id=content_id).delete()
    Content.objects.filter(content_id=content_id).delete()


def shown(content_id):
    """Whether what serves, and what a fresh process would serve, show a content."""
    found = []
    for again in (False, True):
        if again:
            store.forget()
        snapshot = store.snapshot()
        row = snapshot.row_of.get(content_id)
        found.append(row is not None and bool(snapshot.active[row]))
    assert found[0] == found[1]
    return found[0]


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(store, "RECHECK_S", 0.0)


@pytest.mark.parametrize("refresh", [materialize, refresh_snapshot])
def test_uploaded_again_it_is_hidden_until_the_next_snapshot(filled, at_once, refresh):
    take_out(GONE)
    erase_content(GONE)
    register([GONE])
    assert not shown(GONE), "the snapshot that serves knows the erased one"
    refresh(until=NOW)
    assert shown(GONE)
    erase_content(GONE)
    refresh(until=NOW)
    assert not shown(GONE), "erased once more, it is hidden once more"


def test_erased_before_the_catalogue_knows_it_stays_hidden_until_another_upload_takes_its_place(filled, at_once):
    erase_content(GONE)
    register([GONE], caption="sent by a nightly sync")
    materialize(until=NOW)
    assert not shown(GONE)
    Content.objects.filter(content_id=GONE).update(upload_timestamp=NOW, updated_at=timezone.now())
    materialize(until=NOW)
    assert shown(GONE)


def test_an_erased_content_that_is_taken_out_leaves_the_files_within_a_tick(filled, at_once):
    erase_content(GONE)
    assert not refresh_snapshot(until=NOW), "nothing has changed so far"
    take_out(GONE)
    assert refresh_snapshot(until=NOW)
    assert GONE not in store.snapshot().row_of
    assert not refresh_snapshot(until=NOW)
    register([GONE])
    assert refresh_snapshot(until=NOW)
    assert shown(GONE), "the same upload, since the catalogue was seen without it"
    materialize(until=NOW)
    assert shown(GONE)


def test_the_older_snapshot_still_hides_what_was_uploaded_again(filled, at_once):
    older = snapshot_files.current(filled)
    take_out(GONE)
    erase_content(GONE)
    register([GONE], caption="quite another clip")
    materialize(until=NOW)
    assert shown(GONE)
    (snapshot_files.current(filled) / "features.npy").write_bytes(b"")
    store.forget()
    assert store.snapshot().version == older.name
    assert not shown(GONE)


@pytest.mark.parametrize("at", ["_arrays", "_learned", "_index"])
def test_an_erasure_while_a_snapshot_is_made_is_hidden_in_it(filled, at_once, monkeypatch, at):
    real, erased = getattr(snapshot_build, at), []

    def meanwhile(*words, **more):
        if not erased:
            erased.append(GONE)
            take_out(GONE)
            store.hide(GONE)
        return real(*words, **more)

    monkeypatch.setattr(snapshot_build, at, meanwhile)
    register(["neon-99"])
    materialize(until=NOW)
    assert erased
    assert {"neon-99", GONE} < set(store.snapshot().row_of)
    assert not shown(GONE)
    materialize(until=NOW)
    assert GONE not in store.snapshot().row_of


def test_a_content_is_hidden_before_a_materialisation_lets_go_of_the_store(filled, at_once, monkeypatch):
    seen = []

    @contextmanager
    def waiting():
        seen.append(shown(GONE))
        yield

    monkeypatch.setattr(erasure, "single_flight", waiting)
    erase_content(GONE)
    assert seen == [False]


def holding(folder, word):
    """Files below a folder that hold a word."""
    return [path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


@pytest.mark.parametrize("refresh", [materialize, refresh_snapshot])
def test_words_that_only_an_erased_content_had_are_in_no_new_snapshot(db, snapshots, refresh):
    register(CLIPS)
    register(["secret-1"], caption="jane qqsurname of neon city")
    send(days_of_events())
    materialize(until=NOW)
    assert holding(snapshot_files.current(snapshots), "qqsurname")
    take_out("secret-1")
    erase_content("secret-1")
    refresh(until=NOW)
    assert not holding(snapshot_files.current(snapshots), "qqsurname")
    assert holding(snapshot_files.current(snapshots), "neon"), "what others say, too, is still known"


def test_an_erased_content_whose_words_others_have_costs_no_learning(filled, monkeypatch):
    before = snapshot_files.read_manifest(snapshot_files.current(filled)).encoder_version
    looked = []
    real = TextEncoder.has_outlived
    monkeypatch.setattr(TextEncoder, "has_outlived", lambda *args: (looked.append(real(*args)), looked[-1])[1])
    register(["neon-99"])
    materialize(until=NOW)
    assert looked == [], "nobody was erased"
    take_out("neon-99")
    erase_content("neon-99")
    materialize(until=NOW)
    assert looked == [False]
    assert snapshot_files.read_manifest(snapshot_files.current(filled)).encoder_version == before


def test_the_tick_of_a_quiet_system_removes_an_erased_content_from_all_files(filled, at_once):
    register(["secret-1"])
    materialize(until=NOW)
    take_out("secret-1")
    erase_content("secret-1")
    assert refresh_snapshot(until=NOW)
    assert holding(filled, "secret-1"), "older snapshots may have to serve once more"
    for path in (filled / hiding.FOLDER).iterdir():
        os.utime(path, (path.stat().st_mtime - 1.1 * hiding.KEPT_S,) * 2)
    assert not refresh_snapshot(until=NOW), "nothing is written"
    assert holding(filled, "secret-1") == []


def test_no_older_snapshot_outlives_an_erased_user_for_longer_than_an_hour(filled):
    older = snapshot_files.current(filled)
    mine = Event.objects.filter(user_id="u3").order_by("timestamp")
    first, last = mine.first().timestamp, mine.last().timestamp
    mine.delete()
    erase_user("u3", first=first, last=last)
    materialize(until=NOW)
    assert older in snapshot_files.newest_first(filled)
    for path in [*(filled / hiding.FOLDER).iterdir(), older / snapshot_files.MANIFEST]:
        os.utime(path, (path.stat().st_mtime - 1.1 * hiding.KEPT_S,) * 2)
    refresh_snapshot(until=NOW)
    assert snapshot_files.newest_first(filled) == [snapshot_files.current(filled)]
    assert list((filled / hiding.FOLDER).iterdir()) == []


def test_the_hours_of_an_erased_user_are_counted_without_them(filled):
    with_them = store.latest([CLIPS[0]]).state.copy()
    mine = Event.objects.filter(user_id="u3").order_by("timestamp")
    first, last = mine.first().timestamp, mine.last().timestamp
    mine.delete()
    # As many events of somebody else: the number of events alone would not tell.
    send([raw("impression", "other", CLIPS[0], NOW - timedelta(hours=1))])
    assert erase_user("u3", first=first, last=last)["window_fill"] > 20
    materialize(until=NOW)
    assert (store.latest([CLIPS[0]]).state != with_them).any()
