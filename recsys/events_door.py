"""The quick door of `POST /api/v1/events`: it answers what is accepted, and leaves everything else to Django.

For a single event, Django's handler and the REST framework cost several times what storing it costs. This WSGI
application stands in front of them, takes plain requests itself through the function that the view shares
(`events.intake`), and sends them through the same middleware, but for what a request without cookies has no use for.
It never words a refusal: what was raised goes on to the view, which raises it again and answers as it always does. So
one place decides, one place explains, and a client cannot tell the doors apart.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.core.signals import request_started
from django.http import HttpRequest, HttpResponse
from django.urls import resolve, reverse
from django.utils.module_loading import import_string
from django_prometheus.middleware import PrometheusAfterMiddleware, PrometheusBeforeMiddleware
from django_prometheus.utils import Time
from rest_framework.renderers import JSONRenderer

from events import intake
from events.views import EventsView

# Cookies, forms and static files, none of which this path has; the counters are fed apart, see `_count`.
LEFT_OUT: Final = frozenset(
    {
        "django_prometheus.middleware.PrometheusBeforeMiddleware",
        "whitenoise.middleware.WhiteNoiseMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        # They guard views, and this is none; `intake` asks for the scope.
        "recsys.middleware.Gate",
        "recsys.confirmation.FreshPassword",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django_prometheus.middleware.PrometheusAfterMiddleware",
    }
)
# With anything else the framework has a choice to make: another parser, another form of the answer.
PLAIN_TYPES: Final = frozenset({"application/json", "application/json; charset=utf-8"})
PLAIN_ACCEPT: Final = frozenset({"", "*/*", "application/json"})


class _LeftToDjango(Exception):
    """No error, but the way out of the middleware: the request was refused."""


class EventsDoor:
    """A WSGI application that answers accepted batches itself and hands all other requests to `django`."""

    def __init__(self, django: WSGIApplication) -> None:
        self._django = django
        self._path = reverse("events")
        self._match = resolve(self._path)
        self._allow = ", ".join(EventsView().allowed_methods)
        self._renderer = JSONRenderer()
        self._before = PrometheusBeforeMiddleware(_nowhere)
        self._after = PrometheusAfterMiddleware(_nowhere)
        self._handle: Callable[[HttpRequest], Any] = self._take_in
        for name in reversed(settings.MIDDLEWARE):
            if name not in LEFT_OUT:
                self._handle = import_string(name)(self._handle)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        response = self._answer(environ) if self._is_plain(environ) else None
        if response is None:
            return self._django(environ, start_response)
        start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
        return response

    def _is_plain(self, environ: dict[str, Any]) -> bool:
        length = environ.get("CONTENT_LENGTH", "")
        return bool(
            environ["REQUEST_METHOD"] == "POST"
            and environ["PATH_INFO"] == self._path
            and not environ.get("SCRIPT_NAME")
            and not environ.get("QUERY_STRING")
            and environ.get("CONTENT_TYPE", "").lower() in PLAIN_TYPES
            and environ.get("HTTP_ACCEPT", "") in PLAIN_ACCEPT
            and length.isdecimal()
            and length.strip("0")
        )

    def _answer(self, environ: dict[str, Any]) -> HttpResponse | None:
        started = Time()
        request_started.send(sender=type(self), environ=environ)
        request = WSGIRequest(environ)
        request.resolver_match = self._match
        try:
            response: HttpResponse = self._handle(request)
        except _LeftToDjango:
            return None
        except Exception as error:
            # Some middleware's: Django's own round through it raises it again, or else the view does.
            intake.keep_refusal(environ, error)
            return None
        if response.status_code != intake.STATUS:
            return None  # a middleware's own answer, such as the way to https
        self._count(request, response, started)
        response._handler_class = type(self)  # type: ignore[attr-defined]  # whose `request_finished` its end sends
        return response

    def _take_in(self, request: HttpRequest) -> HttpResponse:
        try:
            report = intake.answer(request)
        except Exception as error:
            intake.keep_refusal(request.META, error)
            raise _LeftToDjango from None
        return HttpResponse(
            self._renderer.render(report),
            content_type="application/json",
            status=intake.STATUS,
            headers={"Allow": self._allow},
        )

    def _count(self, request: HttpRequest, response: HttpResponse, started: float) -> None:
        """Count an answered request as the counting middleware does; the others are counted on their way."""
        self._before.process_request(request)
        self._after.process_request(request)
        self._after.process_view(request, None)
        request.prometheus_before_middleware_event = started  # type: ignore[attr-defined]  # read by the middleware
        request.prometheus_after_middleware_event = started  # type: ignore[attr-defined]
        self._after.process_response(request, response)
        self._before.process_response(request, response)


def _nowhere(request: HttpRequest) -> HttpResponse:
    raise AssertionError(f"{request.path} was counted twice")
