"""Who may pass, response headers that every page carries, and which pages of other hosts may call the API."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.cache import patch_vary_headers

from events.authentication import page_origins
from events.errors import error_body
from recsys import roles, second_factor

API_PREFIX: Final = "/api/"
PREFLIGHT_S: Final = 7_200
OPEN: Final = frozenset({"admin:login", "admin:logout", "admin:jsi18n"})
"""Pages of the admin that ask for no second factor: one comes from them, or leaves by them."""
METHODS: Final = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
REQUEST_HEADERS: Final = "authorization, content-type, content-encoding"
EXPOSED: Final = "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Request-ID"

# Swagger UI styles itself with inline style attributes and has one inline boot script of its own.
DOCS_PATH = "/api/docs"
STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
DOCS = STRICT.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'").replace(
    "style-src 'self'", "style-src 'self' 'unsafe-inline'"
)


class Gate:
    """Nobody gets past a route that says nothing of who may; pages of an area need its permission (`roles`)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> HttpResponse | None:
        """None lets the view answer."""
        del args, kwargs
        match = request.resolver_match
        assert match is not None  # Django resolves before it asks
        guard = roles.guard_of(view, namespaces=match.namespaces, name=match.url_name)
        kind, _, permission = guard.partition(" ")
        if kind in {"admin", "area", "staff"} and match.view_name not in OPEN and second_factor.owes_code(request.user):
            if request.path.startswith(API_PREFIX):
                return JsonResponse(error_body("second_factor_required", "give the code of your second factor first"),
                                    status=403)  # fmt: skip
            return redirect_to_login(request.get_full_path(), reverse("second-factor"))
        if kind == "area":
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path(), reverse(settings.LOGIN_URL))
            if request.user.is_staff and request.user.has_perm(permission):
                return None
        elif guard:
            return None
        if request.path.startswith(API_PREFIX):
            return JsonResponse(error_body("forbidden", "not allowed"), status=403)
        raise PermissionDenied


class ContentSecurityPolicy:
    """Nothing is loaded from anywhere but this host, save media from `MEDIA_ORIGINS`; relaxed only for the API page,
    whose asset needs inline code.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        policy = DOCS if request.path.startswith(DOCS_PATH) else STRICT
        response.headers.setdefault("Content-Security-Policy", _with_media(policy, settings.MEDIA_ORIGINS))
        return response


@cache
def _with_media(policy: str, origins: tuple[str, ...]) -> str:
    more = "".join(f" {each}" for each in origins)
    return policy.replace("img-src 'self'", f"img-src 'self'{more}").replace(
        "media-src 'self'", f"media-src 'self'{more}"
    )


class CrossOrigin:
    """CORS below /api/ for exact origins; the answer to any other page carries no permission, so its browser hides it.

    Credentials mode is never allowed: the API knows no cookies, and a page sends its token in a header.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(API_PREFIX):
            return self.get_response(request)
        origin = request.headers.get("Origin")
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        response = HttpResponse(status=204) if origin and asks else self.get_response(request)
        patch_vary_headers(response, ["Origin"])
        if origin and (origin in settings.CORS_ORIGINS or origin in page_origins()):
            response.headers["Access-Control-Allow-Origin"] = origin
            if asks:
                response.headers["Access-Control-Allow-Methods"] = METHODS
                response.headers["Access-Control-Allow-Headers"] = REQUEST_HEADERS
                response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_S)
            else:
                response.headers["Access-Control-Expose-Headers"] = EXPOSED
        return response
