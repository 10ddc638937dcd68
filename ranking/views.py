"""The HTTP door of the recommendation engine: one page of the feed."""

import time

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from events.authentication import acting_user, require_scope
from events.serializers import ErrorAnswer
from ranking.feed import MAX_ITEMS, FeedRequest, build_feed
from ranking.pipeline.pending import PREFETCH_AHEAD
from ranking.serializers import DEFAULT_LIMIT, FeedAnswer, as_json, parse_limit

DESCRIPTION = f"""
The next page for one user, best first. Every event changes the very next page.

Nothing the user has seen comes again before everything else is used up (`repeats` says so), and nothing they hid or
reported ever does. Clips of a delivered page that were not watched yet are not sent twice while the client may still
show them: fetch ahead when {PREFETCH_AHEAD} or fewer clips remain. Asking with more left counts as a refresh, and
what was left unwatched may return.

`fallback_level` names what ordered the page: `ranked` (the trained model), `light` (no model yet, or it failed),
`trending`, or `latest` (newest uploads from the database alone).
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
        "took_ms": 6.3,
    },
)


class FeedView(APIView):
    """The For You feed."""

    permission_classes = (require_scope("feed:read"),)

    @extend_schema(
        summary="Get the next page of the feed",
        description=DESCRIPTION,
        parameters=[
            OpenApiParameter("user_id", str, description="Whose feed; may be left out with an end-user token."),
            OpenApiParameter("limit", int, description=f"Items on the page, 1 to {MAX_ITEMS}.", default=DEFAULT_LIMIT),
        ],
        responses={200: FeedAnswer, 400: ErrorAnswer, 401: ErrorAnswer, 403: ErrorAnswer, 503: ErrorAnswer},
        examples=[EXAMPLE],
    )
    def get(self, request: Request) -> Response:
        start = time.perf_counter()
        user_id = acting_user(request, request.query_params.get("user_id"))
        limit = parse_limit(request.query_params.get("limit"))
        feed = build_feed(FeedRequest(user_id, limit), now=timezone.now())
        answer = as_json(feed, took_ms=(time.perf_counter() - start) * 1000.0)
        # A page is made for one moment: a cached one would repeat what was just watched.
        return Response(answer, headers={"Cache-Control": "no-store"})
