"""The screens of experiments in a real browser: set up, estimate, start, look, stop; on a phone and on a desk."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.stack]
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize(("name", "width"), [("desk", 1440), ("phone", 390)])
def test_an_experiment_is_set_up_started_and_stopped_by_its_screens(open_admin, stack, name, width):
    page = open_admin("/dashboards/experiments/new", viewport={"width": width, "height": 900})
    assert page.evaluate(OVERFLOW) == 0
    page.fill("input[name=key]", f"browser-{name}")
    page.fill("input[name=title]", f"Tried on a {name}")
    page.locator("textarea[name=arm_overrides]").nth(1).fill('{"theta": 3}')
    page.select_option("select[name=goals]", ["views"])
    page.click("button[value=plan]")
    page.get_by_text("Users per arm").wait_for()
    assert page.input_value("input[name=key]") == f"browser-{name}"
    page.click("button[value=create]")
    page.get_by_role("button", name="Start").wait_for()
    form = page.locator("form", has=page.get_by_role("button", name="Start"))
    form.locator("input[name=reason]").fill("to learn")
    form.get_by_role("button", name="Start").click()
    page.locator(".state.running").wait_for()
    arms = {stack.feed(f"seen-{number}")["experiments"][0]["variant"]
            for number in range(12) if stack.feed(f"seen-{number}")["experiments"]}  # fmt: skip
    assert arms == {"control", "treatment"}
    page.get_by_role("button", name="Read now").click()
    page.get_by_text("Exposed to treatment").wait_for()
    assert page.evaluate(OVERFLOW) == 0
    form = page.locator("form", has=page.get_by_role("button", name="Stop"))
    form.locator("input[name=reason]").fill("seen enough")
    form.get_by_role("button", name="Stop").click()
    page.locator(".state.stopped").wait_for()
    assert page.get_by_role("region", name="Log of decisions").get_by_role("row").count() == 4
