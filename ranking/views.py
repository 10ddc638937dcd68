"""The HTTP doors of the feed: one page, asked for by a query string, a body or a cursor."""

import time
from collections.abc import Callable
from datetime import datetime

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from events.authentication import acting_user, require_scope
from events.bodies import JsonBody
from events.views import BODY_REFUSALS, REFUSALS, BodyView
from ranking.feed import build_feed
from ranking.feed_docs import BODY_EXAMPLE, DESCRIPTION, EXAMPLES, NEXT_DESCRIPTION
from ranking.feed_parameters import NEXT_PARAMETERS, PARAMETERS, body_schema
from ranking.feed_params import parse_feed, parse_fields, parse_include, parse_next
from ranking.feed_request import FeedRequest
from ranking.load import in_work
from ranking.serializers import FeedAnswer, as_json, trimmed
from ranking.stated import Stated

Parse = Callable[[Stated, str, datetime], FeedRequest]


class FeedView(BodyView):
    """The feed."""

    parser_classes = (JsonBody,)
    permission_classes = (require_scope("feed:read"),)

    @extend_schema(
        summary="Get the next page of the feed",
        description=DESCRIPTION,
        parameters=PARAMETERS,
        responses={200: FeedAnswer, **REFUSALS},
        examples=EXAMPLES,
    )
    def get(self, request: Request) -> Response:
        return _page(request, Stated.of_query(request.query_params), _asked)

    @extend_schema(
        summary="Get the next page of the feed, asked for by a body",
        description="The same as with GET, by the same names, for parameters that are too long for an address. A body "
        "that is empty says nothing, and nothing may stand in the query string.",
        request={"application/json": body_schema()},
        responses={200: FeedAnswer, **BODY_REFUSALS},
        examples=[BODY_EXAMPLE, *EXAMPLES],
    )
    def post(self, request: Request) -> Response:
        Stated.of_query(request.query_params).only(())
        return _page(request, Stated.of_body(request.data), _asked)


class FeedNextView(BodyView):
    """The page behind another."""

    permission_classes = (require_scope("feed:read"),)

    @extend_schema(
        summary="Get the page behind another",
        description=NEXT_DESCRIPTION,
        parameters=NEXT_PARAMETERS,
        responses={200: FeedAnswer, **REFUSALS},
        examples=EXAMPLES,
    )
    def get(self, request: Request) -> Response:
        return _page(request, Stated.of_query(request.query_params), _behind)


def _asked(stated: Stated, user_id: str, now: datetime) -> FeedRequest:
    del now  # a page that is asked for by its parameters depends on no moment
    return parse_feed(stated, user_id)


def _behind(stated: Stated, user_id: str, now: datetime) -> FeedRequest:
    return parse_next(stated, user_id, now=now)


def _page(request: Request, stated: Stated, parse: Parse) -> Response:
    start, now = time.perf_counter(), timezone.now()
    with in_work():
        wanted = parse(stated, acting_user(request, stated.whom()), now)
        include, fields = parse_include(stated), parse_fields(stated)
        feed = build_feed(wanted, now=now)
    answer = trimmed(as_json(feed, took_ms=(time.perf_counter() - start) * 1000.0), include, fields)
    # A page is made for one moment: a cached one would repeat what was just watched.
    return Response(answer, headers={"Cache-Control": "no-store"})
