"""Denied unless said otherwise: every route declares who may, and each role gets to what is its own."""

import pytest
from django.contrib.auth.models import Group, User
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

from recsys.roles import PUBLIC, ROLES, ensure_roles, guard_of

pytestmark = pytest.mark.django_db

OK, NO = 200, 403
# Role by role what is answered, as the rules of the house say it; order of the columns as in ROUTES.
ROUTES = (
    "/admin/", "/moderation/", "/api/v1/moderation/cases", "/admin/events/content/", "/admin/events/userprofile/",
    "/admin/events/event/", "/admin/events/apikey/", "/admin/events/apikey/add/", "/admin/events/deadletter/",
    "/admin/events/deadletter/export.csv", "/admin/features/trend/", "/admin/ranking/modelversion/",
    "/admin/auth/user/", "/api/v1/metrics/definitions",
)  # fmt: skip
MATRIX = {
    "developer":       (OK, NO, NO, OK, NO, OK, OK, OK, OK, OK, OK, OK, NO, OK),
    "analyst":         (OK, NO, NO, OK, OK, OK, NO, NO, OK, OK, OK, OK, NO, OK),
    "moderator":       (OK, OK, OK, OK, OK, OK, NO, NO, NO, NO, NO, NO, NO, NO),
    "moderation lead": (OK, OK, OK, OK, OK, OK, NO, NO, NO, NO, NO, NO, NO, OK),
    "ml-engineer":     (OK, NO, NO, OK, NO, NO, NO, NO, NO, NO, OK, OK, NO, OK),
    "experimenter":    (OK, NO, NO, OK, NO, NO, NO, NO, NO, NO, OK, OK, NO, OK),
    "privacy officer": (OK, NO, NO, OK, OK, OK, NO, NO, OK, NO, OK, NO, NO, OK),
    "admin":           (OK, OK, OK, OK, OK, OK, OK, OK, OK, OK, OK, OK, OK, OK),
}  # fmt: skip
LEADS_ONLY = "/api/v1/moderation/bulk"


def routes(patterns=None, prefix="", namespaces=()):
    """Every route of the URLconf: path, view, namespaces and name."""
    for each in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            inside = (*namespaces, each.namespace) if each.namespace else namespaces
            yield from routes(each.url_patterns, path, inside)
        elif isinstance(each, URLPattern):
            yield path, each.callback, namespaces, each.name


@pytest.fixture
def staff():
    """A member of staff with one role."""
    ensure_roles()

    def make(role):
        user, _ = User.objects.get_or_create(username=role or "nobody", is_staff=True)
        if role:
            user.groups.add(Group.objects.get(name=role))
        return user

    return make


def test_every_route_declares_who_may_use_it():
    listed = list(routes())
    assert len(listed) > 100
    undeclared = [path for path, view, spaces, name in listed if not guard_of(view, namespaces=spaces, name=name)]
    assert undeclared == []


def test_a_view_that_names_nothing_is_undeclared():
    def view(request):
        raise AssertionError("never called")

    assert guard_of(view, namespaces=(), name="new-page") == ""
    assert guard_of(APIView.as_view(), namespaces=(), name="new-door") == ""
    assert guard_of(view, namespaces=("new-area",), name="index") == ""


def test_public_routes_exist_and_are_few():
    names = {name for _, _, spaces, name in routes() if not spaces}
    assert names >= PUBLIC
    assert len(PUBLIC) == 8


def test_the_matrix_knows_every_role():
    assert set(MATRIX) == set(ROLES)


@pytest.mark.parametrize("role", [*MATRIX, None])
def test_each_role_gets_to_what_is_its_own_and_nowhere_else(role, staff, client):
    client.force_login(staff(role))
    expected = dict(zip(ROUTES, MATRIX[role], strict=True)) if role else {**dict.fromkeys(ROUTES, NO), "/admin/": OK}
    assert {path: client.get(path).status_code for path in ROUTES} == expected


@pytest.mark.parametrize("role", MATRIX)
def test_bulk_actions_are_for_leads(role, staff, client):
    client.force_login(staff(role))
    answer = client.post(LEADS_ONLY, {}, content_type="application/json")
    # An empty body is wrong, and only who may send one learns that.
    assert answer.status_code == (400 if role in {"moderation lead", "admin"} else 403)


def test_who_is_not_logged_in_is_asked_to_or_told_so(client):
    assert client.get("/moderation/").url == "/admin/login/?next=/moderation/"
    answer = client.get("/api/v1/moderation/cases")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


def test_a_user_who_is_no_staff_gets_nowhere_whatever_the_groups(staff, client):
    user = staff("admin")
    user.is_staff = False
    user.save()
    client.force_login(user)
    assert client.get("/moderation/").status_code == 403
    assert client.get("/api/v1/moderation/cases").status_code == 403
    assert client.get("/admin/events/content/").status_code == 302


@pytest.mark.parametrize("role", MATRIX)
def test_pages_of_the_dashboards_are_for_whoever_may_see_figures(role, staff, client, settings):
    settings.ROOT_URLCONF = "tests.recsys.undeclared_urls"
    client.force_login(staff(role))
    assert client.get("/dashboards/any-page").status_code == (403 if role == "moderator" else 200)


def test_an_undeclared_route_answers_nobody(staff, client, settings):
    settings.ROOT_URLCONF = "tests.recsys.undeclared_urls"
    client.force_login(User.objects.create_superuser("root"))
    assert client.get("/secret").status_code == 403
    assert client.get("/api/secret").json()["error"]["code"] == "forbidden"


def test_roles_are_there_after_the_migrations_and_keep_what_an_admin_added(staff):
    group = Group.objects.get(name="moderator")
    had = group.permissions.count()
    group.permissions.add(*Group.objects.get(name="analyst").permissions.all())
    group.permissions.remove(group.permissions.get(codename="decide_moderationcase"))
    assert ensure_roles() == []
    assert group.permissions.filter(codename="decide_moderationcase").exists()
    assert group.permissions.count() > had
