"""Examples of the catalogue's doors."""

from typing import Final

from drf_spectacular.utils import OpenApiExample

CONTENT_CHANGE: Final = OpenApiExample(
    "It ends on New Year's Eve, and one tag less is known of it",
    value={"expires_at": "2026-12-31T23:00:00Z", "metadata": {"category": "ocean", "mood": None}},
    request_only=True,
)
USER_CHANGE: Final = OpenApiExample("Somebody moved", value={"demographics": {"country": "PT"}}, request_only=True)
_CONTENT: Final = {"content_id": "clip-1", "creator_id": "mara", "duration_s": 7.5, "language": "en"}
CONTENT_BATCH: Final = OpenApiExample(
    "Two contents", value={"contents": [_CONTENT, {**_CONTENT, "content_id": "clip-2"}]}, request_only=True
)
USER_BATCH: Final = OpenApiExample(
    "Two users",
    value={"users": [{"user_id": "mia", "demographics": {"country": "DE"}}, {"user_id": "ben"}]},
    request_only=True,
)
BATCH_ANSWER: Final = OpenApiExample(
    "One of three was refused",
    value={
        "created": 1,
        "replaced": 1,
        "rejected": [{"index": 2, "code": "invalid_fields", "detail": "creator_id: This field is required."}],
    },
    response_only=True,
    status_codes=["200"],
)
