"""Shapes of the doors beside the feed: similar contents, ranking, what is hot, creators, categories, figures."""

from typing import Any

from rest_framework import serializers

from events.serializers import IdField, StrictSerializer
from ranking.given_ranking import MAX_GIVEN, Ranking
from ranking.hot import KINDS, Hot
from ranking.serializers import CardAnswer, card_json
from ranking.similar import SimilarPage

REASONS = (
    "unknown", "withdrawn", "restricted", "blocked_creator", "muted_creator", "muted_category", "too_new",
)  # fmt: skip


class SimilarItemAnswer(serializers.Serializer[Any]):
    """One similar content."""

    content_id = serializers.CharField()
    position = serializers.IntegerField(min_value=0)
    source = serializers.ChoiceField(choices=["similar", "category", "latest"])  # type: ignore[assignment]  # a field
    score = serializers.FloatField(allow_null=True, help_text="0 to 1; null where only the category speaks for it.")
    cosine = serializers.FloatField(allow_null=True, help_text="How alike the contents themselves are.")
    behaviour = serializers.FloatField(
        allow_null=True, help_text="How often people went from one to the other, against the most frequent step."
    )
    content = CardAnswer()


class SimilarAnswer(serializers.Serializer[Any]):
    """Contents similar to one content."""

    content_id = serializers.CharField()
    items = SimilarItemAnswer(many=True)
    fallback_level = serializers.ChoiceField(choices=["similar", "category", "latest"])
    snapshot = serializers.CharField(allow_blank=True, help_text="Version of the content snapshot; empty without one.")


class RankBody(StrictSerializer):
    """Whose order of which contents."""

    user_id = IdField(required=False, help_text="May be left out with an end-user token.")
    content_ids = serializers.ListField(
        child=IdField(), min_length=1, max_length=MAX_GIVEN, help_text="Each once, in any order."
    )
    explain = serializers.BooleanField(required=False, default=False)


class RankedAnswer(serializers.Serializer[Any]):
    """One ranked content."""

    content_id = serializers.CharField()
    position = serializers.IntegerField(min_value=0)
    score = serializers.FloatField()
    signals = serializers.DictField(
        child=serializers.FloatField(), required=False, help_text="With explain: what the score was made of."
    )


class UnrankedAnswer(serializers.Serializer[Any]):
    """A content that was not ranked, and why."""

    content_id = serializers.CharField()
    reason = serializers.ChoiceField(choices=REASONS)


class RankAnswer(serializers.Serializer[Any]):
    """Given contents in the order for one user."""

    user_id = serializers.CharField()
    items = RankedAnswer(many=True)
    unranked = UnrankedAnswer(many=True)
    model_version = serializers.CharField()
    fallback_level = serializers.ChoiceField(choices=["ranked", "light", "trending", "none"])


class HotItemAnswer(serializers.Serializer[Any]):
    """One hot thing."""

    name = serializers.CharField(help_text="Id of the content or creator, or the tag.")
    position = serializers.IntegerField(min_value=0)
    source = serializers.ChoiceField(choices=["rising", "counted"])  # type: ignore[assignment]  # a declared field
    score = serializers.FloatField()
    content = CardAnswer(required=False, help_text="With kind=content.")


class HotAnswer(serializers.Serializer[Any]):
    """What is hot, hottest first."""

    window = serializers.CharField()
    kind = serializers.ChoiceField(choices=KINDS)
    items = HotItemAnswer(many=True)
    as_of = serializers.DateTimeField(allow_null=True, help_text="Moment of the counters.")


class CategoryAnswer(serializers.Serializer[Any]):
    """One category."""

    category = serializers.CharField()
    contents = serializers.IntegerField(min_value=0, help_text="Active contents.")


class CategoriesAnswer(serializers.Serializer[Any]):
    """Every category, largest first."""

    items = CategoryAnswer(many=True)
    as_of = serializers.DateTimeField(allow_null=True, help_text="Moment of the counts; null for this moment.")


class DoneAnswer(serializers.Serializer[Any]):
    """One event of a user."""

    event_type = serializers.CharField()
    content_id = serializers.CharField(allow_null=True)
    creator_id = serializers.CharField(allow_null=True)
    timestamp = serializers.DateTimeField()
    watch_s = serializers.FloatField(allow_null=True, help_text="Seconds watched.")
    surface = serializers.CharField(allow_null=True)


class HistoryAnswer(serializers.Serializer[Any]):
    """What a user did, newest first."""

    user_id = serializers.CharField()
    items = DoneAnswer(many=True)


class MergeBody(StrictSerializer):
    """Which device becomes whom."""

    anonymous_id = IdField(help_text="With or without `anon:`.")
    user_id = IdField(required=False, help_text="May be left out with an end-user token.")


class MergeAnswer(serializers.Serializer[Any]):
    """What changed hands; zeros where there was nothing."""

    user_id = serializers.CharField()
    events = serializers.IntegerField(min_value=0)
    served = serializers.IntegerField(min_value=0, help_text="Positions of pages.")
    stated = serializers.BooleanField(help_text="Whether preferences were joined.")


class ResetAnswer(serializers.Serializer[Any]):
    """From when on a user's events choose for them."""

    user_id = serializers.CharField()
    history_from = serializers.DateTimeField()


class ErasedAnswer(serializers.Serializer[Any]):
    """How much of a user went."""

    user_id = serializers.CharField()
    rows = serializers.DictField(child=serializers.IntegerField(min_value=0), help_text="By table.")


class SuggestedCreatorAnswer(serializers.Serializer[Any]):
    """One creator to follow."""

    creator_id = serializers.CharField()
    position = serializers.IntegerField(min_value=0)
    score = serializers.FloatField()
    because = serializers.ChoiceField(choices=["taste", "behaviour", "affinity", "popularity"])
    content_ids = serializers.ListField(child=serializers.CharField(), help_text="Some contents, the liked ones first.")


class SuggestedCreatorsAnswer(serializers.Serializer[Any]):
    """Creators whom a user might follow, best first."""

    user_id = serializers.CharField()
    items = SuggestedCreatorAnswer(many=True)


class FiguresAnswer(serializers.Serializer[Any]):
    """Counts are people per hour, added up: who likes twice within an hour counts once."""

    impressions = serializers.IntegerField()
    views = serializers.IntegerField()
    completions = serializers.IntegerField()
    completion = serializers.FloatField(allow_null=True, help_text="Completions per view; null without views.")
    likes = serializers.IntegerField()
    shares = serializers.IntegerField()
    comments = serializers.IntegerField()
    saves = serializers.IntegerField()
    hides = serializers.IntegerField()
    reports = serializers.IntegerField()
    watch_s = serializers.FloatField(help_text="Watched seconds.")


class ContentStatsAnswer(serializers.Serializer[Any]):
    """Figures of one content."""

    content_id = serializers.CharField()
    total = FiguresAnswer()
    last_7d = FiguresAnswer()
    as_of = serializers.DateTimeField(allow_null=True, help_text="Up to where the log is counted.")


def similar_json(page: SimilarPage) -> dict[str, Any]:
    """A page of similar contents as plain values."""
    return {
        "content_id": page.content_id,
        "items": [
            {
                "content_id": each.content_id,
                "position": position,
                "source": each.source,
                "score": _rounded(each.score),
                "cosine": _rounded(each.cosine),
                "behaviour": _rounded(each.behaviour),
                "content": card_json(card),
            }
            for position, (each, card) in enumerate(page.items)
        ],
        "fallback_level": page.fallback_level,
        "snapshot": page.snapshot,
    }


def ranking_json(user_id: str, ranking: Ranking) -> dict[str, Any]:
    """A ranking as plain values."""
    items = []
    for position, each in enumerate(ranking.items):
        item: dict[str, Any] = {"content_id": each.content_id, "position": position, "score": round(each.score, 6)}
        if each.signals is not None:
            item["signals"] = {name: round(value, 6) for name, value in each.signals.items()}
        items.append(item)
    return {
        "user_id": user_id,
        "items": items,
        "unranked": [{"content_id": each, "reason": reason} for each, reason in ranking.unranked],
        "model_version": ranking.model_version,
        "fallback_level": ranking.fallback_level,
    }


def hot_json(window: str, kind: str, found: Hot) -> dict[str, Any]:
    """What is hot as plain values."""
    items = []
    for position, each in enumerate(found.items):
        item = {"name": each.name, "position": position, "source": each.source, "score": round(each.score, 6)}
        items.append(item if each.content is None else {**item, "content": card_json(each.content)})
    return {"window": window, "kind": kind, "items": items, "as_of": _moment(found.as_of)}


def _moment(value: Any) -> Any:
    return serializers.DateTimeField().to_representation(value) if value is not None else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
