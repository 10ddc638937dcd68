"""The HTTP door of the recommendation engine: one page of the feed."""

import time

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from events.authentication import acting_user, require_scope
from events.serializers import ErrorAnswer
from ranking.feed import build_feed
from ranking.feed_params import PARAMETERS, parse_feed
from ranking.load import in_work
from ranking.serializers import FeedAnswer, as_json

DESCRIPTION = """
The next page for one user, best first. Every event changes the very next page.

Walk through the feed by `next_cursor`; asking without a cursor begins a new walk, as a refresh does, and so does a
client whose walk ended (`next_cursor` is null). A walk never repeats what it delivered. Nothing that another walk
delivered, on whatever device, comes again while two pages of contents are left that never were on a page; then what
the user has not met is offered again. What they have met (any event about it, also a swipe within the first second)
comes only when nothing else is left, longest ago first (`repeats` says so). What they hid or reported never does.

Whether an item may be shown is asked of the database for every page: moderation, age, country, language, blocked and
muted creators, muted categories. An age or a country that is not known hides what is limited by it.

`fallback_level` names what ordered the page: `ranked` (the trained model), `light` (no model yet, or it failed, or the
time was up), `trending`, or `latest` (newest uploads). When too many feeds are in work the answer is 503 `overloaded`
with Retry-After.
"""
EXAMPLE = OpenApiExample(
    "A page of one",
    response_only=True,
    status_codes=["200"],
    value={
        "request_id": "0f1f7b8e-6f5f-4d0e-9d0a-4b1f5e2d9c11",
        "items": [
            {
                "content_id": "clip-17",
                "position": 0,
                "source": "sequential",
                "sources": ["sequential", "popular"],
                "score": 2.41,
                "model_version": "ranker-20261120T180000-1c2d3e4f",
                "content": {
                    "creator_id": "mara",
                    "caption": "Low tide, last light",
                    "tags": ["sea", "calm"],
                    "category": "ocean",
                    "duration_s": 7.5,
                    "language": "en",
                    "media_url": "/media/demo/ocean-03.mp4",
                    "thumbnail_url": "/media/demo/ocean-03.webp",
                },
            }
        ],
        "model_version": "ranker-20261120T180000-1c2d3e4f",
        "fallback_level": "ranked",
        "repeats": False,
        "has_more": True,
        "next_cursor": "WyIwZjFmN2I4ZTZmNWY0ZDBlOWQwYTRiMWY1ZTJkOWMxMSIsMSwiYTNmIiwxNzk1NTk1NjQzXQ:6cNn8...",
        "took_ms": 6.3,
    },
)


class FeedView(APIView):
    """The For You feed."""

    permission_classes = (require_scope("feed:read"),)

    @extend_schema(
        summary="Get the next page of the feed",
        description=DESCRIPTION,
        parameters=PARAMETERS,
        responses={200: FeedAnswer, 400: ErrorAnswer, 401: ErrorAnswer, 403: ErrorAnswer, 503: ErrorAnswer},
        examples=[EXAMPLE],
    )
    def get(self, request: Request) -> Response:
        start = time.perf_counter()
        with in_work():
            user_id = acting_user(request, request.query_params.get("user_id"))
            feed = build_feed(parse_feed(request.query_params, user_id), now=timezone.now())
        answer = as_json(feed, took_ms=(time.perf_counter() - start) * 1000.0)
        # A page is made for one moment: a cached one would repeat what was just watched.
        return Response(answer, headers={"Cache-Control": "no-store"})
