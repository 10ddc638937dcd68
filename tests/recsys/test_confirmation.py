"""What is grave asks for the password once more, unless it was given just now; what was sent is not lost."""

import re

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse

from ranking.models import ModelVersion
from recsys.confirmation import FIELD
from recsys.roles import ensure_roles

pytestmark = pytest.mark.django_db
PASSWORD = "a long demo password"
ROLL_BACK = "/admin/ranking/modelversion/roll-back/"
LIST = "/admin/ranking/modelversion/"


@pytest.fixture
def engineer(client):
    """The browser of an ml-engineer whose password was given long ago."""
    ensure_roles()
    user = User.objects.create_user("eve", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="ml-engineer"), Group.objects.get(name="experimenter"))
    assert client.post("/admin/login/", {"username": "eve", "password": PASSWORD}).status_code == 302
    return client


def forget(client, by_s=16 * 60.0):
    session = client.session
    session["password_given_at"] -= by_s
    session.save()


def test_a_fresh_log_in_is_not_asked(engineer):
    assert engineer.post(ROLL_BACK, {"reason": "worse"}).status_code == 302


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ROLL_BACK, {"reason": "it is worse"}),
        ("/admin/ranking/modelversion/v1/move/", {"to": "champion", "reason": 'a "quoted" <reason>'}),
        (LIST, {"action": "promote", "_selected_action": ["v1", "v2"], "reason": "x"}),
        (LIST, {"action": "roll_back", "_selected_action": ["v1"]}),
        ("/dashboards/experiments/color/step", {"do": "ship", "arm": "treatment"}),
    ],
)
def test_an_old_session_is_asked_and_goes_on_with_what_was_sent(engineer, path, body):
    fresh = engineer.post(path, body)
    forget(engineer)
    asked = engineer.post(path, body)
    page = asked.content.decode()
    assert asked.status_code == 403
    assert "Your password, please" in page
    held = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)
    names = sorted(name for name, _ in held if name != "csrfmiddlewaretoken")
    assert names == sorted(name for name, value in body.items() for _ in ([value] if isinstance(value, str) else value))
    assert "<reason>" not in page
    wrong = engineer.post(path, {**body, FIELD: "guess"})
    assert (wrong.status_code, "not your password" in wrong.content.decode()) == (403, True)
    done = engineer.post(path, {**body, FIELD: PASSWORD})
    assert done.status_code == fresh.status_code != 403
    assert engineer.post(path, body).status_code == fresh.status_code, "and is not asked again"


def test_what_is_not_grave_is_not_asked(engineer):
    forget(engineer)
    assert engineer.get(LIST).status_code == 200
    stopped = engineer.post("/dashboards/experiments/color/step", {"do": "stop", "reason": "x"})
    assert stopped.status_code == 404
    assert not ModelVersion.objects.exists()


def test_guessing_there_locks_out_as_guessing_at_the_door_does(engineer, client):
    forget(engineer)
    for _ in range(5):
        assert engineer.post(ROLL_BACK, {"reason": "x", FIELD: "guess"}).status_code in {403, 429}
    right = engineer.post(ROLL_BACK, {"reason": "x", FIELD: PASSWORD})
    assert right.status_code in {403, 429}
    client.logout()
    assert client.post("/admin/login/", {"username": "eve", "password": PASSWORD}).status_code == 429


def test_who_may_not_is_refused_whatever_the_password(client):
    ensure_roles()
    user = User.objects.create_user("ann", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="analyst"))
    client.force_login(user)
    forget(client)
    refused = client.post(reverse("admin:ranking_model_roll_back"), {"reason": "x", FIELD: PASSWORD})
    assert refused.status_code == 403
    assert "Your password" not in refused.content.decode()
