"""The system's URLs and `NOOP`, the least that the framework can do: the peer of an endpoint's latency."""

from typing import Final

from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from events.authentication import require_scope
from recsys.urls import handler400, handler404, handler500

__all__ = ["handler400", "handler404", "handler500", "urlpatterns"]

NOOP: Final = "/api/v1/noop"


class NoopView(APIView):
    """Checks the caller's key as every endpoint does, and answers an empty object."""

    permission_classes = (require_scope("feed:read"),)

    def get(self, request: Request) -> Response:
        del request
        return Response({})


urlpatterns = [path(NOOP[1:], NoopView.as_view()), path("", include("recsys.urls"))]
