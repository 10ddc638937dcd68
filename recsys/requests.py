"""Every request has an id: in the log lines that belong to it, in its answer's header, and in the body of a failure.

A caller may bring its own in `X-Request-ID`, so that one id leads through several systems.
"""

import json
import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from recsys.logs import REQUEST_ID

HEADER: Final = "X-Request-ID"
# In the environment of the request, which both doors of the events share (`events_door`).
RELEASE_HEADER: Final = "X-Release"
"""On answers about health only: deployments look there for what runs."""
KEPT: Final = "recsys.request_id"
HEALTH: Final = frozenset({"/livez", "/readyz"})
QUIET: Final = HEALTH | {"/metrics"}
_FIT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}\Z")
FAILURES: Final = 500

logger = logging.getLogger("recsys.requests")


class RequestIds:
    """Middleware, outside of all others: gives the id, and writes a line for every answer if `LOG_REQUESTS` is on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.writes = settings.LOG_REQUESTS

    def __call__(self, request: HttpRequest) -> HttpResponse:
        name = request.META.get(KEPT) or request.META.setdefault(KEPT, _id_of(request.headers.get(HEADER, "")))
        token = REQUEST_ID.set(name)
        started = time.perf_counter()
        try:
            response = self.get_response(request)
            response.headers[HEADER] = name
            if request.path in HEALTH and settings.RELEASE:
                response.headers[RELEASE_HEADER] = settings.RELEASE
            if response.status_code >= FAILURES:
                _name_in_body(response, name)
            if self.writes and request.path not in QUIET:
                _write(request, response, time.perf_counter() - started)
            return response
        finally:
            REQUEST_ID.reset(token)


def _id_of(given: str) -> str:
    """The caller's id where it is one, so that nothing else gets into a log by this way."""
    return given if _FIT.match(given) else uuid.uuid4().hex


def _name_in_body(response: HttpResponse, name: str) -> None:
    """Whoever reports a failure copies the body, not the headers."""
    if response.streaming or response.headers.get("Content-Type") != "application/json":
        return
    body = json.loads(response.content)
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return
    error["details"] = {**(error.get("details") or {}), "request_id": name}
    response.content = json.dumps(body).encode()
    if response.has_header("Content-Length"):
        response.headers["Content-Length"] = str(len(response.content))


def _write(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    """Without the query string: beacons and searches carry what is nobody's business."""
    fields = {
        "method": request.method, "path": request.path, "status": response.status_code,
        "ms": round(seconds * 1000, 1),
    }  # fmt: skip
    logger.info("%(method)s %(path)s %(status)s", fields, extra={"fields": fields})
