"""Demo log-ins: made once, never changed."""

import pytest
from django.contrib.auth.models import User

from recsys.accounts import ensure_demo_logins

pytestmark = pytest.mark.django_db


def test_a_log_in_per_demo_role_is_made():
    assert ensure_demo_logins("pass phrase one") == [
        ("superuser", "admin"),
        ("moderator", "moderator"),
        ("moderation lead", "lead"),
        ("analyst", "analyst"),
    ]
    assert all(user.is_staff and user.check_password("pass phrase one") for user in User.objects.all())
    assert list(User.objects.filter(is_superuser=True).values_list("username", flat=True)) == ["admin"]


def test_existing_accounts_keep_password_and_rights():
    ensure_demo_logins("pass phrase one")
    User.objects.get(username="analyst").groups.clear()
    User.objects.filter(username="moderator").update(is_staff=False)
    ensure_demo_logins("pass phrase two")
    assert User.objects.get(username="admin").check_password("pass phrase one")
    assert not User.objects.get(username="moderator").is_staff
    assert not User.objects.get(username="analyst").groups.exists()


def test_a_moderator_changes_contents_and_nothing_else():
    ensure_demo_logins("pass phrase one")
    moderator, analyst = (User.objects.get(username=name) for name in ("moderator", "analyst"))
    assert moderator.has_perm("events.change_content")
    assert not any(moderator.has_perm(f"events.{verb}_event") for verb in ("add", "change", "delete"))
    assert not moderator.has_perm("events.view_apikey")
    changes = {
        name for name in analyst.get_all_permissions() if name.split(".")[1].startswith(("add_", "change_", "delete_"))
    }
    # Silencing an alert is part of reading it.
    assert changes == {"dashboards.add_alertsilence"}
