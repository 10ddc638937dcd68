"""client.js in two tabs of one browser: what one took over from the other undoes nothing that the other says later."""

import pytest

from tests.browser.conftest import Answer
from tests.browser.waiting import until

pytestmark = pytest.mark.browser

# "void", because Playwright calls a function that an expression gives: the undo.
START = """() => {
  window.client = createClient({ userId: "u1", token: "first-token", retryMs: 50, flushAfterMs: 60_000 });
}"""
BASE = "/api/v1/users/u1/mutes"


def tab_beside(page, server):
    other = page.context.new_page()
    other.goto(server.url)
    other.wait_for_function("window.ready")
    return other


def test_a_mute_that_was_taken_back_is_not_sent_by_the_tab_that_took_it_over(client_page, server):
    other = tab_beside(client_page, server)
    client_page.evaluate(START)
    # One tab is offline alone: the other is kept from sending until it has taken over what waits.
    client_page.context.set_offline(True)
    client_page.evaluate("void (window.undo = client.muteCreator('k0'))")
    assert client_page.evaluate("client.flush()") is False
    other.evaluate(START)
    other.evaluate("void client.muteCreator('k1')")
    client_page.evaluate("undo()")
    assert client_page.evaluate("client.flush()") is False
    assert not server.wishes
    client_page.context.set_offline(False)
    assert client_page.evaluate("client.flush()") is True
    assert other.evaluate("client.flush()") is True
    until(lambda: ("PUT", f"{BASE}/k1") in server.wishes)
    about = [method for method, path in server.wishes if path == f"{BASE}/k0"]
    assert about[-1] == "DELETE", "the last word counts, whichever tab is later"
    assert about.count("PUT") <= 1, "only the tab that muted may still say so, before it takes it back"


def test_what_another_tab_took_over_is_sent_where_nobody_said_anything_newer(client_page, server):
    client_page.evaluate(START)
    server.answers = [Answer(503)] * 1000
    client_page.context.set_offline(True)
    client_page.evaluate("void client.muteCreator('k0')")
    other = None
    client_page.evaluate("client.close()")
    client_page.context.set_offline(False)
    other = tab_beside(client_page, server)
    client_page.close()
    other.evaluate(START)
    until(lambda: server.wishes == [("PUT", f"{BASE}/k0")])
    assert other.evaluate("client.flush()") is True
