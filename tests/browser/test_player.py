"""The For You page as a person uses it, against the whole running system with its real clips."""

import re
import uuid
from collections import Counter
from urllib.parse import urlsplit

import pytest

from tests.browser.player_page import (
    DESKTOP,
    PHONE,
    current,
    swipe,
    user_of,
    wait_for_change,
    wait_for_log,
    wait_until_playing,
)

pytestmark = [pytest.mark.browser, pytest.mark.stack]

CLIPS = 10
LIKED, HIDDEN, SKIPPED = 2, 4, (5, 7)
WATCH_S, SKIP_S = 2.6, 0.5


def test_swiping_ten_clips_liking_one_and_hiding_one_fills_the_log_truthfully(open_player, stack):
    page = open_player()
    user_id, shown = user_of(page), []
    for place in range(CLIPS):
        wait_until_playing(page)
        shown.append(current(page))
        page.wait_for_timeout(1000 * (SKIP_S if place in SKIPPED else WATCH_S))
        if place == LIKED:
            page.keyboard.press("l")
        if place == HIDDEN:
            page.keyboard.press("h")
            wait_for_change(page, shown[HIDDEN])
        else:
            swipe(page)
    page.goto("about:blank")
    rows = wait_for_log(stack, user_id, lambda rows: sum(row["kind"] == "impression" for row in rows) > CLIPS)

    assert len(set(shown)) == CLIPS, "a clip came twice"
    by_kind = {kind: [row for row in rows if row["kind"] == kind] for kind in {row["kind"] for row in rows}}
    assert [row["content_id"] for row in by_kind["impression"]][:CLIPS] == shown
    assert [row["content_id"] for row in by_kind["like"]] == [shown[LIKED]]
    assert [row["content_id"] for row in by_kind["hide"]] == [shown[HIDDEN]]
    assert {row["content_id"] for row in by_kind["skip"]} >= {shown[place] for place in SKIPPED}
    assert all(row["request_id"] and row["position"] is not None for row in rows)
    watched = {row["content_id"]: row["seconds"] for row in by_kind["view"]}
    for place, content_id in enumerate(shown):
        if place not in SKIPPED:
            assert WATCH_S - 1 < watched[content_id] < WATCH_S + 3, f"clip {place}: {watched[content_id]} s"
    for row in by_kind["skip"]:
        assert row["seconds"] is None or row["seconds"] < 2

    for _ in range(5):
        later = [item["content_id"] for item in stack.feed(user_id, limit=50)["items"]]
        assert shown[HIDDEN] not in later


def test_the_next_page_is_asked_for_after_the_pending_events_were_sent(open_player):
    page = open_player()
    calls = []
    page.on("requestfinished", lambda request: calls.append((request.method, urlsplit(request.url).path)))
    for _ in range(5):
        page.wait_for_timeout(300)
        swipe(page)
    page.wait_for_timeout(1_000)
    paths = [path for _, path in calls if path.startswith("/api/v1/")]
    feed = paths.index("/api/v1/feed")
    assert "/api/v1/events" in paths[:feed]


def test_only_a_handful_of_video_elements_live_at_once(open_player):
    page = open_player()
    for _ in range(7):
        swipe(page)
        assert page.locator("video").count() <= 5


def test_every_reaction_reaches_the_log_with_what_it_needs(open_player, stack):
    page = open_player(viewport=DESKTOP, has_touch=False)
    user_id, clip = user_of(page), page.locator(".clip:not([inert])")
    content_id = current(page)
    for action in ("save", "save", "follow"):
        clip.locator(f"[data-action={action}]").click()
    clip.locator("[data-action=comment]").click()
    page.keyboard.type("what a sea")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    clip.locator("[data-action=share]").click()
    page.locator("[data-platform=copy_link]").click()
    clip.locator(".clip-surface").dblclick(position={"x": 150, "y": 300})
    clip.locator(".action[data-action=about]").click()
    page.locator("[data-choice=report]").click()
    page.locator("[data-reason=spam]").click()
    wait_for_change(page, content_id)
    rows = wait_for_log(stack, user_id, lambda rows: any(row["kind"] == "report" for row in rows))
    kinds = Counter(row["kind"] for row in rows)
    for kind in ("save", "unsave", "follow", "comment", "share", "like", "report"):
        assert kinds[kind] == 1, kind
    rows = {row["kind"]: row for row in rows}
    assert rows["follow"]["creator_id"]
    assert rows["comment"]["info"]["comment_text"] == "what a sea"
    assert rows["share"]["info"]["platform"] == "copy_link"
    assert rows["report"]["info"]["reason"] == "spam"


def test_keys_move_pause_and_mute(open_player):
    page = open_player(viewport=DESKTOP, has_touch=False)
    first = current(page)
    page.keyboard.press("j")
    wait_for_change(page, first)
    second = current(page)
    page.keyboard.press("ArrowUp")
    wait_for_change(page, second)
    assert current(page) == first
    wait_until_playing(page)
    page.keyboard.press(" ")
    assert page.evaluate("document.querySelector('.clip:not([inert]) video').paused")
    page.keyboard.press(" ")
    page.keyboard.press("m")
    assert page.evaluate("document.querySelector('.clip:not([inert]) video').muted") is False
    page.reload()
    page.locator(".clip:not([inert]) video").wait_for()
    assert page.locator("#sound").get_attribute("aria-pressed") == "true", "the choice of sound is remembered"


def test_one_notch_of_the_wheel_is_one_clip(open_player):
    page = open_player(viewport=DESKTOP, has_touch=False)
    first, third = current(page), page.locator(".clip").nth(2).get_attribute("data-content-id")
    page.mouse.move(700, 400)
    page.mouse.wheel(0, 120)
    wait_for_change(page, first)
    page.wait_for_timeout(700)
    assert current(page) != third
    page.mouse.wheel(0, 120)
    page.wait_for_timeout(700)
    assert current(page) == third


def test_a_lost_connection_is_said_and_the_feed_goes_on_when_it_is_back(browser, stack):
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    page.route("**/api/v1/**", lambda route: route.abort("internetdisconnected"))
    page.goto(stack.base_url)
    page.get_by_text("No connection").wait_for()
    page.unroute("**/api/v1/**")
    page.get_by_role("button", name="Try again").click()
    page.locator(".clip:not([inert])").wait_for()
    context.close()


def test_starting_over_is_a_new_person_and_a_persona_is_somebody_else(open_player):
    page = open_player()
    first = user_of(page)
    page.reload()
    assert user_of(page) == first
    page.locator(".person-button").click()
    page.get_by_role("button", name="Start over").click()
    page.wait_for_function("id => !document.getElementById('player-config').textContent.includes(id)", arg=first)
    second = user_of(page)
    assert re.fullmatch(r"guest-[0-9a-f]{12}", second)
    page.locator(".clip:not([inert])").wait_for()
    page.locator(".person-button").click()
    persona = page.locator(".person-list a").first
    persona_id = persona.locator(".mono").text_content()
    persona.click()
    page.wait_for_url(f"**/?user={persona_id}")
    assert user_of(page) == persona_id != second


def test_the_token_is_renewed_by_the_page_for_the_same_person_only_with_its_csrf_token(open_player, stack):
    user_id = f"somebody-{uuid.uuid4().hex[:8]}"
    page = open_player(f"/?user={user_id}")
    renew = """async (headers) => {
      const config = JSON.parse(document.getElementById("player-config").textContent);
      const own = headers ? { "X-CSRFToken": config.csrfToken } : {};
      const response = await fetch(config.tokenUrl, { method: "POST", headers: own });
      return [response.status, response.ok ? await response.json() : null];
    }"""
    status, credential = page.evaluate(renew, True)
    assert status == 200
    status, _ = stack.call("GET", f"/api/v1/feed?user_id={user_id}", key=credential["token"])
    assert status == 200
    status, answer = stack.call("GET", "/api/v1/feed?user_id=another", key=credential["token"])
    assert (status, answer["error"]["code"]) == (403, "forbidden_user")
    status, _ = page.evaluate(renew, False)
    assert status == 403
    # The refusal just provoked is the console's only complaint.
    assert len(open_player.complaints) == 1
    open_player.complaints.clear()


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_page_fits_and_obeys_its_content_security_policy(open_player, viewport, scheme):
    page = open_player(viewport=viewport, color_scheme=scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) == 0
    for box in (button.bounding_box() for button in page.locator(".clip:not([inert]) [data-action]").all()):
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= viewport["width"]
        assert box["y"] + box["height"] <= viewport["height"]
