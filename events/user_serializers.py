"""Shapes of the HTTP bodies about one user's wishes: preferences, interests, follows, blocks, mutes."""

from typing import Any

from rest_framework import serializers

from events.cleaning.preferences import MOST_NAMES
from events.cleaning.uploads import is_language
from events.serializers import IdField, StrictSerializer


class NamesField(serializers.ListField):
    """Ids or names, each once; a later repeat counts as said."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("child", IdField())
        super().__init__(max_length=MOST_NAMES, **options)

    def to_internal_value(self, data: Any) -> list[str]:
        return list(dict.fromkeys(super().to_internal_value(data)))


class LanguageField(serializers.CharField):
    """A language tag such as en or pt-BR."""

    def to_internal_value(self, data: Any) -> str:
        tag = super().to_internal_value(data)
        if not is_language(tag):
            raise serializers.ValidationError(f"must be a language tag such as en or pt-BR; got {tag[:40]!a}")
        return tag


class SwitchField(serializers.BooleanField):
    """true or false, and nothing that merely looks like it."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError(f"must be true or false; got {str(data)[:40]!a}")
        return data


class PreferencesBody(StrictSerializer):
    """What a user may state; unknown keys are refused."""

    liked_categories = NamesField(required=False)
    liked_creators = NamesField(required=False)
    muted_categories = NamesField(required=False)
    muted_creators = NamesField(required=False)
    blocked_creators = NamesField(required=False)
    languages = NamesField(child=LanguageField(), required=False)
    profiling = SwitchField(required=False, help_text="Whether behaviour may shape what is recommended.")
    sensitive_content = SwitchField(
        required=False,
        help_text="Whether contents labelled as sensitive (`sensitive` of a content) are welcome. Nobody is shown them "
        "who has not said so.",
    )


class PreferencesAnswer(serializers.Serializer[Any]):
    """Everything a user states, every key present."""

    user_id = serializers.CharField()
    liked_categories = serializers.ListField(child=serializers.CharField())
    liked_creators = serializers.ListField(child=serializers.CharField())
    muted_categories = serializers.ListField(child=serializers.CharField())
    muted_creators = serializers.ListField(child=serializers.CharField())
    blocked_creators = serializers.ListField(child=serializers.CharField())
    languages = serializers.ListField(child=serializers.CharField())
    profiling = serializers.BooleanField()
    sensitive_content = serializers.BooleanField()


class InterestsBody(StrictSerializer):
    """What a user picks on the first day."""

    categories = NamesField()
    creators = NamesField(required=False)
    languages = NamesField(child=LanguageField(), required=False)


class RelationAnswer(serializers.Serializer[Any]):
    """How a user stands to a creator or a content now."""

    user_id = serializers.CharField()
    relation = serializers.ChoiceField(choices=["follows", "blocks", "mutes", "hidden"])
    target_id = serializers.CharField(help_text="The creator, or for hidden the content.")
    active = serializers.BooleanField(help_text="Whether it holds now.")
    changed = serializers.BooleanField(help_text="False where it was so already.")
