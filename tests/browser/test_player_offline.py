"""What a person did survives a lost network, a closed tab, a wrong clock and a browser that stores nothing.

Every id the client ever made is compared with the event log of the running system: none is missing, none came twice.
"""

import time
from datetime import UTC, datetime

import pytest

from tests.browser.player_page import (
    PHONE,
    begin_swipe,
    current,
    logged,
    swipe,
    user_of,
    wait_for_log,
    wait_until_playing,
)
from tests.browser.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.stack]

OUTAGE_S = 10.0
# Keeps the id of every event beside the client's queue, so that it outlives the tab as the queue does.
KEEP_MADE_IDS = """
const set = Storage.prototype.setItem;
Storage.prototype.setItem = function (key, text) {
  set.call(this, key, text);
  if (!key.startsWith("recsys.queue.")) return;
  const made = new Set(JSON.parse(this.getItem("made") ?? "[]"));
  for (const letter of JSON.parse(text).letters) if (letter.event_id) made.add(letter.event_id);
  set.call(this, "made", JSON.stringify([...made]));
};"""
MADE = "() => JSON.parse(localStorage.getItem('made') ?? '[]')"
ALL_SENT = "() => !Object.keys(localStorage).some((key) => key.startsWith('recsys.queue.'))"
ON_STAGE = "() => document.querySelector('.clip:not([inert])') !== null"
FAILED = "() => document.querySelector('.clip:not([inert]) .clip-failed')?.hidden === false"
THREE_HOURS_AHEAD = """
const Real = Date;
const now = () => Real.now() + 3 * 3_600_000;
window.Date = class extends Real {
  constructor(...given) { super(...(given.length ? given : [now()])); }
  static now() { return now(); }
};"""
NO_STORAGE = """
for (const name of ["localStorage", "sessionStorage"]) {
  Object.defineProperty(window, name, { get() { throw new DOMException("forbidden", "SecurityError"); } });
}"""


@pytest.fixture
def context(browser):
    context = browser.new_context(viewport=PHONE, has_touch=True)
    yield context
    context.close()


def open_player(context, stack, script=KEEP_MADE_IDS):
    page = context.new_page()
    page.add_init_script(f"(() => {{{script}}})()")
    page.goto(stack.base_url)
    page.locator(".clip:not([inert])").wait_for()
    return page


def assert_nothing_lost_or_doubled(page, stack):
    page.wait_for_function(ALL_SENT, timeout=60_000)
    made, rows = page.evaluate(MADE), logged(stack, user_of(page))
    assert len(made) > 5
    # The clip on stage goes on making events; what was made until now is there.
    found = [row["event_id"] for row in rows]
    assert set(made) <= set(found)
    assert len(found) == len(set(found))
    return rows


def test_ten_seconds_without_network_amid_a_swipe_lose_and_double_nothing(context, stack):
    page = open_player(context, stack)
    swipe(page)
    wait_until_playing(page)
    before, lift = current(page), begin_swipe(page)
    context.set_offline(True)
    lost_at = time.monotonic()
    lift()
    until(lambda: current(page) != before)
    page.keyboard.press("l")
    liked = current(page)
    # On to the end of what was served, where no clip could be loaded any more.
    while page.evaluate(ON_STAGE):
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(300)
    page.keyboard.press("ArrowUp")
    page.wait_for_function(FAILED)
    page.wait_for_timeout(max(0.0, 1000 * (OUTAGE_S - (time.monotonic() - lost_at))))
    assert page.evaluate(ALL_SENT) is False
    context.set_offline(False)
    # The clip on stage plays by itself once the network is back.
    wait_until_playing(page)
    assert page.evaluate(FAILED) is False
    swipe(page)
    rows = assert_nothing_lost_or_doubled(page, stack)
    assert [row["content_id"] for row in rows if row["kind"] == "like"] == [liked]
    assert all(row["at"] <= datetime.now(UTC) for row in rows)


def test_a_tab_closed_without_network_sends_the_rest_at_the_next_visit(context, stack):
    page = open_player(context, stack)
    wait_until_playing(page)
    user_id = user_of(page)
    context.set_offline(True)
    liked = current(page)
    page.keyboard.press("l")
    swipe(page)
    swipe(page)
    page.close()
    assert not any(row["kind"] == "like" for row in logged(stack, user_id))
    context.set_offline(False)
    page = open_player(context, stack)
    rows = assert_nothing_lost_or_doubled(page, stack)
    assert user_of(page) == user_id
    assert [row["content_id"] for row in rows if row["kind"] == "like"] == [liked]
    assert len([row for row in rows if row["kind"] == "impression"]) >= 3


def test_a_clock_three_hours_ahead_is_put_right_and_asks_for_no_token_twice(context, stack):
    tokens = []
    context.on("request", lambda request: tokens.append(request.url) if "/player/token" in request.url else None)
    page = open_player(context, stack, THREE_HOURS_AHEAD)
    began = datetime.now(UTC)
    wait_until_playing(page)
    for _ in range(3):
        page.wait_for_timeout(1_200)
        swipe(page)
    rows = wait_for_log(stack, user_of(page), lambda rows: sum(row["kind"] == "view" for row in rows) >= 3)
    assert all(abs((row["at"] - began).total_seconds()) < 120 for row in rows)
    shown = [row["content_id"] for row in rows if row["kind"] == "impression"]
    assert [row["content_id"] for row in rows if row["kind"] == "view"] == shown[:3], "the order is that of the acts"
    assert len(tokens) <= 1


def test_a_browser_that_stores_nothing_still_reports_and_plays(context, stack):
    complaints = []
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("console", lambda entry: complaints.append(entry.text) if entry.type in {"error", "warning"} else None)
    page = open_player(context, stack, NO_STORAGE)
    wait_until_playing(page)
    liked = current(page)
    page.keyboard.press("l")
    swipe(page)
    page.keyboard.press("m")
    rows = wait_for_log(stack, user_of(page), lambda rows: sum(row["kind"] == "impression" for row in rows) >= 2)
    assert [row["content_id"] for row in rows if row["kind"] == "like"] == [liked]
    assert complaints == []
