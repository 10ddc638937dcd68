"""HTTP doors for many contents or users at once: each is judged by itself, and the good ones are written together."""

from typing import Any, Final

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from events import api_examples as examples
from events import catalogue
from events.authentication import ensure_server, require_scope
from events.bodies import JsonBody
from events.errors import InvalidRequest, first_fault
from events.serializers import (
    BatchAnswer,
    ContentBatch,
    ContentEntry,
    StrictSerializer,
    UserBatch,
    UserEntry,
)
from events.views import BODY_REFUSALS, BodyView

MOST_ENTRIES: Final = 1_000


class ContentBatchView(BodyView):
    """Many contents."""

    parser_classes = (JsonBody,)
    permission_classes = (require_scope("content:write"),)

    @extend_schema(
        summary="Add or replace many contents",
        description=f"Up to {MOST_ENTRIES}. One that is refused is named and holds up no other; of an id that comes "
        "twice the last counts. It is safe to repeat.",
        request=ContentBatch,
        responses={200: BatchAnswer, **BODY_REFUSALS},
        examples=[examples.CONTENT_BATCH, examples.BATCH_ANSWER],
    )
    def post(self, request: Request) -> Response:
        good, rejected = _judged(request.data, "contents", ContentEntry)
        now = timezone.now()
        contents = [catalogue.NewContent(**{"upload_timestamp": now, **facts}) for facts in good]
        created = catalogue.register_contents(contents)
        return _answer(len({each.content_id for each in contents}), created, rejected)


class UserBatchView(BodyView):
    """Many users."""

    parser_classes = (JsonBody,)
    permission_classes = (require_scope("users:write"),)

    @extend_schema(
        summary="Add or replace many users",
        description=f"For server keys. Up to {MOST_ENTRIES}, as with contents.",
        request=UserBatch,
        responses={200: BatchAnswer, **BODY_REFUSALS},
        examples=[examples.USER_BATCH, examples.BATCH_ANSWER],
    )
    def post(self, request: Request) -> Response:
        ensure_server(request)
        good, rejected = _judged(request.data, "users", UserEntry)
        profiles = [catalogue.NewProfile(**facts) for facts in good]
        created = catalogue.update_profiles(profiles)
        return _answer(len({each.user_id for each in profiles}), created, rejected)


def _judged(body: Any, name: str, entry: type[StrictSerializer]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The entries that hold, and why the others do not."""
    entries = body.get(name) if isinstance(body, dict) else None
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_ENTRIES or set(body) != {name}:
        raise InvalidRequest(f"the body must hold {name}, a list of 1 to {MOST_ENTRIES} entries, and nothing else")
    good, rejected = [], []
    for index, each in enumerate(entries):
        checked = entry(data=each)
        if checked.is_valid():
            good.append(dict(checked.validated_data))
        else:
            rejected.append({"index": index, "code": "invalid_fields", "detail": first_fault(checked.errors)})
    return good, rejected


def _answer(written: int, created: int, rejected: list[dict[str, Any]]) -> Response:
    return Response({"created": created, "replaced": written - created, "rejected": rejected})
