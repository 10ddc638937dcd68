"""Ask for the password once more before what is grave: letting models serve and taking them back, shipping.

A session in which the password was given within `FRESH` passes; any other is answered with a page that asks for it and
holds what was sent, so that nothing has to be done twice. Wrong passwords count as wrong log-ins do (django-axes).
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from django.contrib import admin
from django.contrib.auth import authenticate
from django.contrib.auth.models import AbstractBaseUser, User
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

FRESH: Final = timedelta(minutes=15)
FIELD: Final = "confirm_password"
_SEEN: Final = "password_given_at"
GRAVE_ROUTES: Final = frozenset({"admin:ranking_model_move", "admin:ranking_model_roll_back"})
GRAVE_ACTIONS: Final = {
    "admin:ranking_modelversion_changelist": ("action", frozenset({"promote", "roll_back"})),
    "dashboards:experiment-step": ("do", frozenset({"ship"})),
}
"""Routes on which some choices of one field are grave."""


def remember(request: HttpRequest | None = None, **_: Any) -> None:
    """The password was given just now."""
    if request is not None and hasattr(request, "session"):
        request.session[_SEEN] = timezone.now().timestamp()


user_logged_in.connect(remember, dispatch_uid="recsys.confirmation")


class FreshPassword:
    """Asks before a view that does something grave; behind the gate, so nobody is asked who gets nowhere anyway."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        """None lets the view answer."""
        match = request.resolver_match
        assert match is not None  # Django resolves before it asks
        return challenge(request) if is_grave(match.view_name, request) else None


def is_grave(route: str, request: HttpRequest) -> bool:
    """Whether a request asks for what needs a fresh password."""
    if request.method != "POST":
        return False
    # Only of these routes is the form read: looking into it takes the body from a view that reads it itself.
    field, values = GRAVE_ACTIONS.get(route, ("", frozenset()))
    return route in GRAVE_ROUTES or (bool(values) and request.POST.get(field) in values)


def challenge(request: HttpRequest) -> HttpResponse | None:
    """None for a fresh session or a right password; else the page that asks."""
    user = request.user
    if not isinstance(user, User) or not user.is_staff or _is_fresh(request):
        return None
    error = ""
    if FIELD in request.POST:
        found: AbstractBaseUser | None = authenticate(
            request, username=user.get_username(), password=request.POST[FIELD]
        )
        if found is not None and found.pk == user.pk:
            remember(request)
            return None
        error = "That is not your password, or there were too many wrong ones: then wait a quarter of an hour."
    held = [(name, value) for name, values in request.POST.lists() if name not in {FIELD, "csrfmiddlewaretoken"}
            for value in values]  # fmt: skip
    context = {**admin.site.each_context(request), "title": "Your password, please", "held": held, "error": error,
               "field": FIELD, "minutes": int(FRESH.total_seconds() // 60)}  # fmt: skip
    return TemplateResponse(request, "admin/confirm_password.html", context, status=403)


def _is_fresh(request: HttpRequest) -> bool:
    given = request.session.get(_SEEN)
    return isinstance(given, float) and 0.0 <= timezone.now().timestamp() - given < FRESH.total_seconds()
