"""The feed follows the person: it turns to what they like, keeps away what they hide, and says why a clip is there."""

import pytest

from tests.browser.player_page import (
    DESKTOP,
    current,
    press,
    user_of,
    wait_for_change,
    wait_for_log,
    wait_until_playing,
)
from tests.browser.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.stack]

PAGE = 6
MANY_CLIPS = 30
ALL_SENT = "() => !Object.keys(localStorage).some((key) => key.startsWith('recsys.queue.'))"
CREATORS = "() => [...document.querySelectorAll('.clip-creator')].map((each) => each.textContent.slice(1))"


def hold(page):
    """A finger that stays on the clip until the sheet opens."""
    session = page.context.new_cdp_session(page)
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": 180, "y": 400}]})
    page.locator("#about-sheet[open]").wait_for()
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


def creator_of(page):
    return page.locator(".clip:not([inert]) .clip-creator").text_content().removeprefix("@")


def families(feed):
    return [item["content"]["category"] for item in feed["items"]]


def item_on_stage(page):
    """The served item that is shown."""
    content_id = current(page)
    return next(item for feed in page.feeds for item in feed["items"] if item["content_id"] == content_id)


def test_the_feed_turns_within_one_page_to_the_family_that_is_liked(open_player):
    page = open_player(viewport=DESKTOP, has_touch=False)
    before = families(page.feeds[0])
    # The next page is asked for while the fourth clip is on stage: three are what it can know of. Of their families the
    # rarest has most to gain.
    family = min(before[:3], key=before.count)
    for _ in range(3):
        wait_until_playing(page)
        if item_on_stage(page)["content"]["category"] == family:
            page.keyboard.press("l")
            page.wait_for_timeout(2_500)
        press(page, "ArrowDown")
    # The browser's news arrive only while it is asked something.
    until(lambda: page.wait_for_timeout(20) or len(page.feeds) > 1)
    after = families(page.feeds[1])
    assert len(before) == len(after) == PAGE
    assert after.count(family) > before.count(family)
    assert after.count(family) >= PAGE / 2


def test_a_hidden_creator_can_be_brought_back_and_else_never_comes_again(open_player, stack):
    page = open_player()
    wait_until_playing(page)
    hidden, content_id = creator_of(page), current(page)
    hold(page)
    page.get_by_role("button", name=f"Hide @{hidden}").click()
    wait_for_change(page, content_id)
    page.get_by_role("button", name="Undo").click()
    until(lambda: current(page) == content_id)
    assert creator_of(page) == hidden

    page.locator(".clip:not([inert]) .action[data-action=about]").click()
    page.get_by_role("button", name=f"Hide @{hidden}").click()
    wait_for_change(page, content_id)
    page.wait_for_function(ALL_SENT)
    served = len(page.feeds)
    for _ in range(MANY_CLIPS):
        assert hidden not in page.evaluate(CREATORS)
        press(page, "ArrowDown")
    later = [item["content"]["creator_id"] for feed in page.feeds[served:] for item in feed["items"]]
    assert len(later) >= MANY_CLIPS - 2 * PAGE
    assert hidden not in later
    for surface in ("for_you", "latest", "trending"):
        _, feed = stack.call("GET", f"/api/v1/feed?user_id={user_of(page)}&limit=50&surface={surface}")
        assert hidden not in {item["content"]["creator_id"] for item in feed["items"]}


def test_hiding_a_clip_can_be_taken_back_by_a_key(open_player, stack):
    page = open_player(viewport=DESKTOP, has_touch=False)
    wait_until_playing(page)
    content_id = current(page)
    press(page, "h")
    page.get_by_role("button", name="Undo").wait_for()
    page.keyboard.press("z")
    until(lambda: current(page) == content_id)
    wait_until_playing(page)
    rows = wait_for_log(stack, user_of(page), lambda rows: any(row["kind"] == "unhide" for row in rows))
    assert [row["kind"] for row in rows if row["kind"] in {"hide", "unhide"}] == ["hide", "unhide"]
    assert {row["content_id"] for row in rows if row["kind"] in {"hide", "unhide"}} == {content_id}
    page.get_by_role("button", name="Undo").wait_for(state="hidden")


def test_the_page_says_why_a_clip_is_there(open_player):
    page = open_player()
    item = item_on_stage(page)
    page.locator(".clip:not([inert]) .clip-why").click()
    sheet = page.locator("#about-sheet")
    assert sheet.locator("#why-sentence").text_content() == item["explanation"]["sentence"]
    assert sheet.get_by_text("Found by").is_visible()
    page.keyboard.press("Escape")
    sheet.wait_for(state="hidden")


def test_a_clip_without_media_is_seen_but_neither_watched_nor_skipped(open_player, stack):
    page = open_player(viewport=DESKTOP, has_touch=False)
    press(page, "ArrowDown")

    def without_media(route):
        answer = route.fetch()
        feed = answer.json()
        for item in feed["items"]:
            item["content"]["media_url"] = ""
        route.fulfill(response=answer, json=feed)

    page.route("**/api/v1/feed*", without_media)
    page.reload()
    page.get_by_text("There is nothing to play here.").first.wait_for()
    bare = [current(page)]
    page.wait_for_timeout(1_500)
    press(page, "ArrowDown")
    bare.append(current(page))
    press(page, "ArrowDown")
    rows = wait_for_log(
        stack, user_of(page), lambda rows: {row["content_id"] for row in rows if row["kind"] == "impression"} >= {*bare}
    )
    assert {row["kind"] for row in rows if row["content_id"] in bare} == {"impression"}
