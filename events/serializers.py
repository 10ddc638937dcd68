"""Shapes of the catalogue's HTTP bodies: contents, users, tokens. Events are decoded by `cleaning.schema`."""

from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from events import vectors
from events.cleaning.audience import MAX_COUNTRIES, RATINGS, is_country
from events.cleaning.preferences import MOST_NAMES, overfull
from events.cleaning.schema import MAX_ID_CHARS, InvalidEvent, check_json, check_text
from events.cleaning.uploads import DESCRIBING, MAX_DURATION_S, MAX_URL_CHARS, described, is_language, is_media_url
from events.client_tokens import MAX_TTL_S

MAX_METADATA_BYTES = 16 * 1024


class IdField(serializers.CharField):
    """An id of the host app: 1 to 200 characters without control characters, kept as it is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_ID_CHARS, trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError(f"must be text; got {type(data).__name__}")
        return _accepted(check_text, super().to_internal_value(data))


MAX_TITLE: Final = 300
MAX_DESCRIPTION: Final = 5_000
MAX_TAG: Final = 100
MAX_TAGS: Final = 50


class FreeObject(serializers.DictField):
    """A JSON object of the host app's own design, bounded in size and depth."""

    def to_internal_value(self, data: Any) -> dict[Any, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError(f"must be an object; got {type(data).__name__}")
        try:
            check_json(data, field=self.field_name or "object", max_bytes=MAX_METADATA_BYTES)
        except InvalidEvent as error:
            raise serializers.ValidationError(error.detail) from None
        return data


class MediaUrlField(serializers.CharField):
    """An http(s) address or a path of this host."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_URL_CHARS, allow_blank=True, **options)

    def to_internal_value(self, data: Any) -> str:
        url = super().to_internal_value(data)
        if url and not is_media_url(url):
            raise serializers.ValidationError(f"must be an http(s) address or start with one slash; got {url[:80]!a}")
        return url


class CountriesField(serializers.ListField):
    """Country codes of ISO 3166, two letters each; kept in capitals, each once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=serializers.CharField(), max_length=MAX_COUNTRIES, **options)

    def to_internal_value(self, data: Any) -> list[str]:
        codes = super().to_internal_value(data)
        strange = next((code for code in codes if not is_country(code)), None)
        if strange is not None:
            raise serializers.ValidationError(f"must be country codes such as DE or BR; got {strange[:40]!a}")
        return sorted({code.upper() for code in codes})


@extend_schema_field({"type": "array", "items": {"type": "number"}})
class EmbeddingField(serializers.Field[Any, Any, Any, Any]):
    """A vector of the configured space; kept at unit length."""

    def to_internal_value(self, data: Any) -> bytes:
        try:
            return vectors.checked(data)
        except vectors.InvalidVector as error:
            raise serializers.ValidationError(str(error)) from None


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know, as events do."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                raise serializers.ValidationError({unknown[0][:MAX_ID_CHARS]: ["no such field"]})
        return super().to_internal_value(data)


class ContentBody(StrictSerializer):
    """What the host app tells of a content. Moderation is not part of it: `status` can only say "active"."""

    creator_id = IdField()
    upload_timestamp = serializers.DateTimeField(required=False)
    status = serializers.ChoiceField(choices=["active"], required=False)
    duration_s = serializers.FloatField(required=False, allow_null=True, max_value=MAX_DURATION_S)
    language = serializers.CharField(required=False, allow_blank=True, max_length=16)
    media_url = MediaUrlField(required=False)
    thumbnail_url = MediaUrlField(required=False)
    age_rating = serializers.ChoiceField(
        choices=list(RATINGS),
        required=False,
        help_text='From which age it may be shown; "unknown" shows it to nobody. Left out: everyone.',
    )
    geo_allow = CountriesField(required=False, help_text="The only countries it is shown in; empty for all.")
    geo_deny = CountriesField(required=False, help_text="Countries it is not shown in.")
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="From then on nobody is shown it, at once and everywhere."
    )
    embedding = EmbeddingField(
        required=False,
        allow_null=True,
        help_text="A vector of your own model, of EMBEDDING_DIMENSIONS numbers, to compare contents by instead of what "
        "their text and media say. It compares with other given vectors only. Null: none.",
    )
    title = serializers.CharField(required=False, max_length=MAX_TITLE, help_text="Kept as `title` of the metadata.")
    description = serializers.CharField(
        required=False, max_length=MAX_DESCRIPTION, help_text="Kept as `caption` of the metadata."
    )
    tags = serializers.ListField(
        child=serializers.CharField(max_length=MAX_TAG), required=False, max_length=MAX_TAGS,
        help_text="Kept as `tags` of the metadata.",
    )  # fmt: skip
    category = serializers.CharField(required=False, max_length=MAX_TAG, help_text="Kept in the metadata.")
    sensitive = serializers.BooleanField(
        required=False, help_text="Shown only to whom `sensitive_content` is welcome. Kept in the metadata."
    )
    metadata = FreeObject(
        required=False,
        help_text="Free, but for `title`, `caption`, `tags`, `category` and `sensitive`, which are read.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        told = {name: attrs.pop(name) for name in DESCRIBING if name in attrs}
        return {**attrs, "metadata": described(attrs.get("metadata", {}), told)} if told else attrs

    def validate_duration_s(self, value: float | None) -> float | None:
        if value is not None and not value > 0:
            raise serializers.ValidationError(f"must be above 0 seconds; got {value}")
        return value

    def validate_language(self, value: str) -> str:
        if value and not is_language(value):
            raise serializers.ValidationError(f"must be a language tag such as en or pt-BR; got {value!a}")
        return value


class ContentChange(ContentBody):
    """Some facts of a content; what is left out stays. A status is moderation's business, and cannot be changed."""

    status = None  # type: ignore[assignment]  # takes the inherited field out
    metadata = FreeObject(required=False, help_text="Changed key by key; null takes one away.")

    def __init__(self, **options: Any) -> None:
        super().__init__(partial=True, **options)


class ContentAnswer(serializers.Serializer[Any]):
    """A content as stored."""

    content_id = serializers.CharField()
    creator_id = serializers.CharField()
    upload_timestamp = serializers.DateTimeField()
    status = serializers.CharField()
    duration_s = serializers.FloatField(allow_null=True)
    language = serializers.CharField()
    media_url = serializers.CharField()
    thumbnail_url = serializers.CharField()
    age_rating = serializers.CharField()
    geo_allow = serializers.ListField(child=serializers.CharField())
    geo_deny = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)
    metadata = serializers.JSONField()
    embedding_space = serializers.CharField(
        allow_null=True, help_text="Of the vector it was given: model and dimensions. Only the configured one is used."
    )


class UserBody(StrictSerializer):
    """What the host app tells of a user."""

    demographics = FreeObject(required=False)
    preferences = FreeObject(
        required=False, help_text=f"Lists of what is liked, muted or blocked hold up to {MOST_NAMES} names each."
    )

    def validate_preferences(self, value: dict[str, Any]) -> dict[str, Any]:
        if (name := overfull(value)) is not None:
            raise serializers.ValidationError(f"{name} must hold at most {MOST_NAMES} names; got {len(value[name])}")
        return value


class UserAnswer(serializers.Serializer[Any]):
    """A user as stored."""

    user_id = serializers.CharField()
    demographics = serializers.JSONField()
    preferences = serializers.JSONField()


class ContentEntry(ContentBody):
    """A content of a batch."""

    content_id = IdField()


class ContentBatch(StrictSerializer):
    """Contents to add or replace; each is judged by itself."""

    contents = ContentEntry(many=True)


class UserEntry(UserBody):
    """A user of a batch."""

    user_id = IdField()


class UserBatch(StrictSerializer):
    """Users to add or replace; each is judged by itself."""

    users = UserEntry(many=True)


class ClientTokenBody(StrictSerializer):
    """For whom a token is wanted, and for how long."""

    user_id = IdField()
    ttl_s = serializers.IntegerField(required=False, min_value=1, max_value=MAX_TTL_S, default=MAX_TTL_S)


class ClientTokenAnswer(serializers.Serializer[Any]):
    """A token and its end."""

    token = serializers.CharField()
    expires_at = serializers.DateTimeField()


class RejectionAnswer(serializers.Serializer[Any]):
    """Why one event of a batch was refused."""

    index = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()


class BatchAnswer(serializers.Serializer[Any]):
    """What became of a batch of the catalogue."""

    created = serializers.IntegerField()
    replaced = serializers.IntegerField()
    rejected = RejectionAnswer(many=True)


class IngestAnswer(serializers.Serializer[Any]):
    """What became of a batch."""

    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    rejected = RejectionAnswer(many=True)


class ErrorAnswer(serializers.Serializer[Any]):
    """Every error of this API."""

    error = serializers.DictField(help_text="code, message, details")


def _accepted(check: Any, value: str) -> str:
    try:
        checked: str = check(value, field="value")
    except InvalidEvent as error:
        raise serializers.ValidationError(error.detail.removeprefix("value: ")) from None
    return checked
