"""Every route of the URLconf asked by every role: it answers whoever its declaration names, and nobody else."""

import re

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.test import RequestFactory

from recsys.roles import AREAS, LOGGED_IN, ROLES, ensure_roles, guard_of
from tests.recsys.test_roles import routes

pytestmark = pytest.mark.django_db
FILLED = {
    "int": "1", "uuid": "8a5f3c2f-0c7d-4a0f-8e9a-532f7a4f1f6c", "path": "nobody", "str": "nobody", "slug": "nobody",
}  # fmt: skip
# Pages of the admin that are no list, form or history of a model; what each needs, "" for all staff.
ADMIN_PAGES = {
    "index": "", "login": "", "logout": "", "password_change": "", "password_change_done": "", "jsi18n": "",
    "autocomplete": None, "view_on_site": None, "app_list": None, "auth_user_password_change": None,
    "events_deadletter_csv": "events.export_deadletter", "events_deadletter_jsonl": "events.export_deadletter",
    "events_deadletter_letter": "events.view_deadletter",
    "dashboards_screeningrule_dry_run": "dashboards.view_screeningrule",
    "features_content_page": "events.view_content", "features_user_page": "events.view_userprofile events.view_event",
    "features_trend_page": "features.view_trend",
    "ranking_model_roll_back": None, "ranking_model_move": None,
    "ranking_feed_page": "ranking.view_served events.view_userprofile events.view_event",
    "otp_totp_totpdevice_config": None, "otp_totp_totpdevice_qrcode": None,
}  # fmt: skip
"""Several permissions: all of them. None: it answers by the object that is asked about; nobody's is asked here."""
NARROWER = {
    "stops": "dashboards.lead_moderationcase", "transparency": "dashboards.lead_moderationcase",
    "alerts": "dashboards.view_alertincident", "incident": "dashboards.view_alertincident",
    "incident-ack": "dashboards.ack_alertincident", "incident-silence": "dashboards.add_alertsilence",
    "experiment-new": "ranking.run_experiment",
}  # fmt: skip
"""Pages of an area that need more than the area."""
STANDARD = re.compile(r"(?P<model>.+)_(?P<page>changelist|add|change|delete|history)$")


def filled(path):
    """A route with something in the place of each parameter."""
    text = re.sub(r"(?<!P)<(?:(\w+):)?\w+>", lambda found: FILLED[found.group(1) or "str"], path)
    return "/" + re.sub(r"\(\?P<\w+>[^)]*\)|[\\^$?]|\.\*", "", text)


def pages():
    """Path, guard, name of every route that a browser of staff can ask for, the catch-all of the admin left out."""
    for path, view, spaces, name in routes():
        if name is not None:
            yield filled(path), guard_of(view, namespaces=spaces, name=name), name


def needed(guard, name):
    """Permissions, of which a route needs one; () where it needs none beside staff, None where it is not asked."""
    kind, _, permission = guard.partition(" ")
    if kind in {"staff", "area"}:
        return (NARROWER.get(name, permission),)
    if kind == "admin":
        standard = STANDARD.match(name)
        if standard is None or name in ADMIN_PAGES:
            wanted = ADMIN_PAGES.get(name, "undeclared")
            return None if wanted is None else (wanted,) if wanted else ()
        app = next(each.label for each in apps.get_app_configs() if standard["model"].startswith(f"{each.label}_"))
        model = standard["model"].removeprefix(f"{app}_")
        if standard["page"] == "changelist":
            return (f"{app}.view_{model}", f"{app}.change_{model}")
        return (f"{app}.add_{model}",) if standard["page"] == "add" else None
    return None


@pytest.fixture
def logged_in(client, settings):
    """The client of a role."""
    settings.RATE_LIMITS = {}
    ensure_roles()

    def log_in(role):
        user = User.objects.create_user(role or "nobody", is_staff=True)
        if role:
            user.groups.add(Group.objects.get(name=role))
        client.raise_request_exception = False
        client.force_login(user)
        return client, User.objects.get(pk=user.pk)

    return log_in


def list_of(name):
    """The model whose list a route of the admin is; None for other pages."""
    models = {f"{each._meta.app_label}_{each._meta.model_name}": each for each in admin.site._registry}
    return models.get(name.removesuffix("_changelist")) if name.endswith("_changelist") else None


def refuses_adding(name):
    """Whether a model can be added by nobody at all, not even by a superuser: rows to look at."""
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True)
    return not admin.site._registry[list_of(f"{name}_changelist")].has_add_permission(request)


@pytest.mark.parametrize("role", [*ROLES, None])
def test_every_route_answers_whom_it_names_and_refuses_the_others(role, logged_in):
    client, user = logged_in(role)
    wrong, asked = [], 0
    for path, guard, name in pages():
        wanted = needed(guard, name)
        if wanted is None or name == "logout":
            continue
        asked += 1
        allowed = not wanted or any(user.has_perms(each.split()) for each in wanted)
        if name.endswith("_add") and refuses_adding(name.removesuffix("_add")):
            allowed = False
        if guard == "admin" and allowed and role != "admin" and (asked_of := list_of(name)):
            # A list takes long to draw; its own question is the same for every role, and `admin` is shown all of them.
            request = RequestFactory().get(path)
            request.user = user
            status = 200 if admin.site._registry[asked_of].has_view_or_change_permission(request) else 403
        else:
            status = client.get(path).status_code
        if status >= 500 or (status == 403) == allowed:
            wrong.append((path, guard, wanted, status))
    assert wrong == []
    assert asked > 100


def test_no_page_of_the_admin_is_left_undeclared():
    assert [name for _, guard, name in pages() if needed(guard, name) == ("undeclared",)] == []


def test_every_api_door_refuses_who_has_no_key(logged_in):
    client, _ = logged_in("admin")
    doors = [path for path, guard, _ in pages() if guard.startswith("scope ")]
    assert len(doors) > 30
    open_doors = {path for path in doors if client.get(path).status_code not in {401, 403, 405}}
    # Figures are for staff as well; whoever may not see them is asked above.
    assert all(
        re.match(r"/api/v1/(metrics|retention|active-days|alerts|experiments|funnels|live|system)", path)
        for path in open_doors
    ), open_doors


def test_what_needs_no_permission_is_listed_here():
    assert {"second-factor"} == LOGGED_IN
    assert AREAS == {
        "dashboards": "dashboards.view_kpipoint", "moderation": "dashboards.decide_moderationcase",
    }  # fmt: skip


def test_a_path_can_be_filled_for_every_route():
    unfilled = [path for path, _, _ in pages() if "<" in path or "(" in path]
    assert unfilled == []
