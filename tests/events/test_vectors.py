"""Vectors that the host app gives its contents: what is taken, what is refused and why, and when they go."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import catalogue, vectors
from events.catalogue import NewContent
from events.models import Content, ContentVector
from tests.events.conftest import NOW

CONTENT, BATCH = "/api/v1/contents/c1", "/api/v1/contents/batch"
SPACE = "given-clip-4"


@pytest.fixture(autouse=True)
def four_dimensions(settings):
    settings.EMBEDDING_DIMENSIONS, settings.EMBEDDING_SPACE = 4, "clip"


@pytest.fixture
def content(db) -> None:
    catalogue.register_content(NewContent("c1", "k1", NOW, {"caption": "waves"}))


def send(client, method, path, body):
    return getattr(client, method)(path, body, format="json")


def vector_of(content_id="c1", space=SPACE):
    return vectors.read([content_id], space=space, dimensions=4)[0].tolist()


def test_a_vector_is_kept_at_unit_length_with_its_space(db, server):
    answer = send(server, "put", CONTENT, {"creator_id": "k1", "embedding": [3, 0, -4.0, 0]})
    assert answer.status_code == 201
    assert answer.json()["embedding_space"] == SPACE
    assert vector_of() == pytest.approx([0.6, 0.0, -0.8, 0.0])
    assert server.get(CONTENT).json()["embedding_space"] == SPACE


def test_putting_replaces_it_and_without_one_takes_it_away(db, server):
    send(server, "put", CONTENT, {"creator_id": "k1", "embedding": [1, 0, 0, 0]})
    send(server, "put", CONTENT, {"creator_id": "k1", "embedding": [0, 1, 0, 0]})
    assert vector_of() == [0.0, 1.0, 0.0, 0.0]
    assert send(server, "put", CONTENT, {"creator_id": "k1"}).json()["embedding_space"] is None
    assert not ContentVector.objects.exists()


def test_a_change_sets_it_leaves_it_and_takes_it_away(content, server):
    before = Content.objects.get()
    assert send(server, "patch", CONTENT, {"embedding": [0, 0, 2, 0]}).json()["embedding_space"] == SPACE
    after = Content.objects.get()
    # Whoever reads what changed in the catalogue must notice.
    assert after.updated_at > before.updated_at
    assert after.metadata == before.metadata
    send(server, "patch", CONTENT, {"language": "en"})
    assert vector_of() == [0.0, 0.0, 1.0, 0.0]
    assert send(server, "patch", CONTENT, {"embedding": None}).json()["embedding_space"] is None
    assert not ContentVector.objects.exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([1, 2, 3], "must hold 4 numbers; got 3"),
        ([], "must hold 4 numbers; got 0"),
        ([0, 0, 0.0, 0], "must not be zero"),
        ([1, 2, 3, "4"], "got '4' at 3"),
        ([1, True, 3, 4], "got 'True' at 1"),
        ([1, 2, [3], 4], "at 2"),
        ([1, 2, None, 4], "got 'None' at 2"),
        ([1e39, 2, 3, 4], "got '1e+39' at 0"),
        ([10**400, 2, 3, 4], "at 0"),
        ("1,2,3,4", "got str"),
        ({"0": 1}, "got dict"),
        (7, "got int"),
    ],
)
@pytest.mark.parametrize("method", ["put", "patch"])
def test_what_is_no_vector_is_refused_by_name_and_changes_nothing(content, server, method, given, said):
    body = {"embedding": given} if method == "patch" else {"creator_id": "k2", "embedding": given}
    answer = send(server, method, CONTENT, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_fields")
    assert said in json.dumps(error, ensure_ascii=False)
    assert "embedding" in json.dumps(error)
    assert Content.objects.get().creator_id == "k1"
    assert not ContentVector.objects.exists()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(content, server, number):
    body = f'{{"embedding": [1, 2, {number}, 4]}}'
    answer = server.patch(CONTENT, body, content_type="application/json")
    assert answer.status_code == 400
    assert not ContentVector.objects.exists()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_no_number_that_is_none_passes_the_check_itself(number):
    with pytest.raises(vectors.InvalidVector, match="at 1"):
        vectors.checked([1.0, number, 1.0, 1.0])


@given(st.lists(st.floats(-3e38, 3e38, width=64), min_size=4, max_size=4))
def test_whatever_is_taken_has_unit_length(numbers):
    if not any(numbers):
        with pytest.raises(vectors.InvalidVector, match="zero"):
            vectors.checked(numbers)
    else:
        vector = np.frombuffer(vectors.checked(numbers), "<f4")
        assert float(np.linalg.norm(vector.astype(float))) == pytest.approx(1.0, abs=1e-6)


def test_without_the_setting_a_vector_is_refused_and_a_null_is_nothing(content, server, settings):
    settings.EMBEDDING_DIMENSIONS = 0
    answer = send(server, "patch", CONTENT, {"embedding": [1, 0, 0, 0]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_fields")
    assert "EMBEDDING_DIMENSIONS is not set" in json.dumps(answer.json())
    assert send(server, "patch", CONTENT, {"embedding": None}).status_code == 200


def test_of_a_batch_the_good_vectors_are_kept_and_the_others_named(db, server):
    entries = [
        {"content_id": "a", "creator_id": "k", "embedding": [1, 0, 0, 0]},
        {"content_id": "b", "creator_id": "k", "embedding": [1, 0]},
        {"content_id": "c", "creator_id": "k"},
        {"content_id": "d", "creator_id": "k", "embedding": [9, 9, 9, 9]},
        {"content_id": "d", "creator_id": "k", "embedding": [0, 0, 0, 5]},
    ]
    answer = send(server, "post", BATCH, {"contents": entries}).json()
    assert [(each["index"], each["code"]) for each in answer["rejected"]] == [(1, "invalid_fields")]
    assert "must hold 4 numbers; got 2" in answer["rejected"][0]["detail"]
    assert set(ContentVector.objects.values_list("content_id", flat=True)) == {"a", "d"}
    assert vector_of("d") == [0.0, 0.0, 0.0, 1.0]


def test_the_same_vector_sent_again_is_no_change_and_another_space_is(db, server, settings):
    body = {"creator_id": "k1", "embedding": [1, 0, 0, 0]}
    send(server, "put", CONTENT, body)
    first = vectors.changes()
    send(server, "put", CONTENT, body)
    assert vectors.changes() == first != {}
    settings.EMBEDDING_SPACE = "clip2"
    assert vectors.changes() == {}
    send(server, "put", CONTENT, body)
    assert vectors.changes()["c1"] > first["c1"]
    assert vector_of(space=SPACE) == [0.0] * 4, "a content has one vector, of one space"


def test_it_goes_with_its_content(content, server):
    send(server, "patch", CONTENT, {"embedding": [1, 0, 0, 0]})
    Content.objects.all().delete()
    assert not ContentVector.objects.exists()
