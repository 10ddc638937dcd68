"""The admin page of filled windows: who sees a reason, and who may try again."""

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from events.models import WindowFill
from tests.events.conftest import NOW

pytestmark = pytest.mark.django_db
LIST = "admin:events_windowfill_changelist"


@pytest.fixture
def failed():
    return WindowFill.objects.create(
        family="session", window_start=NOW, state="aside", events=3, started_at=NOW, attempts=5, retry_at=NOW,
        error='DataError: invalid input syntax: "anna"',
    )  # fmt: skip


def log_in(client, *names):
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)
    return client


def try_again(client, window):
    client.post(reverse(LIST), {"action": "try_again", "_selected_action": [window.pk]})
    window.refresh_from_db()
    return window.state


def test_without_permission_the_page_is_closed(client, failed):
    assert log_in(client).get(reverse(LIST)).status_code == 403


def test_a_viewer_sees_what_kind_of_error_it_was_and_no_value(client, failed):
    log_in(client, "view_windowfill")
    pages = [
        client.get(address).content.decode()
        for address in (reverse(LIST), reverse("admin:events_windowfill_change", args=[failed.pk]))
    ]
    assert "DataError" in pages[0]
    assert all("anna" not in page for page in pages)
    assert try_again(client, failed) == "aside"


def test_whoever_may_reveal_sees_the_whole_reason(client, failed):
    page = log_in(client, "view_windowfill", "reveal_deadletter").get(reverse(LIST)).content.decode()
    assert "anna" in page


def test_whoever_may_change_windows_tries_again(client, failed):
    log_in(client, "view_windowfill", "change_windowfill")
    assert try_again(client, failed) == "started"
    assert (failed.attempts, failed.retry_at) == (0, None)
    assert (
        "None of them failed"
        in client.post(
            reverse(LIST), {"action": "try_again", "_selected_action": [failed.pk]}, follow=True
        ).content.decode()
    )
