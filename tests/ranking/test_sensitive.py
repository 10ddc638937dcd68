"""What is labelled as sensitive is shown to whom it is welcome, and to nobody else."""

import pytest

from events.models import Content
from tests.ranking.doors import ids_of

FEED, MIA = "/api/v1/feed", "/api/v1/users/mia"
LABELLED = {f"ocean-{clip:02d}" for clip in range(6)}


@pytest.fixture
def labelled(snapshot):
    for row in Content.objects.filter(content_id__in=LABELLED):
        row.metadata["sensitive"] = True
        row.save()


def shown(server, **told):
    return set(ids_of(server.get(FEED, {"user_id": "mia", "limit": 50, **told})))


@pytest.mark.parametrize("surface", ["for_you", "latest", "trending", "category"])
def test_nobody_who_has_not_said_so_is_shown_it(labelled, server, surface):
    assert not shown(server, surface=surface, categories="ocean") & LABELLED
    server.patch(f"{MIA}/preferences", {"sensitive_content": False}, format="json")
    assert not shown(server, surface=surface, categories="ocean") & LABELLED


@pytest.mark.parametrize("surface", ["for_you", "latest", "category"])
def test_whoever_welcomes_it_is_shown_it_on_the_next_page(labelled, server, surface):
    server.patch(f"{MIA}/preferences", {"sensitive_content": True}, format="json")
    assert shown(server, surface=surface, categories="ocean") >= LABELLED


def test_a_page_that_is_read_again_lacks_what_was_labelled_or_is_not_welcome_any_more(snapshot, server):
    first = server.get(FEED, {"user_id": "mia", "limit": 10}).json()
    told = {"user_id": "mia", "limit": 10, "cursor": first["next_cursor"]}
    second = ids_of(server.get(FEED, told))
    Content.objects.filter(content_id=second[0]).update(metadata={"sensitive": "gore"})
    assert ids_of(server.get(FEED, told)) == second[1:], "a label that nobody understands hides"
    server.patch(f"{MIA}/preferences", {"sensitive_content": True}, format="json")
    assert ids_of(server.get(FEED, told)) == second


def test_the_doors_beside_the_feed_obey(labelled, server):
    similar = {"user_id": "mia", "count": 50, "category": "ocean"}
    assert not set(ids_of(server.get("/api/v1/contents/ocean-10/similar", similar))) & LABELLED
    assert not set(ids_of(server.get("/api/v1/trending", {"window": "7d", "count": 50}), "name")) & LABELLED
    server.patch(f"{MIA}/preferences", {"sensitive_content": True}, format="json")
    assert set(ids_of(server.get("/api/v1/contents/ocean-10/similar", similar))) & LABELLED


def test_contents_are_labelled_and_described_through_the_api(db, server):
    told = {"creator_id": "k", "title": "Low tide", "description": "Last light", "tags": ["sea"], "category": "ocean",
            "sensitive": True, "metadata": {"mood": "calm"}}  # fmt: skip
    assert server.put("/api/v1/contents/c1", told, format="json").json()["metadata"] == {
        "title": "Low tide", "caption": "Last light", "tags": ["sea"], "category": "ocean", "sensitive": True,
        "mood": "calm",
    }  # fmt: skip
    changed = server.patch("/api/v1/contents/c1", {"sensitive": False, "tags": []}, format="json").json()["metadata"]
    assert (changed["sensitive"], changed["tags"], changed["mood"]) == (False, [], "calm")
    batch = server.post("/api/v1/contents/batch", {"contents": [{"content_id": "c2", **told}]}, format="json").json()
    assert batch == {"created": 1, "replaced": 0, "rejected": []}
    refused = server.put("/api/v1/contents/c3", {"creator_id": "k", "tags": ["x" * 101]}, format="json")
    assert refused.status_code == 400
    assert "tags" in refused.json()["error"]["message"]
