"""Walks that end, or must not: after a merge, under a cap per creator."""

from datetime import timedelta

import pytest

from events.catalogue import NewContent, change_content, register_contents
from features import store
from features.materialize import materialize
from tests.ranking import feeds
from tests.ranking.doors import CLIPS, DEVICE, fans
from tests.ranking.feeds import CLIP_S, NOW, Viewer

URL, NEXT, MERGE = "/api/v1/feed", "/api/v1/feed/next", "/api/v1/users/merge"
PHONE = DEVICE.removeprefix("anon:")


def ids(page) -> list[str]:
    return [item["content_id"] for item in page["items"]]


def walk(server, **told) -> list[dict]:
    pages = [server.get(URL, told).json()]
    while (cursor := pages[-1]["next_cursor"]) and len(pages) < 40:
        pages.append(server.get(URL, {**told, "cursor": cursor}).json())
    return pages


@pytest.mark.parametrize("door", [URL, NEXT])
@pytest.mark.parametrize("page", [0, 1])
def test_cursors_of_a_device_expire_when_its_walk_became_the_users(snapshot, server, page, door):
    first = server.get(URL, {"anonymous_id": PHONE}).json()
    second = server.get(URL, {"anonymous_id": PHONE, "cursor": first["next_cursor"]}).json()
    assert server.post(MERGE, {"anonymous_id": PHONE, "user_id": "mia"}, format="json").status_code == 200
    anew = server.get(URL, {"user_id": "mia", "limit": 20}).json()
    assert not set(ids(anew)) & set(ids(first) + ids(second))
    cursor = (first, second)[page]["next_cursor"]
    answer = server.get(door, {"anonymous_id": PHONE, "cursor": cursor})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "cursor_expired")


@pytest.mark.parametrize("most", [1, 2])
def test_a_cap_per_creator_shortens_pages_and_not_the_walk(snapshot, server, most):
    pages = walk(server, user_id="mia", limit=50, max_per_creator=most)
    for page in pages:
        creators = [item["content"]["creator_id"] for item in page["items"]]
        assert max(creators.count(each) for each in creators) <= most
    shown = [each for page in pages for each in ids(page)]
    assert len(shown) == len(set(shown)) == 64
    assert len(pages[0]["items"]) < 50


def test_a_short_page_that_is_read_again_leads_on_as_before(snapshot, server):
    told = {"user_id": "mia", "limit": 50, "max_per_creator": 1}
    first = server.get(URL, told).json()
    second, again = (server.get(URL, {**told, "cursor": first["next_cursor"]}).json() for _ in range(2))
    assert ids(again) == ids(second)
    assert again["next_cursor"] == second["next_cursor"] is not None


def test_ones_own_uploads_are_not_proposed_to_oneself(snapshot, server):
    own = "ocean-maker-1"
    for_you = [item for page in walk(server, user_id=own, limit=20) for item in page["items"]]
    assert own not in {item["content"]["creator_id"] for item in for_you}
    assert len(for_you) > 50
    profile = server.get(URL, {"user_id": own, "surface": "creator", "creator_id": own}).json()
    assert {item["content"]["creator_id"] for item in profile["items"]} == {own}


def shown_by(limit: int, *, items: int) -> list:
    """What somebody who likes the ocean is shown by a walk in pages of `limit`; nothing is tried out on them."""
    viewer, cursor, shown = Viewer(f"walker-{limit}"), None, []
    fans(viewer)
    while len(shown) < items:
        feed = feeds.page(viewer, limit=limit, cursor=cursor, exploration=0.0)
        cursor = feed.next_cursor
        shown += feed.items
    return shown


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_the_cap_on_creators_holds_across_the_pages_of_a_walk(snapshot, limit):
    creators = [item.content.creator_id for item in shown_by(limit, items=30)]
    for start in range(len(creators) - 9):
        window = creators[start : start + 10]
        assert max(map(window.count, window)) <= 2, (start, window)


@pytest.mark.parametrize("limit", [2, 5, 20])
def test_no_sound_comes_again_within_six_positions_of_a_walk(snapshot, limit):
    for clip in CLIPS:
        change_content(clip, {"metadata": {"sound_id": f"song-{clip[-2:]}"}})
    materialize(until=NOW)
    store.forget()
    songs = [item.content_id[-2:] for item in shown_by(limit, items=30)]
    for start in range(len(songs) - 5):
        assert len(set(songs[start : start + 6])) == 6, (start, songs)


def test_a_page_read_again_leads_to_a_cursor_that_remembers_the_same_positions(snapshot, server):
    first = server.get(URL, {"user_id": "mia", "limit": 3}).json()
    once, again = (server.get(URL, {"user_id": "mia", "limit": 3, "cursor": first["next_cursor"]}).json()
                   for _ in range(2))  # fmt: skip
    assert once["next_cursor"] == again["next_cursor"]


def tried_share(limit: int, *, users: int = 12, items: int = 40) -> dict[str, float]:
    """How much of what users meet on walks was guaranteed, explored and new."""
    reasons, new = [], 0
    for number in range(users):
        viewer, cursor, shown = Viewer(f"walker-{limit}-{number}"), None, []
        while len(shown) < items:
            feed = feeds.page(viewer, limit=limit, cursor=cursor, explain=True)
            cursor = feed.next_cursor
            shown += feed.items
        reasons += [move.reason for item in shown for move in item.explanation.moves]
        new += sum(item.content_id.startswith("new-") for item in shown)
    share = {name: reasons.count(name) / (users * items) for name in ("guaranteed_exposure", "exploration")}
    return share | {"new": new / (users * items)}


def test_a_walk_of_single_items_tries_out_as_much_as_one_of_long_pages(champion):
    champion()
    register_contents(
        NewContent(f"new-{number}", f"novice-{number}", NOW - timedelta(hours=1), {}, duration_s=CLIP_S)
        for number in range(20)
    )
    materialize(until=NOW)
    store.forget()
    single, long = tried_share(1), tried_share(20)
    for name, share in long.items():
        # Of 480 positions 24 each are given away: the half is four standard deviations off.
        assert share >= 0.03
        assert 0.5 * share <= single[name] <= 2.0 * share, (name, single, long)
