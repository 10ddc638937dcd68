"""Response headers that every page carries, and which pages of other hosts may call the API."""

from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from events.authentication import page_origins

API_PREFIX: Final = "/api/"
PREFLIGHT_S: Final = 7_200
METHODS: Final = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
REQUEST_HEADERS: Final = "authorization, content-type, content-encoding"
EXPOSED: Final = "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"

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


class ContentSecurityPolicy:
    """Nothing is loaded from anywhere but this host; relaxed only for the API page, whose asset needs inline code."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        policy = DOCS if request.path.startswith(DOCS_PATH) else STRICT
        response.headers.setdefault("Content-Security-Policy", policy)
        return response


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
