"""HTTP doors beside the feed: similar contents, ranking of given ones, what is hot, categories, creators, figures."""

from dataclasses import asdict
from typing import Final

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from events import queries
from events.authentication import acting_user, credential_from, require_scope, valid_id
from events.bodies import JsonBody
from events.cleaning.schema import show
from events.errors import NotFound
from events.serializers import ErrorAnswer
from events.views import BODY_REFUSALS, REFUSALS
from features.content_stats import content_stats
from ranking import api_examples as examples
from ranking.api_serializers import (
    CategoriesAnswer,
    ContentStatsAnswer,
    HotAnswer,
    RankAnswer,
    RankBody,
    SimilarAnswer,
    SuggestedCreatorsAnswer,
    hot_json,
    ranking_json,
    similar_json,
)
from ranking.candidates.expressions import parse_filter
from ranking.feed_params import expression
from ranking.given_ranking import RankRequest, rank
from ranking.hot import HALF_LIFE, KINDS, MAX_HOT, HotRequest, categories, hot
from ranking.query_params import country, one_of, only, whole_number, words
from ranking.similar import MAX_SIMILAR, SimilarRequest, primary, similar
from ranking.suggested import MAX_CREATORS, suggest_creators

DEFAULT_COUNT: Final = 10


def _count(most: int) -> OpenApiParameter:
    return OpenApiParameter("count", int, description=f"How many, 1 to {most}.", default=DEFAULT_COUNT)


class SimilarView(APIView):
    """Contents similar to one content."""

    permission_classes = (require_scope("feed:read"),)

    @extend_schema(
        summary="Get contents similar to a content",
        description="Like it by what it is about and by what people went on to, best first, one per creator. "
        "`fallback_level` says `category` or `latest` while nothing is known of the content itself. "
        "An id that ends in /similar is asked for as `.../similar/similar`.",
        parameters=[
            _count(MAX_SIMILAR),
            OpenApiParameter("user_id", str, description="Leaves out what this user has seen, refused or muted."),
            OpenApiParameter("category", str, many=True, explode=True, description="Only these; may be repeated."),
            OpenApiParameter("language", str, many=True, explode=True, description="As in en; may be repeated."),
            OpenApiParameter("filter", str, description="A condition on contents, as that of `/feed`."),
        ],
        responses={200: SimilarAnswer, **REFUSALS, 404: ErrorAnswer},
        examples=[examples.SIMILAR],
    )
    def get(self, request: Request, content_id: str) -> Response:
        params = request.query_params
        only(params, ("count", "user_id", "category", "language", "filter"))
        user_id = params.get("user_id")
        wanted = SimilarRequest(
            valid_id(content_id, field="content_id"),
            count=whole_number(params, "count", default=DEFAULT_COUNT, most=MAX_SIMILAR),
            # A server may ask for nobody in particular.
            user_id=None if user_id is None else acting_user(request, user_id),
            categories=words(params, "category"),
            languages=frozenset(primary(each) for each in words(params, "language")),
            filter=expression("filter", params["filter"], parse_filter) if "filter" in params else "",
        )
        return Response(similar_json(similar(wanted, now=timezone.now())))


class RankView(APIView):
    """Contents chosen elsewhere, in the order for one user."""

    parser_classes = (JsonBody,)
    permission_classes = (require_scope("feed:read"),)

    @extend_schema(
        summary="Rank given contents for a user",
        description="`model_version` and `fallback_level` say what ranked: the trained model (`ranked`), the session's "
        "signals (`light`), or nothing (`none`) where no content could be. What is not ranked is listed with a reason.",
        request=RankBody,
        responses={200: RankAnswer, **BODY_REFUSALS},
        examples=[examples.RANK_BODY, examples.RANK],
    )
    def post(self, request: Request) -> Response:
        body = RankBody(data=request.data)
        body.is_valid(raise_exception=True)
        user_id = acting_user(request, body.validated_data.get("user_id"))
        wanted = RankRequest(
            user_id,
            body.validated_data["content_ids"],
            explain=body.validated_data["explain"],
            reveal=credential_from(request).is_server,
        )
        return Response(ranking_json(user_id, rank(wanted, now=timezone.now())))


class TrendingView(APIView):
    """What is hot."""

    permission_classes = (require_scope("feed:read"),)

    @extend_schema(
        summary="Get what is hot",
        description="Within the last hour, what rises against its own past comes first (`rising`, by standard "
        "deviations above it); the rest, and all of a day or week, by engaged people, lately more (`counted`).",
        parameters=[
            OpenApiParameter("window", str, enum=list(HALF_LIFE), default="24h"),
            OpenApiParameter("kind", str, enum=list(KINDS), default="content"),
            OpenApiParameter("category", str, description="Only contents of it, or by contents of it."),
            OpenApiParameter("country", str, description="As in DE: only what may be shown there."),
            _count(MAX_HOT),
        ],
        responses={200: HotAnswer, **REFUSALS},
        examples=[examples.HOT],
    )
    def get(self, request: Request) -> Response:
        params = request.query_params
        only(params, ("window", "kind", "category", "country", "count"))
        category = params.get("category")
        wanted = HotRequest(
            kind=one_of(params, "kind", KINDS, default="content"),
            window=one_of(params, "window", HALF_LIFE, default="24h"),
            category="" if category is None else valid_id(category, field="category"),
            country=country(params, "country"),
            count=whole_number(params, "count", default=DEFAULT_COUNT, most=MAX_HOT),
        )
        return Response(hot_json(wanted.window, wanted.kind, hot(wanted)))


class CategoriesView(APIView):
    """The categories of the catalogue."""

    permission_classes = (require_scope("feed:read"),)

    @extend_schema(
        summary="List categories",
        responses={200: CategoriesAnswer, **REFUSALS},
        examples=[examples.CATEGORIES],
    )
    def get(self, request: Request) -> Response:
        only(request.query_params, ())
        found = categories()
        items = [{"category": name, "contents": size} for name, size in found.items]
        return Response(CategoriesAnswer({"items": items, "as_of": found.as_of}).data)


class SuggestedCreatorsView(APIView):
    """Creators whom a user might follow."""

    permission_classes = (require_scope("feed:read"),)

    @extend_schema(
        summary="Get creators to follow",
        description="Nobody the user follows, blocked or muted, or whose content the user hid.",
        parameters=[_count(MAX_CREATORS)],
        responses={200: SuggestedCreatorsAnswer, **REFUSALS, 404: ErrorAnswer},
        examples=[examples.CREATORS],
    )
    def get(self, request: Request, user_id: str) -> Response:
        params = request.query_params
        only(params, ("count",))
        user_id = acting_user(request, user_id)
        count = whole_number(params, "count", default=DEFAULT_COUNT, most=MAX_CREATORS)
        creators = suggest_creators(user_id, count, now=timezone.now())
        found = [{"position": at, **asdict(each)} for at, each in enumerate(creators)]
        return Response(SuggestedCreatorsAnswer({"user_id": user_id, "items": found}).data)


class ContentStatsView(APIView):
    """Figures of one content, for the host app."""

    permission_classes = (require_scope("stats:read"),)

    @extend_schema(
        summary="Get the figures of a content",
        description="For server keys. Whatever the content's state; an id that ends in /stats is asked for as "
        "`.../stats/stats`.",
        responses={200: ContentStatsAnswer, **REFUSALS, 404: ErrorAnswer},
        examples=[examples.STATS],
    )
    def get(self, request: Request, content_id: str) -> Response:
        only(request.query_params, ())
        if not queries.content_cards([valid_id(content_id, field="content_id")]):
            raise NotFound(f"there is no content with the id {show(content_id)}", content_id=content_id)
        return Response(ContentStatsAnswer(content_stats(content_id, now=timezone.now())).data)
