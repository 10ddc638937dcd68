"""Examples of the doors beside the feed, as the API description shows them."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample

_CARD: Final = {
    "creator_id": "mara",
    "caption": "Low tide, last light",
    "tags": ["sea", "calm"],
    "category": "ocean",
    "duration_s": 7.5,
    "language": "en",
    "media_url": "/media/demo/ocean-03.mp4",
    "thumbnail_url": "/media/demo/ocean-03.webp",
}
_FIGURES: Final = {
    "impressions": 1840,
    "views": 1420,
    "completions": 610,
    "completion": 0.429577,
    "likes": 133,
    "shares": 21,
    "comments": 17,
    "saves": 34,
    "hides": 2,
    "reports": 0,
    "watch_s": 8941.5,
}


def _answer(name: str, value: dict[str, Any]) -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True, status_codes=["200"])


SIMILAR: Final = _answer(
    "One neighbour",
    {
        "content_id": "clip-17",
        "items": [
            {
                "content_id": "clip-204",
                "position": 0,
                "source": "similar",
                "score": 0.86,
                "cosine": 0.72,
                "behaviour": 1.0,
                "content": _CARD,
            }
        ],
        "fallback_level": "similar",
        "snapshot": "20261124T200000-9c1e",
    },
)
RANK_BODY: Final = OpenApiExample(
    "Rank three", value={"user_id": "mia", "content_ids": ["clip-17", "clip-204", "clip-9"]}, request_only=True
)
RANK: Final = _answer(
    "Two ranked, one gone",
    {
        "user_id": "mia",
        "items": [
            {"content_id": "clip-204", "position": 0, "score": 2.41},
            {"content_id": "clip-17", "position": 1, "score": -0.3},
        ],
        "unranked": [{"content_id": "clip-9", "reason": "withdrawn"}],
        "model_version": "ranker-20261120T180000-1c2d3e4f",
        "fallback_level": "ranked",
    },
)
HOT: Final = _answer(
    "A tag that rises",
    {
        "window": "1h",
        "kind": "tag",
        "items": [{"name": "sea", "position": 0, "source": "rising", "score": 7.9}],
        "as_of": "2026-11-24T20:00:00Z",
    },
)
CATEGORIES: Final = _answer(
    "Two categories",
    {
        "items": [{"category": "ocean", "contents": 412}, {"category": "neon", "contents": 80}],
        "as_of": "2026-11-24T20:00:00Z",
    },
)
CREATORS: Final = _answer(
    "One creator",
    {
        "user_id": "mia",
        "items": [
            {
                "creator_id": "mara",
                "position": 0,
                "score": 1.32,
                "because": "taste",
                "content_ids": ["clip-17", "clip-204"],
            }
        ],
    },
)
STATS: Final = _answer(
    "A clip of a quiet creator",
    {"content_id": "clip-17", "total": _FIGURES, "last_7d": _FIGURES, "as_of": "2026-11-24T20:00:00Z"},
)
MERGE_BODY: Final = OpenApiExample(
    "Mia has logged in",
    value={"anonymous_id": "7d1f0c2e-9a55-4b7e-8f10-2b6c", "user_id": "mia"},
    request_only=True,
)
MERGE: Final = OpenApiExample(
    "What she had done before",
    value={"user_id": "mia", "events": 214, "served": 80, "stated": False},
    response_only=True,
    status_codes=["200"],
)
HISTORY: Final = OpenApiExample(
    "A clip of eight seconds, watched",
    value={
        "user_id": "mia",
        "items": [
            {
                "event_type": "view",
                "content_id": "clip-17",
                "creator_id": None,
                "timestamp": "2026-11-20T18:00:00Z",
                "watch_s": 8.0,
                "surface": "for_you",
            }
        ],
    },
    response_only=True,
    status_codes=["200"],
)
RESET: Final = OpenApiExample(
    "From now on",
    value={"user_id": "mia", "history_from": "2026-11-20T18:00:00Z"},
    response_only=True,
    status_codes=["200"],
)
ERASED: Final = OpenApiExample(
    "Mia is gone",
    value={
        "user_id": "mia",
        "rows": {
            "event": 214, "refusal": 0, "session": 9, "automated_hour": 0, "dead_letter": 0, "user_profile": 1,
            "served": 80,
        },
    },
    response_only=True,
    status_codes=["200"],
)  # fmt: skip
