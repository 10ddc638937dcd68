"""Staff log-in: who guesses is locked out, roles can ask for a second factor, and whoever has one must use it."""

import pytest
from django.contrib.auth.models import Group, User
from django.core import checks
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from recsys.checks import second_factor_roles
from recsys.roles import ensure_roles

pytestmark = pytest.mark.django_db
PASSWORD = "a long demo password"
PAGE = "/admin/second-factor/"
LOGIN = "/admin/login/?next=/moderation/"


@pytest.fixture(autouse=True)
def people():
    ensure_roles()
    for name, role in (("ann", "moderator"), ("lea", "moderation lead")):
        User.objects.create_user(name, password=PASSWORD, is_staff=True).groups.add(Group.objects.get(name=role))


def log_in(client, name="ann", password=PASSWORD, **extra):
    return client.post(LOGIN, {"username": name, "password": password}, **extra)


def code_of(name):
    return f"{totp(TOTPDevice.objects.get(user__username=name).bin_key):06d}"


def test_who_guesses_is_locked_out_by_name_and_address_and_nobody_else(client):
    for _ in range(4):
        assert log_in(client, password="guess").status_code == 200
    assert log_in(client, password="guess").status_code == 429
    locked = log_in(client)
    assert locked.status_code == 429
    assert "Too many attempts" in locked.content.decode()
    assert log_in(client, REMOTE_ADDR="10.9.9.9").status_code == 302
    assert log_in(client, name="lea").status_code == 302


def test_a_header_that_no_trusted_proxy_wrote_makes_no_other_address(client, settings):
    for number in range(5):
        log_in(client, password="guess", HTTP_X_FORWARDED_FOR=f"10.0.0.{number}")
    assert log_in(client, HTTP_X_FORWARDED_FOR="10.0.0.77").status_code == 429


def test_a_right_password_clears_what_was_wrong_before(client):
    for _ in range(3):
        log_in(client, password="guess")
    assert log_in(client).status_code == 302
    client.logout()
    for _ in range(4):
        assert log_in(client, password="guess").status_code == 200


def test_without_a_role_that_asks_nobody_needs_a_code(client):
    log_in(client)
    assert client.get("/moderation/").status_code == 200


def test_a_role_that_asks_gets_nowhere_before_the_code(client, settings):
    settings.SECOND_FACTOR_ROLES = frozenset({"moderation lead"})
    log_in(client, name="lea")
    assert client.get("/moderation/").url == f"{PAGE}?next=/moderation/"
    assert client.get("/admin/").url == f"{PAGE}?next=/admin/"
    api = client.get("/api/v1/moderation/cases")
    assert (api.status_code, api.json()["error"]["code"]) == (403, "second_factor_required")
    shown = client.get(PAGE)
    assert shown.status_code == 200
    assert "Your role asks" in shown.content.decode()
    wrong = client.post(PAGE, {"code": "12 34 x"})
    assert wrong.status_code == 400
    assert client.get("/moderation/").status_code == 302
    done = client.post(PAGE, {"code": code_of("lea"), "next": "/moderation/"})
    assert (done.status_code, done.url) == (302, "/moderation/")
    assert client.get("/moderation/").status_code == 200
    assert client.get("/api/v1/moderation/cases").status_code == 200
    # The key is shown once, before it is confirmed.
    client.logout()
    log_in(client, name="lea")
    assert "<code>" not in client.get(PAGE).content.decode()
    assert client.get("/moderation/").status_code == 302
    client.logout()
    log_in(client)
    assert client.get("/moderation/").status_code == 200


def test_whoever_set_one_up_must_use_it_and_a_code_works_once(client):
    log_in(client)
    client.get(PAGE)
    code = code_of("ann")
    assert client.post(PAGE, {"code": code}).status_code == 302
    client.logout()
    log_in(client)
    assert client.get("/moderation/").status_code == 302
    assert client.post(PAGE, {"code": code}).status_code == 400


def test_guessing_codes_is_slowed_down(client, settings):
    settings.SECOND_FACTOR_ROLES = frozenset({"*"})
    log_in(client)
    client.get(PAGE)
    right = code_of("ann")
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    client.post(PAGE, {"code": wrong})
    device = TOTPDevice.objects.get(user__username="ann")
    assert device.throttling_failure_count == 1
    # Each wrong code doubles the wait; ten of them are more than a test takes, however slow.
    device.throttling_failure_count = 10
    device.save()
    assert "wait" in client.post(PAGE, {"code": right}).content.decode()
    device.throttle_reset()
    assert client.post(PAGE, {"code": code_of("ann")}).status_code == 302


def test_the_way_on_never_leads_to_another_host(client):
    log_in(client)
    client.get(PAGE)
    done = client.post(PAGE, {"code": code_of("ann"), "next": "https://evil.example/"})
    assert done.url == "/admin/"


def test_the_page_is_for_staff_who_are_logged_in(client):
    assert client.get(PAGE).url.startswith("/admin/login/")


def test_a_superuser_counts_as_admin(client, settings):
    settings.SECOND_FACTOR_ROLES = frozenset({"admin"})
    client.force_login(User.objects.create_superuser("root"))
    assert client.get("/admin/").url.startswith(PAGE)


def test_a_misspelt_role_is_an_error_of_the_check(settings):
    assert second_factor_roles(None) == []
    settings.SECOND_FACTOR_ROLES = frozenset({"moderatr"})
    (found,) = second_factor_roles(None)
    assert found.level == checks.ERROR
    assert "moderatr" in found.msg
