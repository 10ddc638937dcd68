"""The demo player at `/`: a page that watches the feed as any person it likes, and the door that renews its token.

Both doors answer only while `settings.DEMO_PLAYER` is on. They hand out tokens for every user id they are asked for,
which is right for trying the feed out and wrong for a site with real people: those get their tokens from the site's
own server through `POST /api/v1/auth/client-token`. The player itself uses nothing but the public API.

A visitor is a new person by default: a random id kept in a cookie. Posting to `/` starts over as another one;
`?user=` plays as somebody else, such as one of the demo personas.
"""

import re
import secrets
from datetime import timedelta
from http import HTTPStatus

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from events.client_tokens import mint
from events.queries import demo_personas

API_BASE = "/api/v1"
PLAYER_PATH = "/"
TOKEN_PATH = "/player/token"  # noqa: S105 - a path, no secret
TOKEN_LIFETIME_S = 3600
GUEST_COOKIE = "recsys_guest"
GUEST_LIFETIME = timedelta(days=365)
GUEST_ID = re.compile(r"guest-[0-9a-f]{12}")
USER_ID = re.compile(r"[\w.@:+-]{1,128}")
PERSONA_COUNT = 6
# Small pages: the next one already follows what was watched a handful of clips ago.
PAGE_SIZE = 6


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def player(request: HttpRequest) -> HttpResponse:
    """The player's page (GET), or a start over as a new guest (POST)."""
    if not settings.DEMO_PLAYER:
        return redirect(settings.LOGIN_URL)
    if request.method == "POST":
        return _remember_guest(HttpResponseRedirect(PLAYER_PATH), _new_guest())
    user_id = _chosen_user(request)
    guest = request.COOKIES.get(GUEST_COOKIE, "")
    if user_id is None and not GUEST_ID.fullmatch(guest):
        guest = _new_guest()
    token, expires_at = mint(user_id or guest, now=timezone.now(), ttl_s=TOKEN_LIFETIME_S)
    personas = [
        {"user_id": persona, "label": label, "current": persona == user_id}
        for persona, label in demo_personas(limit=PERSONA_COUNT)
    ]
    config = {
        "apiBase": API_BASE,
        "userId": user_id or guest,
        "token": token,
        "expiresAt": expires_at.isoformat(),
        "tokenUrl": TOKEN_PATH + (f"?{urlencode({'user': user_id})}" if user_id else ""),
        "csrfToken": get_token(request),
        "pageSize": PAGE_SIZE,
    }
    label = next((persona["label"] for persona in personas if persona["current"]), user_id or "New user")
    context = {"config": config, "personas": personas, "label": label, "is_guest": user_id is None}
    response = render(request, "feed/player.html", context)
    return response if user_id else _remember_guest(response, guest)


@never_cache
@require_POST
def player_token(request: HttpRequest) -> JsonResponse:
    """A fresh token for the person the player's page acts for."""
    user_id = request.GET.get("user") or request.COOKIES.get(GUEST_COOKIE, "")
    if not settings.DEMO_PLAYER:
        return _refusal(HTTPStatus.NOT_FOUND, "not_found", "The demo player is switched off.")
    if not USER_ID.fullmatch(user_id):
        message = f"?user= or the guest cookie must name a user; got {user_id[:200]!r}"
        return _refusal(HTTPStatus.BAD_REQUEST, "invalid_user_id", message)
    token, expires_at = mint(user_id, now=timezone.now(), ttl_s=TOKEN_LIFETIME_S)
    return JsonResponse({"token": token, "expires_at": expires_at.isoformat()})


def _chosen_user(request: HttpRequest) -> str | None:
    """The user named by `?user=`, None without one."""
    user_id = request.GET.get("user")
    if user_id and not USER_ID.fullmatch(user_id):
        raise BadRequest(f"user must match {USER_ID.pattern}; got {user_id[:200]!r}")
    return user_id or None


def _new_guest() -> str:
    return f"guest-{secrets.token_hex(6)}"


def _remember_guest(response: HttpResponse, guest: str) -> HttpResponse:
    secure = settings.SESSION_COOKIE_SECURE
    response.set_cookie(GUEST_COOKIE, guest, max_age=GUEST_LIFETIME, httponly=True, samesite="Lax", secure=secure)
    return response


def _refusal(status: HTTPStatus, code: str, message: str) -> JsonResponse:
    return JsonResponse({"error": {"code": code, "message": message, "details": {}}}, status=status)
