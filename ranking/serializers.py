"""Shapes of the feed's HTTP answers and query strings."""

from typing import Any

from rest_framework import serializers

from events.errors import InvalidRequest
from ranking.feed import MAX_ITEMS, Feed

DEFAULT_LIMIT = 10
LEVELS = ("ranked", "light", "trending", "latest")


class FeedContent(serializers.Serializer[Any]):
    """What a player needs of one content."""

    creator_id = serializers.CharField()
    caption = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    category = serializers.CharField()
    duration_s = serializers.FloatField(allow_null=True)
    language = serializers.CharField()
    media_url = serializers.CharField()
    thumbnail_url = serializers.CharField()


class FeedItemAnswer(serializers.Serializer[Any]):
    """One position of a page."""

    content_id = serializers.CharField()
    position = serializers.IntegerField(min_value=0)
    source = serializers.CharField(  # type: ignore[assignment]  # a declared field, which the metaclass takes out
        help_text="The source that ranked it best relative to its quota."
    )
    sources = serializers.ListField(child=serializers.CharField(), help_text="Every source that proposed it.")
    score = serializers.FloatField()
    model_version = serializers.CharField()
    content = FeedContent()


class FeedAnswer(serializers.Serializer[Any]):
    """One page of the feed."""

    request_id = serializers.UUIDField(help_text="Send it back with every event about these items.")
    items = FeedItemAnswer(many=True)
    model_version = serializers.CharField()
    fallback_level = serializers.ChoiceField(choices=LEVELS)
    repeats = serializers.BooleanField(help_text="True when the page had to show something again.")
    has_more = serializers.BooleanField()
    took_ms = serializers.FloatField()


def as_json(feed: Feed, *, took_ms: float) -> dict[str, Any]:
    """The answer as plain values; by hand, because the framework's serializers would take longer than the ranking."""
    return {
        "request_id": str(feed.request_id),
        "items": [
            {
                "content_id": item.content_id,
                "position": item.position,
                "source": item.source,
                "sources": list(item.sources),
                "score": round(item.score, 6),
                "model_version": item.model_version,
                "content": {
                    "creator_id": item.content.creator_id,
                    "caption": item.content.caption,
                    "tags": list(item.content.tags),
                    "category": item.content.category,
                    "duration_s": item.content.duration_s,
                    "language": item.content.language,
                    "media_url": item.content.media_url,
                    "thumbnail_url": item.content.thumbnail_url,
                },
            }
            for item in feed.items
        ],
        "model_version": feed.model_version,
        "fallback_level": feed.fallback_level,
        "repeats": feed.repeats,
        "has_more": feed.has_more,
        "took_ms": round(took_ms, 2),
    }


def parse_limit(raw: str | None) -> int:
    """`limit` of a query string, 1..50; absent means 10.

    Raises
    ------
    InvalidRequest : naming the value that is no such number
    """
    if raw is None:
        return DEFAULT_LIMIT
    # isdecimal alone would let other scripts' digits through; the length keeps int() cheap.
    if not (raw.isascii() and raw.isdecimal() and len(raw) <= 4 and 1 <= int(raw) <= MAX_ITEMS):
        message = f"limit must be a whole number from 1 to {MAX_ITEMS}; got {raw[:40]!r}"
        raise InvalidRequest(message, code="invalid_limit", field="limit")
    return int(raw)
