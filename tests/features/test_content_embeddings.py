"""The vector of a content is the one its host app gave, where it gave one in the space that is configured."""

import numpy as np
import pytest

from events import vectors
from events.catalogue import change_content
from features import arrivals, store
from features.materialize import materialize
from features.models import Embedding
from tests.features.clips import CLIPS, NOW, days_of_events, register, send

GIVEN = CLIPS[:6]
LAST = CLIPS[-1]


@pytest.fixture
def spaced(db, snapshots, settings, monkeypatch):
    """A catalogue of which six contents have vectors: two bundles of three, across its families."""
    settings.EMBEDDING_DIMENSIONS, settings.EMBEDDING_SPACE = 4, "clip"
    monkeypatch.setattr(store, "RECHECK_S", 0.0)
    register(CLIPS)
    send(days_of_events())
    for number, content_id in enumerate(GIVEN):
        give(content_id, [1.0, 0.1 * number, 0, 0] if number % 2 else [0, 0, 1.0, 0.1 * number])
    return snapshot()


def give(content_id, numbers):
    change_content(content_id, {"embedding": None if numbers is None else vectors.checked(numbers)})


def snapshot():
    materialize(until=NOW)
    return store.snapshot()


def cosines(known, ids, others):
    return known.embedding[known.rows(ids)] @ known.embedding[known.rows(others)].T


def test_given_vectors_are_neighbours_by_what_was_given(spaced):
    odd, even = GIVEN[1::2], GIVEN[::2]
    assert cosines(spaced, odd, odd).min() > 0.9
    assert cosines(spaced, even, even).min() > 0.9
    assert cosines(spaced, odd, even).max() < 0.5
    found = spaced.index.search(spaced.embedding[spaced.row_of[odd[0]]], 3)[0]
    assert set(spaced.content_id[found]) == set(odd)


def test_contents_without_one_keep_their_own_and_compare_with_none_of_the_given(spaced):
    others = [each for each in CLIPS if each not in GIVEN]
    assert not cosines(spaced, GIVEN, others).any()
    mine = cosines(spaced, others, others)
    assert np.allclose(np.diag(mine), 1.0, atol=1e-5)
    assert (mine > 0.3).sum() > len(others)


def test_a_changed_vector_is_encoded_anew_and_nothing_else_is(spaced):
    give(LAST, [1.0, 0.3, 0, 0])
    report = materialize(until=NOW)
    assert (report.encoded, "encoder" in report.fitted) == (1, False)
    now = store.snapshot()
    assert cosines(now, [LAST], GIVEN[1::2]).min() > 0.9
    assert materialize(until=NOW).encoded == 0
    give(LAST, None)
    assert materialize(until=NOW).encoded == 1
    again = store.snapshot()
    assert np.array_equal(again.embedding[again.row_of[LAST]], spaced.embedding[spaced.row_of[LAST]])


def test_vectors_of_another_space_are_none(spaced, settings):
    settings.EMBEDDING_SPACE = "clip2"
    other = snapshot()
    assert other.encoder_version != spaced.encoder_version
    # As if nobody had given any, until they are sent again.
    assert (np.abs(other.embedding[:, -4:]).max(), np.abs(spaced.embedding[:, -4:]).max() > 0) == (0.0, True)
    give(GIVEN[0], [0, 1, 0, 0])
    mixed = snapshot()
    assert mixed.embedding[mixed.row_of[GIVEN[0]], -4:].any()
    assert not mixed.embedding[mixed.rows(GIVEN[1:]), -4:].any()
    assert set(Embedding.objects.filter(encoder__startswith="content-").values_list("encoder", flat=True)) == {
        mixed.encoder_version
    }


def test_another_length_is_another_space(spaced, settings):
    settings.EMBEDDING_DIMENSIONS = 7
    other = snapshot()
    assert other.embedding.shape[1] == spaced.embedding.shape[1] + 3
    assert not other.embedding[:, -7:].any()


def test_switched_off_all_contents_have_their_own(spaced, settings):
    settings.EMBEDDING_DIMENSIONS = 0
    plain = snapshot()
    assert plain.embedding.shape[1] == spaced.embedding.shape[1] - 4
    assert plain.embedding.any(axis=1).all()


def test_an_upload_with_a_vector_is_found_by_it_before_the_next_snapshot(spaced, monkeypatch):
    monkeypatch.setattr(arrivals, "ERASED_S", 0.0)
    arrivals.forget()
    arrivals.refresh()
    register(["neon-99"])
    give("neon-99", [1.0, 0.2, 0, 0])
    grown = arrivals.refresh().snapshot
    found = grown.index.search(grown.embedding[grown.row_of[GIVEN[1]]], 4, grown.active)[0]
    assert "neon-99" in set(grown.content_id[found])
    arrivals.forget()
