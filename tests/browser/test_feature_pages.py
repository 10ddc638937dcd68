"""The admin's pages of contents, users and trends in a real browser: on a phone, in both themes, by keyboard."""

from urllib.parse import urlencode

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.stack]

TRENDS = "/admin/features/trend/"
CONTENT = "/admin/features/contentfeatures/content/?" + urlencode({"id": "demo-ocean-03"})
USER = "/admin/features/contentfeatures/user/?" + urlencode({"id": "demo-persona-1-nadia"})
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
BROKEN = "() => [...document.querySelectorAll('.store img')].filter((i) => i.complete && !i.naturalWidth).length"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", [TRENDS, CONTENT, USER])
def test_nothing_sticks_out_on_a_phone_and_every_picture_is_there(open_admin, path, theme):
    page = open_admin(path, viewport={"width": 390, "height": 844}, color_scheme=theme)
    page.locator("#content-main.store").wait_for()
    assert page.evaluate(OVERFLOW) == 0
    for region in page.locator(".store-scroll").all():
        region.scroll_into_view_if_needed()
    page.wait_for_load_state("networkidle")
    assert page.evaluate(BROKEN) == 0
    assert page.evaluate("() => document.querySelectorAll('[id]').length === new Set("
                         "[...document.querySelectorAll('[id]')].map((each) => each.id)).size")  # fmt: skip


def test_a_series_opens_as_a_table_and_scrolls_by_keyboard(open_admin):
    page = open_admin(CONTENT, viewport={"width": 390, "height": 844})
    page.locator(".series summary").focus()
    page.keyboard.press("Enter")
    table = page.locator(".series table")
    table.wait_for(state="visible")
    assert table.locator("tbody tr").count() == 72
    page.keyboard.press("Tab")
    focused = page.evaluate_handle("() => document.activeElement")
    assert focused.evaluate("(region) => region.getAttribute('role')") == "region"
    page.keyboard.press("End")
    page.wait_for_function("() => document.activeElement.scrollTop > 0")


def test_the_list_of_contents_leads_to_the_page_and_on_to_a_neighbour(open_admin):
    page = open_admin("/admin/events/content/", viewport={"width": 1440, "height": 900})
    page.locator("td.field-page a").first.click()
    page.locator("#neighbours").wait_for()
    before = page.url
    page.locator(".tiles-row a").first.click()
    page.wait_for_url(lambda url: url != before)
    assert page.locator("#features").is_visible()
