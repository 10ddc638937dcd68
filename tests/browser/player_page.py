"""The player as a person handles it, and the log of what came of it; shared by the tests of the player."""

import json
import time
from contextlib import suppress

import psycopg2
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from recsys.embedded import addresses

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1440, "height": 900}
# Arrow functions throughout: a bare expression would need eval, which the page's policy forbids.
AT_REST = """() => {
  const clip = document.querySelector(".clip:not([inert])");
  return clip && Math.abs(clip.getBoundingClientRect().top - feed.getBoundingClientRect().top) < 1;
}"""
FLICKS_MORE = 3
IS_PLAYING = "() => document.querySelector('.clip:not([inert]) video')?.currentTime > 0"


def user_of(page):
    return json.loads(page.locator("#player-config").text_content())["userId"]


def current(page):
    return page.locator(".clip:not([inert])").get_attribute("data-content-id")


def wait_for_change(page, before, *, within_ms=30_000):
    changed = "id => document.querySelector('.clip:not([inert])')?.dataset.contentId !== id"
    page.wait_for_function(changed, arg=before, timeout=within_ms)
    page.wait_for_function(AT_REST)


def begin_swipe(page):
    """A finger that has pushed the clip halfway up and still touches; returns what lifts it."""
    session = page.context.new_cdp_session(page)
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": 180, "y": 600}]})
    for y in range(555, 149, -45):
        session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": 180, "y": y}]})

    def lift():
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        session.detach()

    return lift


def swipe(page):
    """One flick of a finger upwards, as the browser's input pipeline sees it.

    A flick that a busy machine stretches to half a second is a long press: like a person, close the sheet, flick again.
    """
    before = current(page)
    begin_swipe(page)()
    for _ in range(FLICKS_MORE):
        with suppress(PlaywrightTimeout):
            wait_for_change(page, before, within_ms=5_000)
            return
        page.keyboard.press("Escape")
        if current(page) == before:
            begin_swipe(page)()
    wait_for_change(page, before)


def press(page, key):
    """A key that moves on; returns once the next clip is at rest."""
    before = current(page)
    page.keyboard.press(key)
    wait_for_change(page, before)


def wait_until_playing(page):
    page.wait_for_function(IS_PLAYING)


def logged(stack, user_id):
    """The user's rows in the event log, in order of time."""
    connection = psycopg2.connect(addresses.load(stack.log.parent).database_url)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT event_id::text, event_type, content_id, creator_id, timestamp,"
            " (additional_info ->> 'watch_duration')::float, request_id, position, additional_info"
            " FROM event WHERE user_id = %s ORDER BY timestamp, received_at",
            (user_id,),
        )
        rows = cursor.fetchall()
    connection.close()
    names = ("event_id", "kind", "content_id", "creator_id", "at", "seconds", "request_id", "position", "info")
    return [dict(zip(names, row, strict=True)) for row in rows]


def wait_for_log(stack, user_id, condition, *, within_s=20.0):
    deadline = time.monotonic() + within_s
    while not condition(rows := logged(stack, user_id)):
        assert time.monotonic() < deadline, rows
        time.sleep(0.2)
    return rows
