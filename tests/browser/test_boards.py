"""Every page that staff opens, in a real browser beside the demo data: whole at 1440 and at 390 pixels, in both themes.

What a page must not do: be wider than the screen, break the content security policy, log an error, or keep anybody out
(axe-core, serious and critical). `BOARD_SHOTS=folder` also writes the pictures of the README's gallery.
"""

import os
import re
import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from dashboards.boards import BOARDS
from tests.browser.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.stack]

PAGES = {
    **{f"board-{name}": f"/dashboards/board/{name}?days=30" for name in BOARDS},
    "metric": "/dashboards/metric/dau?days=30",
    "breakdown": "/dashboards/metric/ctr?days=30&breakdown=category",
    "retention": "/dashboards/retention?days=14",
    "funnel": "/dashboards/funnel?days=7",
    "live": "/dashboards/live",
    "system": "/dashboards/system",
    "alerts": "/dashboards/alerts",
    "experiments": "/dashboards/experiments",
    "experiment-new": "/dashboards/experiments/new",
    "moderation": "/moderation/",
    "stops": "/moderation/stops/",
    "second-factor": "/admin/second-factor/",
    "screening": "/admin/dashboards/screeningrule/",
    "admin": "/admin/",
    "rules": "/admin/dashboards/alertrule/",
    "rule": "/admin/dashboards/alertrule/add/",
    "incidents": "/admin/dashboards/alertincident/",
    "channels": "/admin/dashboards/alertchannel/add/",
    "contents": "/admin/events/content/",
    "users": "/admin/events/userprofile/",
    "letters": "/admin/events/deadletter/",
    "models": "/admin/ranking/modelversion/",
    "trends": "/admin/features/trend/",
    "player": "/",
    "docs": "/api/docs",
}
SHOTS = {("board-overview", "wide", "light"), ("board-overview", "phone", "dark"), ("board-growth", "wide", "dark"),
         ("retention", "wide", "light"), ("system", "phone", "light"), ("alerts", "wide", "dark")}  # fmt: skip
THEMES = ["light", "dark"]
SIZES = {"wide": (1440, 900), "phone": (390, 844)}
# Preloading style sheets means writing them into the page, which the policy rightly forbids.
AXE = {"resultTypes": ["violations"], "preload": False}
# What the vendored Swagger UI nests in its headers of operations is its own, and nothing around it can mend it.
OF_SWAGGER = {"docs": {"nested-interactive"}}
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def measured(stack):
    """Whether a month of days is rolled up: the worker does it after the start, while others already look."""
    status, found = stack.call("GET", "/api/v1/metrics/dau")
    values = [point["value"] for point in found["groups"][0]["points"]] if status == 200 else []
    return sum(bool(value) for value in values) > 25


@pytest.fixture(scope="module")
def figures(stack):
    deadline = time.monotonic() + 600
    while not measured(stack):
        assert time.monotonic() < deadline, "the worker does not measure the KPIs"
        time.sleep(2)


@pytest.fixture(scope="module", params=THEMES)
def theme(request):
    return request.param


@pytest.fixture(scope="module", params=list(SIZES))
def size(request):
    return request.param


@pytest.fixture(scope="module")
def page(browser, stack, figures, theme, size):
    """One log-in for all pages of a size and theme; `page.faults` is what they complain about."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=theme,
        base_url=stack.base_url,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.faults = []
    page.on("console", lambda entry: page.faults.append(entry.text) if entry.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto("/admin/login/?next=/admin/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", re.search(r"password\s+(\S+)", stack.log.read_text()).group(1))
    page.click("[type=submit]")
    page.wait_for_url("**/admin/")
    yield page
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_reachable_by_everybody_and_quiet(page, name, size, theme):
    page.faults.clear()
    answer = page.goto(PAGES[name])
    assert answer.status == 200
    assert "default-src" in answer.headers["content-security-policy"]
    if name == "docs":
        page.locator(".swagger-ui .info").wait_for()
    assert page.evaluate(OVERFLOW) <= 0, "wider than the screen"
    found = Axe().run(page, options=AXE).response["violations"]
    serious = {
        each["id"]: [node["target"] for node in each["nodes"]][:3]
        for each in found
        if each["impact"] in {"serious", "critical"} and each["id"] not in OF_SWAGGER.get(name, ())
    }  # fmt: skip
    assert serious == {}
    assert page.faults == []
    if os.environ.get("BOARD_SHOTS") and (name, size, theme) in SHOTS:
        page.screenshot(path=str(Path(os.environ["BOARD_SHOTS"]) / f"{name}-{size}-{theme}.png"))


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("board-")])
def test_the_demo_fills_every_tile_of_every_board(page, name):
    page.goto(PAGES[name])
    tiles = page.locator(".tile").all()
    assert tiles
    empty = [tile.locator("h2").inner_text() for tile in tiles if not tile.locator("svg").count()]
    # Of thirty days none has a user who could come back on the thirtieth.
    assert set(empty) <= {"Day 30 retention"}


def test_the_definition_of_a_tile_opens_by_keyboard_and_closes(page):
    page.goto(PAGES["board-overview"])
    summary = page.locator(".info summary").first
    summary.focus()
    page.keyboard.press("Enter")
    body = page.locator(".info-body").first
    assert "SELECT" in body.inner_text()
    assert "Unit:" in body.inner_text()
    page.keyboard.press("Escape")
    assert not body.is_visible()


def test_a_chart_is_saved_as_a_picture(page):
    page.goto(PAGES["metric"])
    with page.expect_download() as saved:
        page.click("[data-png]")
    picture = Path(saved.value.path()).read_bytes()
    assert saved.value.suggested_filename == "dau.png"
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20]) >= 1000, "readable where it is pasted"
    assert page.faults == []


def test_real_time_refreshes_itself(page):
    page.goto(PAGES["live"])
    with page.expect_response("**/live/part") as refreshed:
        pass
    assert refreshed.value.status == 200
    until(lambda: page.locator("[data-live-rows] tr").count() == 30)
