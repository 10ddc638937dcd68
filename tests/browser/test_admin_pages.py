"""The admin pages of the ingestion layer in a real browser: whole at 1440 and at 390 pixels, in both themes, no errors.

What a page must not do: be wider than the screen, break the content security policy, or log an error.
"""

# ruff: noqa: PLC0415  models are imported where Django is set up
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAGES = {
    "index": "/admin/",
    "keys": "/admin/events/apikey/",
    "key-add": "/admin/events/apikey/add/",
    "letters": "/admin/events/deadletter/",
    "letter": "/admin/events/deadletter/{letter}/change/",
    "events": "/admin/events/event/",
    "event": "/admin/events/event/{event}/change/",
    "contents": "/admin/events/content/",
    "content": "/admin/events/content/clip-1/change/",
    "users": "/admin/events/userprofile/",
    "user": "/admin/events/userprofile/user-1/change/",
    "windows": "/admin/events/windowfill/",
    "sessions": "/admin/events/session/",
    "session": "/admin/events/session/{session}/change/",
    "programs": "/admin/events/automatedhour/",
    "imports": "/admin/events/importprogress/",
}


@pytest.fixture(autouse=True, scope="module")
def _database_beside_the_browser() -> Iterator[None]:
    """Playwright runs an event loop in this thread, beside which Django would refuse to ask the database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield


@pytest.fixture
def ids() -> dict[str, str]:
    """Rows of every kind, long ids and hostile texts among them."""
    from django.contrib.auth.models import User

    from events import api_keys, catalogue, log_writer, sessions, traffic
    from events.ingestion import ingest
    from events.models import DeadLetter, Event, ImportProgress, Session

    log_writer.forget()
    User.objects.create_superuser("admin", password="a long demo password")
    api_keys.create_key("shop backend")
    api_keys.create_key("page", kind="publishable", origins=["https://app.example.com"])
    ImportProgress.objects.create(source="movielens", fingerprint="ab" * 32, rows_done=1_234_567)
    for number in range(12):
        caption = "<b>long</b> caption " * (number + 1)
        metadata = {"caption": caption, "tags": ["a", "b"], "category": "food"}
        catalogue.register_content(catalogue.NewContent(f"clip-{number}", f"creator-{number}", NOW, metadata))
    raw = [
        {
            "event_id": str(uuid.UUID(int=number + 1)),
            "event_type": "view",
            "user_id": f"user-{number % 3}" if number % 7 else "a-very-long-user-id-" * 9,
            "content_id": f"clip-{number % 12}",
            "watch_duration": 4.5 if number % 5 else -1,
            "timestamp": (NOW - timedelta(minutes=7 * number)).isoformat(),
            "additional_info": {"device": "phone", "note": "x" * 300},
        }
        for number in range(70)
    ]
    ingest([json.dumps(event).encode() for event in raw], now=NOW, source="api")
    sessions.rebuild_sessions(until=NOW)
    traffic.mark_automated(until=NOW)
    return {
        "letter": str(DeadLetter.objects.first().pk),
        "event": str(Event.objects.first().pk),
        "session": str(Session.objects.first().pk),
    }


@pytest.fixture(params=[(1440, 900), (390, 844)], ids=["wide", "phone"])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    return request.param


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, live_server, ids, size) -> Iterator[Page]:
    """A page of somebody who has logged in; whatever it complains about is collected in `page.faults`."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=request.param, base_url=live_server.url
    )
    page = context.new_page()
    page.faults = []
    page.on("console", lambda message: message.type == "error" and page.faults.append(message.text))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto("/admin/login/?next=/admin/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", "a long demo password")
    page.click("[type=submit]")
    page.wait_for_url("**/admin/")
    yield page
    context.close()


def test_no_page_is_wider_than_the_screen_or_complains(page, ids, size):
    for name, path in PAGES.items():
        answer = page.goto(path.format(**ids))
        assert answer.status == 200, name
        width = page.evaluate("document.documentElement.scrollWidth")
        assert (name, max(width, size[0])) == (name, size[0])
    assert page.faults == []


def test_a_new_key_is_shown_once_and_wrong_origins_are_named(page, ids):
    page.goto("/admin/events/apikey/add/")
    page.fill("#id_name", "checkout")
    page.select_option("#id_kind", "publishable")
    page.fill("#id_origins", "https://app.example.com/path")
    page.click("[name=_save]")
    assert "an origin looks like" in page.inner_text(".field-origins .errorlist")
    page.fill("#id_origins", "https://app.example.com")
    page.check("text=feed:read")
    page.click("[name=_save]")
    shown = page.inner_text(".messagelist")
    assert "cannot be shown again" in shown
    secret = next(word for word in shown.split() if word.startswith("pk_") and len(word) == 52)
    page.reload()
    assert secret not in page.content()
    assert page.faults == []
