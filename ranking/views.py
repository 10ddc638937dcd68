"""The HTTP door of the recommendation engine: one page of the feed."""

import time

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from events.authentication import acting_user, require_scope
from events.serializers import ErrorAnswer
from ranking.feed import build_feed
from ranking.feed_docs import DESCRIPTION, EXAMPLES
from ranking.feed_params import PARAMETERS, parse_feed
from ranking.load import in_work
from ranking.serializers import FeedAnswer, as_json


class FeedView(APIView):
    """The For You feed."""

    permission_classes = (require_scope("feed:read"),)

    @extend_schema(
        summary="Get the next page of the feed",
        description=DESCRIPTION,
        parameters=PARAMETERS,
        responses={
            200: FeedAnswer,
            400: ErrorAnswer,
            401: ErrorAnswer,
            403: ErrorAnswer,
            429: ErrorAnswer,
            503: ErrorAnswer,
        },
        examples=EXAMPLES,
    )
    def get(self, request: Request) -> Response:
        start = time.perf_counter()
        with in_work():
            user_id = acting_user(request, request.query_params.get("user_id"))
            feed = build_feed(parse_feed(request.query_params, user_id), now=timezone.now())
        answer = as_json(feed, took_ms=(time.perf_counter() - start) * 1000.0)
        # A page is made for one moment: a cached one would repeat what was just watched.
        return Response(answer, headers={"Cache-Control": "no-store"})
