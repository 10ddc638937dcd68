"""Shapes of the feed's HTTP answers and query strings."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from events.queries import ContentCard
from ranking.feed_request import Explanation, Feed

LEVELS = ("ranked", "light", "trending", "latest")


CONTENT_FIELDS = (
    "creator_id", "caption", "tags", "category", "duration_s", "language", "media_url", "thumbnail_url",
)  # fmt: skip


ITEM_FIELDS = (
    "content_id", "position", "source", "sources", "score", "model_version", "content", "explanation",
)  # fmt: skip


class CardAnswer(serializers.Serializer[Any]):
    """What a player needs of one content."""

    creator_id = serializers.CharField()
    caption = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    category = serializers.CharField()
    duration_s = serializers.FloatField(allow_null=True)
    language = serializers.CharField()
    media_url = serializers.CharField()
    thumbnail_url = serializers.CharField()


class MoveAnswer(serializers.Serializer[Any]):
    """What one stage of re-ranking did to an item; positions from 0."""

    stage = serializers.CharField()
    start = serializers.IntegerField()
    end = serializers.IntegerField()
    reason = serializers.CharField(allow_null=True, help_text="Null where it only made way, or moved up, for others.")


def _numbers(says: str) -> Any:
    return serializers.DictField(child=serializers.FloatField(), help_text=says)


class ExplanationAnswer(serializers.Serializer[Any]):
    """Why an item is where it is."""

    sentence = serializers.CharField(help_text="For the person who sees the item.")
    ranks = serializers.DictField(child=serializers.IntegerField(), help_text="Rank by source, from 0.")
    propensity = serializers.FloatField(help_text="The chance that this position showed this item.")
    moves = MoveAnswer(many=True)
    heads = _numbers("What the model expects: chances, and seconds of watching; empty where no model ranked.")
    terms = _numbers("What each head adds to the value, in seconds; empty where no model ranked.")
    signals = _numbers("What the value and the session's signals each add to the score.")
    weights = serializers.CharField(help_text="Which value weights served, and for which segment of users.")


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
    content = CardAnswer()
    explanation = ExplanationAnswer(required=False, help_text="With explain=true only.")


class ArmAnswer(serializers.Serializer[Any]):
    """Which arm of an experiment acts on a page."""

    key = serializers.CharField(help_text="Of the experiment.")
    variant = serializers.CharField(help_text="Its arm.")


class FeedAnswer(serializers.Serializer[Any]):
    """One page of the feed."""

    request_id = serializers.UUIDField(help_text="Send it back with every event about these items.")
    items = FeedItemAnswer(many=True)
    model_version = serializers.CharField()
    fallback_level = serializers.ChoiceField(choices=LEVELS)
    experiments = ArmAnswer(many=True, help_text="Whose arms act on this page.")
    repeats = serializers.BooleanField(help_text="True when the page had to show something again.")
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True, help_text="Of the next page; null where there is none.")
    expires_at = serializers.DateTimeField(allow_null=True, help_text="Until when `next_cursor` is good.")
    took_ms = serializers.FloatField()


def card_json(card: ContentCard) -> dict[str, Any]:
    """A card as plain values."""
    return {
        "creator_id": card.creator_id,
        "caption": card.caption,
        "tags": list(card.tags),
        "category": card.category,
        "duration_s": card.duration_s,
        "language": card.language,
        "media_url": card.media_url,
        "thumbnail_url": card.thumbnail_url,
    }


def trimmed(answer: dict[str, Any], include: frozenset[str], fields: frozenset[str] = frozenset()) -> dict[str, Any]:
    """An answer with only these facts of its contents and these fields of its items; empty sets leave all of them."""
    for item in answer["items"] if include else ():
        item["content"] = {name: value for name, value in item["content"].items() if name in include}
    if fields:
        kept = fields | {"content_id"}
        answer["items"] = [{name: item[name] for name in item if name in kept} for item in answer["items"]]
    return answer


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
                "content": card_json(item.content),
                **({} if item.explanation is None else {"explanation": _explained(item.explanation, item.propensity)}),
            }
            for item in feed.items
        ],
        "model_version": feed.model_version,
        "fallback_level": feed.fallback_level,
        "experiments": [{"key": key, "variant": arm} for key, arm in feed.experiments],
        "repeats": feed.repeats,
        "has_more": feed.has_more,
        "next_cursor": feed.next_cursor,
        "expires_at": None if feed.expires_at is None else feed.expires_at.isoformat().replace("+00:00", "Z"),
        "took_ms": round(took_ms, 2),
    }


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in figures.items()}


def _explained(explanation: Explanation, propensity: float) -> dict[str, Any]:
    return {
        "sentence": explanation.sentence,
        "ranks": dict(explanation.ranks),
        "propensity": round(propensity, 6),
        "moves": [
            {"stage": move.stage, "start": move.start, "end": move.end, "reason": move.reason}
            for move in explanation.moves
        ],
        "heads": _rounded(explanation.figures.heads),
        "terms": _rounded(explanation.figures.terms),
        "signals": _rounded(explanation.figures.signals),
        "weights": explanation.figures.weights,
    }
