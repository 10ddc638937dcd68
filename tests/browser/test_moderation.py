"""The moderation queue in a real browser: twenty cases by keyboard alone, undo, pages that fit and do not complain."""

# ruff: noqa: PLC0415  models are imported where Django is set up
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
CASES = 20
SHOTS = os.environ.get("SCREENSHOTS", "")
"""A folder that takes pictures of the page, for people to look at."""
# What a moderator does with each case in turn, and what the content is afterwards.
DAY = [("r", "removed"), ("h", "hidden"), ("a", "active"), ("l", "active"), ("o", "active")] * 4


@pytest.fixture(autouse=True, scope="module")
def _database_beside_the_browser() -> Iterator[None]:
    """Playwright runs an event loop in this thread, beside which Django would refuse to ask the database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield


@pytest.fixture
def queue(settings) -> None:
    """Twenty reported clips, the first of them gravely, and somebody to look at them."""
    settings.RATE_LIMITS = {}
    from django.contrib.auth.models import Group, User
    from django.utils import timezone

    from dashboards import moderation_reports
    from events.catalogue import NewContent, register_content
    from recsys.roles import ensure_roles

    ensure_roles()
    user = User.objects.create_user("ann", password="a long demo password", is_staff=True)
    user.groups.add(Group.objects.get(name="moderator"))
    now = timezone.now()
    for number in range(CASES):
        metadata = {"caption": f"<b>clip</b> {number} " + "with many words " * (number % 4), "tags": ["sea"]}
        picture = "/static/recsys/icon.svg"
        register_content(NewContent(f"clip-{number}", "creator", now, metadata, thumbnail_url=picture))
        subject = moderation_reports.subject_of("content", f"clip-{number}")
        for reporter in range(1 + number % 3):
            reason = "threat" if number == 0 else "spam"
            moderation_reports.report(
                subject, reporter_id=f"r{reporter}", reason=reason, now=now, details="<img src=x onerror=alert(1)>"
            )


@pytest.fixture(params=[(1440, 900, "light"), (1440, 900, "dark"), (390, 844, "light"), (390, 844, "dark")],
                ids=["wide-light", "wide-dark", "phone-light", "phone-dark"])  # fmt: skip
def look(request):
    """Width, height and theme."""
    return request.param


def open_queue(browser: Browser, url: str, look) -> Page:
    width, height, theme = look
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, base_url=url, has_touch=width < 500
    )
    page = context.new_page()
    page.faults = []
    page.on("console", lambda message: message.type == "error" and page.faults.append(message.text))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto("/admin/login/?next=/moderation/")
    page.fill("#id_username", "ann")
    page.fill("#id_password", "a long demo password")
    page.click("[type=submit]")
    page.wait_for_selector("#case:not([hidden])")
    page.wait_for_selector("body:not([data-busy])")  # the list beside the case may still be on its way
    return page


def shown_case(page: Page) -> str:
    return page.inner_text("#case-title")


def press(page: Page, key: str) -> None:
    """A key, and the wait until what it began is over; the page takes no key while it is at work."""
    page.wait_for_selector("body:not([data-busy])")
    page.keyboard.press(key)
    page.wait_for_selector("body:not([data-busy])")


def test_twenty_cases_are_cleared_by_keyboard_alone(browser, live_server, queue):
    from dashboards.moderation_models import ModerationAction, ModerationCase
    from events.queries import content

    page = open_queue(browser, live_server.url, (1440, 900, "light"))
    assert "clip-0" in shown_case(page), "the gravest case comes first"
    assert page.evaluate("document.activeElement.id") == "case-title"
    decided = []
    for key, status in DAY:
        decided.append((shown_case(page).split()[-1], status))
        press(page, key)
    page.wait_for_selector("#nothing:not([hidden])")
    assert len({clip for clip, _ in decided}) == CASES
    assert [content(clip)["status"] for clip, _ in decided] == [status for _, status in decided]
    assert not ModerationCase.objects.exclude(status="closed").exists()
    assert page.faults == []
    # The last one back: it is on the screen again, and nothing of the decision is left.
    press(page, "u")
    assert decided[-1][0] in shown_case(page)
    assert content(decided[-1][0])["imposed_age_rating"] == "everyone"
    press(page, "u")
    assert decided[-2][0] in shown_case(page)
    assert ModerationAction.objects.filter(kind="undo").count() == 2
    page.context.close()


def test_keys_choose_policy_strike_and_preview_and_rest_while_somebody_types(browser, live_server, queue):
    from dashboards.moderation_models import ModerationAction

    page = open_queue(browser, live_server.url, (1440, 900, "light"))
    first = shown_case(page)
    assert page.is_checked("[name=policy][value=threat]"), "what most people said is chosen already"
    assert page.eval_on_selector("#preview img", "img => getComputedStyle(img).filter").startswith("blur")
    press(page, "z")
    assert page.eval_on_selector("#preview img", "img => getComputedStyle(img).filter") == "none"
    press(page, "1")
    press(page, "x")
    page.focus("#note")
    page.keyboard.type("remarkable")
    assert shown_case(page) == first, "letters in a field decide nothing"
    page.keyboard.press("Escape")
    press(page, "r")
    kinds = ModerationAction.objects.filter(actor_id__isnull=False).order_by("id").values_list("kind", "policy", "note")
    assert list(kinds) == [("remove", "child_safety", "remarkable"), ("strike", "child_safety", "remarkable")]
    assert page.inner_text("#toast-text").startswith("Remove")
    second = shown_case(page)
    press(page, "s")
    assert shown_case(page) != second
    press(page, "k")
    assert shown_case(page) == second
    press(page, "?")
    assert page.is_visible("#help")
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    press(page, "r")
    assert shown_case(page) == second, "switched off, keys decide nothing"
    assert page.faults == []
    page.context.close()


def test_a_lead_decides_many_at_once_and_undoes_all_of_it(browser, live_server, queue):
    from django.contrib.auth.models import Group, User

    from dashboards.moderation_models import ModerationCase

    User.objects.get(username="ann").groups.add(Group.objects.get(name="moderation lead"))
    page = open_queue(browser, live_server.url, (1440, 900, "light"))
    page.wait_for_selector("#waiting tr")
    for box in page.query_selector_all("[data-select]")[:5]:
        box.check()
    assert page.inner_text("#bulk-count") == "5"
    page.select_option("#bulk-kind", "remove")
    page.click("#bulk [type=submit]")
    page.wait_for_selector("#toast:not([hidden])")
    assert page.inner_text("#toast-text") == "Remove: 5 of 5 cases"
    assert ModerationCase.objects.filter(shown_status="removed").count() == 5
    page.wait_for_selector("body:not([data-busy])")
    press(page, "u")
    assert ModerationCase.objects.filter(shown_status="active", status="open").count() == CASES
    assert page.faults == []
    page.context.close()


def test_a_long_bulk_action_shows_how_far_it_is_and_can_be_halted(browser, live_server, queue, look):
    from dashboards.moderation_models import ModerationAction, ModerationCase

    make_lead()
    page = open_queue(browser, live_server.url, look)
    page.wait_for_selector("#waiting tr")
    page.check("#bulk-all")
    assert page.inner_text("#bulk [type=submit]") == f"Decide {CASES} cases of 1 author"
    page.select_option("#bulk-kind", "hide")
    held = []

    def hold(route):
        held.append(route)

    page.route("**/api/v1/moderation/bulk", hold)
    page.click("#bulk [type=submit]")
    page.locator("#bulk-done", has_text="0 of 20").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= look[0]
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"bulk-{look[0]}-{look[2]}.png", full_page=True)
    page.click("#bulk-halt")
    held.pop().continue_()
    page.wait_for_selector("#toast:not([hidden])")
    assert page.inner_text("#toast-text") == "Hide: 10 of 20 cases"
    page.wait_for_selector("body:not([data-busy])")
    assert page.is_hidden("#bulk-progress")
    press(page, "u")
    assert held == []
    page.unroute("**/api/v1/moderation/bulk")
    assert ModerationCase.objects.filter(shown_status="active", status="open").count() == CASES
    page.check("#bulk-all")
    page.click("#bulk [type=submit]")
    page.locator("#toast-text", has_text="Hide: 20 of 20 cases").wait_for()
    page.wait_for_selector("body:not([data-busy])")
    batches = ModerationAction.objects.filter(kind="hide").values_list("batch", flat=True)
    assert len(set(batches)) == 2, "one of the first action, one of all pieces of the second"
    press(page, "u")
    assert ModerationCase.objects.filter(shown_status="active", status="open").count() == CASES
    assert page.faults == []
    page.context.close()


def test_a_colleague_who_was_quicker_is_told_and_the_next_case_comes(browser, live_server, queue):
    from django.utils import timezone

    from dashboards import moderation
    from dashboards.moderation_models import ModerationCase

    page = open_queue(browser, live_server.url, (1440, 900, "light"))
    first = shown_case(page)
    case = ModerationCase.objects.get(subject_id=first.split()[-1])
    ModerationCase.objects.filter(pk=case.pk).update(claimed_by=None, claim_expires_at=None)
    decision = moderation.Decision(("approve",))
    moderation.decide(case.pk, decision, moderation.Moderator(999), version=case.version, now=timezone.now())
    press(page, "r")
    assert "the case has changed" in page.inner_text("#say")
    assert shown_case(page) != first
    case.refresh_from_db()
    assert case.shown_status == "active"
    page.context.close()


def test_the_page_fits_and_complains_of_nothing(browser, live_server, queue, look):
    page = open_queue(browser, live_server.url, look)
    page.wait_for_selector("#waiting tr")
    assert page.evaluate("document.documentElement.scrollWidth") <= look[0]
    assert "<b>clip</b>" in page.inner_text("#subject-facts"), "strangers' words are shown as they are"
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"moderation-{look[0]}-{look[2]}.png", full_page=True)
    page.click("[data-kind=remove]")
    page.wait_for_selector("#toast:not([hidden])")
    page.click("#undo")
    page.wait_for_selector("#toast", state="hidden")
    page.wait_for_selector("body:not([data-busy])")
    assert page.evaluate("document.documentElement.scrollWidth") <= look[0]
    assert page.faults == []
    page.context.close()


def make_lead() -> None:
    from django.contrib.auth.models import Group, User

    User.objects.get(username="ann").groups.add(Group.objects.get(name="moderation lead"))


def test_a_lead_stops_a_tag_with_one_click_and_lifts_it_with_one_key(browser, live_server, queue):
    from events.queries import eligible

    make_lead()
    page = open_queue(browser, live_server.url, (1440, 900, "light"))
    assert len(eligible([f"clip-{number}" for number in range(CASES)])) == CASES
    page.click("[data-stop=tag]")
    page.wait_for_selector("#toast:not([hidden])")
    assert page.inner_text("#toast-text") == "Stopped everywhere: tag sea"
    assert eligible([f"clip-{number}" for number in range(CASES)]) == set()
    page.wait_for_selector("body:not([data-busy])")
    press(page, "u")
    assert len(eligible([f"clip-{number}" for number in range(CASES)])) == CASES
    assert page.faults == []
    page.context.close()


def test_a_view_is_narrowed_saved_used_and_forgotten(browser, live_server, queue):
    page = open_queue(browser, live_server.url, (1440, 900, "light"))
    page.wait_for_selector("#waiting tr")
    page.select_option("#narrow-policy", "threat")
    page.wait_for_selector("body:not([data-busy])")
    assert page.locator("#waiting tr").count() == 1
    page.fill("#narrow-name", "threats")
    page.click("#narrow [type=submit]")
    page.wait_for_selector("#saved button")
    page.wait_for_selector("body:not([data-busy])")
    page.select_option("#narrow-policy", "")
    page.wait_for_selector("body:not([data-busy])")
    assert page.locator("#waiting tr").count() == CASES
    page.click("#saved button >> nth=0")
    page.wait_for_selector("body:not([data-busy])")
    assert page.locator("#waiting tr").count() == 1
    page.click("#saved button >> nth=1")
    page.wait_for_selector("#saved button", state="detached")
    assert page.faults == []
    page.context.close()


def test_the_pages_of_stops_rules_and_the_second_factor_fit_and_complain_of_nothing(browser, live_server, queue, look):
    from django.utils import timezone

    from events import stops

    make_lead()
    stops.start("tag", "a-very-long-tag-" * 12, reason="words " * 30, by=1, now=timezone.now())
    page = open_queue(browser, live_server.url, look)
    pages = {
        "stops": "/moderation/stops/", "figures": "/moderation/figures/",
        "dry-run": "/admin/dashboards/screeningrule/dry-run/",
        "rules": "/admin/dashboards/screeningrule/", "second-factor": "/admin/second-factor/",
    }  # fmt: skip
    for name, path in pages.items():
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= look[0], name
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / f"{name}-{look[0]}-{look[2]}.png", full_page=True)
    assert page.faults == []
    page.context.close()
