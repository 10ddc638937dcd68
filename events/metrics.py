"""The Prometheus page: for staff, or for a scraper that knows METRICS_TOKEN; for anyone else it does not exist."""

import hmac
import os
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, multiprocess

from events import dead_letters, telemetry, windows

MEASURES: Final[list[Callable[[], None]]] = []
"""What other apps set their gauges with before each scrape; they add it themselves, as this one does not know them."""


@never_cache
def show(request: HttpRequest) -> HttpResponse:
    """All counters in Prometheus' text format, summed over the web workers where there are several."""
    if not _may_see(request):
        raise Http404
    _measure()
    registry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        # Each worker writes its own files; reading only this process would make counters jump between scrapes.
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # untyped upstream
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _measure() -> None:
    """Set the gauges that describe the database; they keep their value while it is away."""
    try:
        telemetry.DEAD_LETTERS.set(dead_letters.depth())
        for family, lag_s in windows.lags(now=timezone.now()).items():
            telemetry.WINDOW_LAG.labels(family).set(lag_s)
        for family, hours in windows.set_aside().items():
            telemetry.WINDOWS_ASIDE.labels(family).set(hours)
        for measure in MEASURES:
            measure()
    except Error:
        return


def _may_see(request: HttpRequest) -> bool:
    token = getattr(settings, "METRICS_TOKEN", "")
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if token and hmac.compare_digest(given.encode(), token.encode()):
        return True
    return bool(request.user.is_active and request.user.is_staff)
