"""clip.js in a real browser: a clip whose media cannot be fetched plays by itself once they can, however late."""

import pytest

from tests.browser.waiting import until

pytestmark = pytest.mark.browser

MAKE = """async () => {
  const { Clip } = await import("/static/recsys/clip.js");
  const template = document.createElement("template");
  template.innerHTML = `<article class="clip"><div class="clip-frame"><img class="clip-poster" hidden>
    <p class="clip-failed" hidden></p><dl class="clip-debug"></dl><button class="clip-why"><span></span></button>
    <h2 class="clip-creator"></h2><button class="follow-button"></button><p class="clip-caption"></p>
    <ul class="clip-tags"></ul><div class="clip-progress"><span></span></div></div></article>`;
  const item = { content_id: "c", source: "popular", score: 1, position: 0, content: { media_url: "/clip.mp4" } };
  const client = createClient({ userId: "u1", token: "first-token" });
  window.clip = new Clip(item, { took_ms: 1 }, template, () => {});
  document.body.append(clip.element);
  clip.attach(client, null, true);
  clip.activate();
}"""
FAILED = "!document.querySelector('.clip-failed').hidden"
PLAYS = "document.querySelector('video').readyState >= 2"


@pytest.fixture
def failing(client_page):
    """The page with a clip whose media fail; how often they were asked for grows in the list."""
    asked = []

    def refuse(route):
        asked.append(route.request.url)
        route.abort()

    client_page.route("**/clip.mp4", refuse)
    client_page.clock.install()
    client_page.evaluate(MAKE)
    until(lambda: client_page.evaluate(FAILED))
    return client_page, asked


def fail_again(page, asked, wait_ms):
    before = len(asked)
    page.clock.fast_forward(wait_ms)
    # Asking the page lets its requests through to this process.
    until(lambda: page.evaluate(FAILED) and len(asked) > before)
    page.wait_for_function("document.querySelector('video').error !== null")


def test_a_clip_is_tried_again_however_long_the_outage_lasts(failing):
    page, asked = failing
    for _ in range(12):
        fail_again(page, asked, 64_000)
    page.unroute("**/clip.mp4")
    page.clock.fast_forward(64_000)
    until(lambda: page.evaluate(PLAYS))
    assert page.evaluate(FAILED) is False


def test_a_network_that_comes_back_and_fails_once_more_is_tried_again_soon(failing):
    page, asked = failing
    for _ in range(8):
        fail_again(page, asked, 64_000)
    before = len(asked)
    page.evaluate("clip.wake(true)")
    until(lambda: page.evaluate(FAILED) and len(asked) > before)
    page.wait_for_function("document.querySelector('video').error !== null")
    page.unroute("**/clip.mp4")
    page.clock.fast_forward(2_000)
    until(lambda: page.evaluate(PLAYS))
