"""Sentences quote only what the user may see now, and claim only what happened."""

import pytest

from events import preferences
from events.catalogue import set_moderation_state
from events.errors import InvalidRequest
from events.queries import content
from tests.ranking.feeds import Viewer, page

SEEDED = "It is like the clip you started from."
PERSONAL = {"People who enjoyed what you enjoyed went on to this.", "It is like clips you enjoyed."}


def sentences(viewer: Viewer, **asked) -> list[str]:
    feed = page(viewer, limit=30, explain=True, **asked)
    return [item.explanation.sentence for item in feed.items if item.explanation is not None]


def quoted(found: list[str], clip: str) -> bool:
    known = content(clip)
    assert known is not None
    return any(f"“{known['metadata']['caption']}”" in sentence for sentence in found)


@pytest.fixture
def fan(snapshot) -> Viewer:
    viewer = Viewer("fan")
    viewer.do("like", "ocean-03")
    assert quoted(sentences(viewer), "ocean-03")
    return viewer


def test_a_removed_content_is_not_quoted(fan):
    set_moderation_state("ocean-03", status="removed")
    assert not quoted(sentences(fan), "ocean-03")


def test_a_content_of_a_blocked_creator_is_not_quoted(fan):
    known = content("ocean-03")
    assert known is not None
    preferences.set_shunned("fan", known["creator_id"], "blocks", present=True)
    assert not quoted(sentences(fan), "ocean-03")


def test_a_like_without_a_view_is_not_called_watching(fan):
    assert all(each.startswith("Because you watched or liked “") for each in sentences(fan) if "“" in each)


@pytest.mark.parametrize("profiling", [True, False])
def test_a_seed_is_called_what_it_is(snapshot, profiling):
    viewer = Viewer("seeded")
    if not profiling:
        for clip in range(4):
            viewer.watch(f"neon-{clip:02d}")
    found = sentences(viewer, seed_content_id="ocean-03", profiling=profiling)
    assert SEEDED in found
    assert not [each for each in found if "watched" in each or each in PERSONAL]


def test_a_page_that_is_read_again_says_nothing_of_a_past_that_may_not_be_used(fan):
    first = page(fan, limit=10, explain=True)
    again = {"cursor": first.next_cursor, "explain": True}
    page(fan, **again)
    preferences.change_preferences("fan", {"profiling": False})
    feed = page(fan, **again)
    assert feed.replayed
    assert not PERSONAL & {item.explanation.sentence for item in feed.items if item.explanation is not None}


@pytest.mark.parametrize("world", ["snapshot", "catalogue"])
def test_a_seed_that_is_not_shown_is_unknown(request, viewer, world):
    request.getfixturevalue(world)
    set_moderation_state("ocean-03", status="removed")
    with pytest.raises(InvalidRequest, match="ocean-03") as refused:
        page(viewer, seed_content_id="ocean-03")
    assert refused.value.code == "unknown_content"
