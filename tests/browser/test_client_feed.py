"""client.js in a real browser: walking through the feed, what a person says of it, and the types beside the module."""

import json
import re

import pytest

from tests.browser.conftest import STATIC, Answer
from tests.browser.waiting import until

pytestmark = pytest.mark.browser

START = """options => {
  window.client = createClient({ userId: "u1", token: "first-token", retryMs: 50, flushAfterMs: 60_000 });
  window.walk = client.feed(options);
}"""
TAKE = """async count => {
  const ids = [];
  for (let taken = 0; taken < count; taken += 1) {
    const { value, done } = await walk.next();
    if (done) break;
    ids.push(value.content_id);
  }
  return ids;
}"""


def start(page, **options):
    page.evaluate(START, {"limit": 4, "prefetchAt": 2, **options})


def page_of(number, size=4):
    return [f"c{number}-{place}" for place in range(size)]


def test_a_loop_walks_through_all_pages_by_their_cursors(client_page, server):
    server.pages = 3
    start(client_page, explain=True, categories=["sea", "night"])
    loop = "(async () => { const ids = []; for await (const item of walk) ids.push(item.content_id); return ids; })()"
    assert client_page.evaluate(loop) == page_of(0) + page_of(1) + page_of(2)
    assert [query.get("cursor") for query in server.feeds] == [None, "1", "2"]
    assert all(query["explain"] == "true" and query["categories"] == "sea,night" for query in server.feeds)
    assert all(query["user_id"] == "u1" and query["surface"] == "for_you" for query in server.feeds)


def test_pages_carry_the_session_of_the_events_and_the_circumstances(client_page, server):
    start(client_page, context={"device": "phone", "network": "wifi"})
    client_page.evaluate("void client.like({ content_id: 'x' })")
    client_page.evaluate(TAKE, 1)
    [event] = server.stored.values()
    assert server.feeds[0]["session_id"] == event["session_id"] != ""
    assert json.loads(server.feeds[0]["context"]) == {"device": "phone", "network": "wifi"}


def test_the_next_page_is_asked_for_before_it_is_needed_and_not_before_that(client_page, server):
    start(client_page)
    client_page.evaluate(TAKE, 1)
    client_page.wait_for_timeout(100)
    assert len(server.feeds) == 1
    client_page.evaluate(TAKE, 1)
    until(lambda: len(server.feeds) == 2)


def test_events_that_wait_are_sent_before_a_page_is_asked_for(client_page, server):
    start(client_page)
    client_page.evaluate("void client.like({ content_id: 'x' })")
    client_page.evaluate(TAKE, 1)
    assert server.kinds() == ["like"]


def test_a_page_that_did_not_arrive_is_asked_for_again_by_the_same_cursor(client_page, server):
    start(client_page)
    assert client_page.evaluate(TAKE, 1) == ["c0-0"]
    client_page.context.set_offline(True)
    assert client_page.evaluate(TAKE, 3) == page_of(0)[1:]
    failed = client_page.evaluate("walk.next().catch((error) => [error instanceof NetworkError, error.code])")
    assert failed == [True, "unreachable"]
    client_page.context.set_offline(False)
    assert client_page.evaluate(TAKE, 4) == page_of(1)
    assert {query.get("cursor") for query in server.feeds} <= {None, "1", "2"}


def test_a_busy_server_is_asked_again_after_the_time_it_names(client_page, server):
    server.feed_answers = [Answer(503, code="overloaded", retry_after="1")]
    start(client_page)
    assert client_page.evaluate(TAKE, 1) == ["c0-0"]
    assert len(server.feeds) == 2


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (Answer(503, code="unavailable", retry_after="600"), "UnavailableError", "unavailable"),
        (Answer(403, code="forbidden_user"), "AuthError", "forbidden_user"),
        (Answer(400, code="invalid_limit"), "ApiError", "invalid_limit"),
        (Answer(404, page="<h1>Nothing here</h1>"), "NetworkError", "unexpected_answer"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_errors_say_by_their_class_what_to_do(client_page, server, answer, kind, code):
    server.feed_answers = [answer]
    start(client_page)
    found = client_page.evaluate("walk.next().catch((error) => [error.name, error.code, error instanceof RecsysError])")
    assert found == [kind, code, True]


def test_a_cursor_that_has_ended_begins_a_new_walk(client_page, server):
    start(client_page)
    client_page.evaluate(TAKE, 1)
    server.feed_answers = [Answer(400, code="cursor_expired")]
    assert client_page.evaluate(TAKE, 4) == [*page_of(0)[1:], "c0-0"]


def test_a_muted_creator_leaves_the_pages_that_are_already_here(client_page, server):
    start(client_page)
    client_page.evaluate(TAKE, 2)
    until(lambda: len(server.feeds) == 2)
    client_page.evaluate("void (window.undo = client.muteCreator('k0'))")
    assert client_page.evaluate(TAKE, 3) == ["c0-2", "c1-1", "c1-2"]
    until(lambda: server.wishes == [("PUT", "/api/v1/users/u1/mutes/k0")])
    client_page.evaluate("undo()")
    client_page.evaluate("undo()")
    until(lambda: len(server.wishes) == 2)
    assert server.wishes[1] == ("DELETE", "/api/v1/users/u1/mutes/k0")
    assert "c2-0" in client_page.evaluate(TAKE, 4)


def test_a_block_made_offline_outlives_the_page_and_is_sent_in_order(client_page, server):
    start(client_page)
    client_page.context.set_offline(True)
    client_page.evaluate("client.like({ content_id: 'a' }); client.blockCreator('k/1'); client.blockCreator('k2')();")
    client_page.evaluate("client.close()")
    client_page.context.set_offline(False)
    client_page.reload()
    client_page.wait_for_function("window.ready")
    start(client_page)
    refused = "client.refuses({ content_id: 'x', content: { creator_id: 'k/1' } })"
    assert client_page.evaluate(refused) is True
    assert client_page.evaluate("client.refuses({ content_id: 'x', content: { creator_id: 'k2' } })") is False
    until(lambda: len(server.wishes) == 3)
    base = "/api/v1/users/u1/blocks"
    assert server.wishes == [("PUT", f"{base}/k%2F1"), ("PUT", f"{base}/k2"), ("DELETE", f"{base}/k2")]
    assert server.kinds() == ["like"]


REFUSED = """() => [["x", "k1"], ["y", "k2"]].map(
  ([content_id, creator_id]) => client.refuses({ content_id, content: { creator_id } }))"""


def test_taking_one_refusal_back_leaves_the_other(client_page, server):
    start(client_page)
    client_page.context.set_offline(True)
    client_page.evaluate(
        """() => {
          client.muteCreator("k1"); client.blockCreator("k1"); client.unmuteCreator("k1");
          const back = client.notInterested({ content_id: "y" });
          client.report({ content_id: "y" }, "spam");
          back();
        }"""
    )
    assert client_page.evaluate(REFUSED) == [True, True]
    client_page.evaluate("client.close()")
    client_page.context.set_offline(False)
    client_page.reload()
    client_page.wait_for_function("window.ready")
    client_page.context.set_offline(True)
    start(client_page)
    assert client_page.evaluate(REFUSED) == [True, True], "as what waits in the outbox says"
    client_page.evaluate("client.unblockCreator('k1')")
    assert client_page.evaluate(REFUSED) == [False, True]


def test_what_a_person_says_carries_its_serving_and_can_be_taken_back(client_page, server):
    start(client_page)
    client_page.evaluate(
        """async () => {
          const { value: item } = await walk.next();
          for (const word of ["like", "save", "follow", "notInterested"]) client[word](item)();
          client.comment(item, "what a sea");
          client.share(item, "copy_link");
          client.report(item, "spam");
          await client.flush();
        }"""
    )
    assert server.kinds() == [
        "like", "unlike", "save", "unsave", "follow", "unfollow", "hide", "unhide", "comment", "share", "report"
    ]  # fmt: skip
    events = list(server.stored.values())
    assert {event["content_id"] for event in events} == {"c0-0"}
    assert {(event["request_id"], event["position"], event["surface"]) for event in events} == {
        ("00000000-0000-0000-0000-000000000000", 0, "for_you")
    }
    assert {event["user_id"] for event in events} == {"u1"}
    assert [event["creator_id"] for event in events if "creator_id" in event] == ["k0", "k0"]


def test_a_device_keeps_its_anonymous_id(client_page):
    first = client_page.evaluate("anonymousId()")
    assert re.fullmatch(r"anon:[A-Za-z0-9._~-]{16,128}", first)
    client_page.reload()
    client_page.wait_for_function("window.ready")
    assert client_page.evaluate("anonymousId()") == first


def test_the_example_of_the_guide_runs(client_page, server):
    guide = (STATIC.parents[1] / "docs" / "client.md").read_text()
    client_page.set_content(re.search(r"```html\n(.*?)```", guide, re.S)[1])
    playing = "() => document.querySelector('video').currentTime > 0"
    client_page.wait_for_function(playing)
    client_page.get_by_role("button", name="Like").click()
    client_page.locator("video").click()
    until(lambda: client_page.wait_for_timeout(20) or "like" in server.kinds())
    client_page.wait_for_function(playing)
    client_page.get_by_role("button", name="Not for me").click()
    until(lambda: client_page.wait_for_timeout(20) or server.kinds().count("impression") == 3)
    assert "hide" in server.kinds()
    assert server.feeds[0]["limit"] == "6"


def test_the_types_name_what_the_module_has(client_page):
    types = (STATIC / "recsys" / "client.d.ts").read_text()
    exports = client_page.evaluate("import('/static/recsys/client.js').then((module) => Object.keys(module).sort())")
    assert exports == sorted(re.findall(r"^export (?:class|function) (\w+)", types, re.M))
    for name in ("RecsysClient", "FeedWalk", "ViewTracker"):
        body = re.search(rf"^export class {name}\b.*?^}}", types, re.M | re.S).group()
        typed = {*re.findall(r"^  (?:readonly )?(\w+)[(:]", body, re.M)}
        assert typed == set(client_page.evaluate(f"Object.getOwnPropertyNames({name}.prototype)")), name
