"""client.js in a real browser, against a server that fails on demand: sending and measuring."""

import uuid
from datetime import UTC, datetime

import pytest

from tests.browser.conftest import Answer
from tests.browser.waiting import until

pytestmark = pytest.mark.browser

START = """options => {
  window.client = createClient({ baseUrl: "/api/v1", userId: "u1", token: "first-token", retryMs: 50, ...options });
}"""
TRACK = "ids => ids.map((id) => client.track('like', { content_id: id }))"
TWO_HOURS_AHEAD = """() => {
  const Real = Date;
  const now = () => Real.now() + 7_200_000;
  window.Date = class extends Real {
    constructor(...given) { super(...(given.length ? given : [now()])); }
    static now() { return now(); }
  };
}"""
WATCH = """async ({ source, seconds, duration, measure }) => {
  const card = document.getElementById("card");
  card.style.cssText = "width:300px;height:300px";
  let video = null;
  if (source) {
    const blob = await (await fetch(source)).blob();
    video = Object.assign(document.createElement("video"), { src: URL.createObjectURL(blob), muted: true, loop: true });
    card.append(video);
  }
  const item = { content_id: "c1", request_id: newId(), position: 3, content: { duration_s: duration } };
  window.tracker = client.watch({ element: card, video, item, measure });
  if (video) await video.play();
  if (seconds === null) return;
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  card.style.display = "none";
  await new Promise((resolve) => setTimeout(resolve, 150));
  await client.flush();
}"""


def start(page, **options):
    page.evaluate(START, options)


def watch(page, **arguments):
    start(page)
    page.evaluate(WATCH, {"source": None, "seconds": None, "duration": 30, **arguments})


def test_a_retry_reuses_the_ids_of_the_first_attempt(client_page, server):
    server.answers = [Answer(503), Answer(503)]
    start(client_page)
    ids = client_page.evaluate(TRACK, ["a", "b"])
    client_page.evaluate("client.flush()")
    until(lambda: len(server.batches) == 3)
    assert [[event["event_id"] for event in batch] for batch in server.batches] == [ids] * 3
    client_page.wait_for_function("client.pending === 0")
    assert list(server.stored) == ids


def test_a_retry_waits_as_long_as_the_server_asks_whatever_asks_for_it(client_page, server):
    server.answers = [Answer(503, retry_after="1")]
    start(client_page)
    client_page.evaluate(TRACK, ["a"])
    assert client_page.evaluate("client.flush()") is False
    assert client_page.evaluate("client.flush()") is False
    client_page.evaluate("dispatchEvent(new Event('online'))")
    until(lambda: server.stored)
    first, second = server.asked_at
    assert second - first >= 1.0


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, page="<h1>Log in to the hotel's network</h1>"),
        Answer(202, page="<h1>Soon</h1>"),
        Answer(403, page="<h1>Blocked</h1>"),
        Answer(404, page="<h1>Nothing here</h1>"),
        Answer(403, code="missing_scope"),
        Answer(401, code="token_expired"),
    ],
    ids=lambda answer: f"{answer.status}-{answer.page or answer.code}",
)
def test_an_answer_that_does_not_judge_the_events_loses_none(client_page, server, answer):
    server.answers = [answer]
    start(client_page)
    ids = client_page.evaluate(TRACK, ["a", "b"])
    assert client_page.evaluate("client.flush().then((sent) => [sent, client.pending])") == [False, 2]
    until(lambda: list(server.stored) == ids)


def test_the_clock_of_the_sender_is_sent_with_events_and_beacons(client_page, server):
    client_page.evaluate(TWO_HOURS_AHEAD)
    start(client_page, flushAfterMs=60_000)
    client_page.evaluate(TRACK, ["a"])
    client_page.evaluate("client.flush()")
    client_page.evaluate(TRACK, ["b"])
    client_page.goto("about:blank")
    until(lambda: len(server.stored) == 2)
    for event, sent_at in zip(server.stored.values(), server.sent_at, strict=True):
        sent, occurred = datetime.fromisoformat(sent_at), datetime.fromisoformat(event["timestamp"])
        assert (sent - datetime.now(UTC)).total_seconds() > 7100
        assert 0 <= (sent - occurred).total_seconds() < 60


def test_a_clock_that_runs_ahead_does_not_make_every_token_look_old(client_page, server):
    server.token = "new-token"
    client_page.evaluate(
        """() => {
          window.renewals = 0;
          const expires_at = new Date(Date.now() - 7200e3).toISOString();
          const refreshToken = async () => { renewals += 1; return { token: "new-token", expires_at }; };
          window.client = createClient({ userId: "u1", refreshToken });
        }"""
    )
    for content_id in "abc":
        client_page.evaluate(TRACK, [content_id])
        assert client_page.evaluate("client.flush()") is True
    assert client_page.evaluate("renewals") == 1


def test_where_nothing_may_be_stored_events_are_sent_all_the_same(browser, server):
    context = browser.new_context()
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.add_init_script(
        """for (const name of ["localStorage", "sessionStorage"]) {
          Object.defineProperty(window, name, { get() { throw new DOMException("forbidden", "SecurityError"); } });
        }"""
    )
    page.goto(server.url)
    page.wait_for_function("window.ready")
    server.answers = [Answer(503)]
    start(page)
    assert page.evaluate("client.durable") is False
    ids = page.evaluate(TRACK, ["a", "b"])
    page.evaluate("client.flush()")
    until(lambda: list(server.stored) == ids)
    assert len({event["session_id"] for event in server.stored.values()}) == 1
    context.close()
    assert [text for text in complaints if "503" not in text] == []


def test_ids_are_uuids_where_the_page_is_no_secure_context(client_page):
    assert client_page.evaluate("typeof crypto.randomUUID") == "undefined"
    assert uuid.UUID(client_page.evaluate("newId()")).version == 4


def test_nothing_is_lost_while_offline(client_page, server):
    client_page.context.set_offline(True)
    start(client_page)
    ids = client_page.evaluate(TRACK, ["a", "b", "c"])
    assert client_page.evaluate("client.flush()") is False
    assert not server.stored
    client_page.context.set_offline(False)
    until(lambda: list(server.stored) == ids)


def test_events_of_a_tab_closed_offline_are_sent_by_the_next_visit(client_page, server):
    context = client_page.context
    context.set_offline(True)
    start(client_page)
    ids = client_page.evaluate(TRACK, ["a", "b"])
    # What a closed tab had under way may still arrive once the network is back, so until then the server refuses all.
    server.answers = [Answer(503)] * 1000
    client_page.close()
    context.set_offline(False)
    assert not server.stored
    server.answers.clear()
    page = context.new_page()
    page.goto(server.url)
    page.wait_for_function("window.ready")
    start(page)
    until(lambda: set(server.stored) == set(ids))


def test_stored_events_of_another_user_are_left_alone(client_page, server):
    client_page.context.set_offline(True)
    start(client_page)
    client_page.evaluate(TRACK, ["a"])
    client_page.evaluate("client.close()")
    client_page.context.set_offline(False)
    start(client_page, userId="u2")
    client_page.evaluate(TRACK, ["b"])
    client_page.evaluate("client.flush()")
    assert [event["content_id"] for event in server.stored.values()] == ["b"]


def test_leaving_the_page_sends_a_beacon(client_page, server):
    start(client_page, flushAfterMs=60_000)
    ids = client_page.evaluate(TRACK, ["a", "b"])
    client_page.goto("about:blank")
    until(lambda: server.beacons)
    (beacon,) = server.beacons
    assert beacon["token"] == "first-token"
    assert beacon["type"].startswith("text/plain")
    assert [event["event_id"] for event in beacon["events"]] == ids


def test_a_beacon_stays_below_the_browsers_limit_and_the_rest_is_sent_later(client_page, server):
    start(client_page, flushAfterMs=60_000, flushAt=10_000)
    client_page.evaluate(
        "for (let i = 0; i < 300; i++) client.track('comment', { content_id: `c${i}`, comment_text: 'ü'.repeat(400) })"
    )
    client_page.goto("about:blank")
    until(lambda: server.beacons)
    assert 40_000 < server.beacons[0]["bytes"] < 64 * 1024
    client_page.goto(server.url)
    client_page.wait_for_function("window.ready")
    start(client_page)
    until(lambda: len(server.stored) == 300)


def test_a_rejected_event_is_dropped_and_named_in_the_console(client_page, server):
    warnings = []
    client_page.on("console", lambda message: warnings.append(message.text))
    start(client_page)
    ids = client_page.evaluate(TRACK, ["a", "b"])
    server.rejected = {ids[0]}
    assert client_page.evaluate("client.flush()") is True
    assert list(server.stored) == ids[1:]
    assert any("not taken in (bad)" in text for text in warnings)


def test_one_bad_event_does_not_hold_up_its_batch(client_page, server):
    start(client_page)
    ids = client_page.evaluate(TRACK, list("abcdefg"))
    server.poison = {ids[4]}
    assert client_page.evaluate("client.flush()") is True
    assert sorted(server.stored) == sorted(set(ids) - server.poison)


def test_an_expired_token_is_renewed_once_and_nothing_is_lost(client_page, server):
    server.token = "second-token"
    client_page.evaluate(
        """() => {
          window.renewals = 0;
          const refreshToken = async () => { renewals += 1; return { token: "second-token" }; };
          window.client = createClient({ userId: "u1", token: "first-token", refreshToken });
        }"""
    )
    ids = client_page.evaluate(TRACK, ["a"])
    assert client_page.evaluate("client.flush()") is True
    assert list(server.stored) == ids
    assert client_page.evaluate("renewals") == 1


def test_a_full_queue_gives_up_the_oldest_of_what_merely_happened_then_the_oldest(client_page, server):
    client_page.evaluate(
        """() => {
          window.lost = [];
          const onRejected = (event, { code }) => lost.push([event.content_id, code]);
          const options = { userId: "u1", token: "first-token", maxQueued: 3, flushAfterMs: 60_000, onRejected };
          window.client = createClient(options);
          client.track("like", { content_id: "a" });
          client.track("impression", { content_id: "b" });
          for (const id of "cde") client.track("like", { content_id: id });
        }"""
    )
    client_page.evaluate("client.flush()")
    assert [event["content_id"] for event in server.stored.values()] == ["c", "d", "e"]
    assert client_page.evaluate("lost") == [["b", "queue_full"], ["a", "queue_full"]]


def test_all_events_of_a_tab_share_a_session_until_it_was_idle_for_half_an_hour(client_page, server):
    start(client_page)
    client_page.evaluate(TRACK, ["a", "b"])
    client_page.evaluate(
        """() => {
          const session = JSON.parse(sessionStorage.getItem("recsys.session"));
          sessionStorage.setItem("recsys.session", JSON.stringify({ ...session, last: session.last - 31 * 60_000 }));
        }"""
    )
    client_page.evaluate(TRACK, ["c"])
    client_page.evaluate("client.flush()")
    first, second, third = (event["session_id"] for event in server.stored.values())
    assert first == second != third


@pytest.mark.parametrize(
    ("seconds", "kinds"),
    [(0.4, ["impression", "skip"]), (1.4, ["impression", "view", "skip"]), (2.4, ["impression", "view"])],
)
def test_a_stay_becomes_a_skip_or_a_view_by_its_length(client_page, server, seconds, kinds):
    watch(client_page, seconds=seconds)
    assert server.kinds() == kinds
    durations = [event["watch_duration"] for event in server.stored.values() if "watch_duration" in event]
    assert durations == [pytest.approx(seconds, abs=0.25)]
    assert all(event["position"] == 3 for event in server.stored.values())


def test_the_time_of_a_paused_video_does_not_count(client_page, server):
    watch(client_page, source="/clip.mp4", duration=2)
    client_page.wait_for_function("tracker.watchedS > 0.3")
    before = client_page.evaluate("document.querySelector('video').pause(), tracker.watchedS")
    client_page.wait_for_timeout(700)
    # The pause itself is heard of a moment later.
    assert client_page.evaluate("tracker.watchedS") == pytest.approx(before, abs=0.2)


def test_a_loop_is_one_complete_view_and_a_replay_each_time(client_page, server):
    watch(client_page, source="/clip.mp4", seconds=4.7, duration=2)
    assert server.kinds().count("complete_view") == 1
    assert server.kinds().count("replay") == 2
    assert "skip" not in server.kinds()
    (view,) = (event for event in server.stored.values() if event["event_type"] == "view")
    assert view["watch_duration"] == pytest.approx(4.7, abs=0.5)
    assert view["loops"] == 2, "without them the server would cut the time to the clip's length"


def test_what_has_nothing_to_play_is_seen_and_never_watched_or_skipped(client_page, server):
    watch(client_page, seconds=1.2, measure="seen")
    assert server.kinds() == ["impression"]


def test_setting_the_wall_clock_moves_no_watch_time(client_page, server):
    watch(client_page)
    client_page.evaluate("const real = Date.now; Date.now = () => real() + 3600e3")
    client_page.wait_for_timeout(300)
    assert 0.2 < client_page.evaluate("tracker.watchedS") < 30


def test_the_seconds_watched_before_the_page_goes_are_in_the_beacon(client_page, server):
    watch(client_page, seconds=None)
    client_page.wait_for_timeout(1_600)
    client_page.goto("about:blank")
    until(lambda: "view" in server.kinds())
    (view,) = (event for event in server.stored.values() if event["event_type"] == "view")
    assert view["watch_duration"] == pytest.approx(1.6, abs=0.3)
    assert "skip" not in server.kinds(), "the page was left, not the clip"
