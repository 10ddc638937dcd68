"""The parameters of a feed as its description says them; the same in a query string and in a body."""

from collections.abc import Mapping
from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, OpenApiParameter

from ranking.candidates.expressions import MAX_BOOSTS
from ranking.cursors import LIFETIME
from ranking.feed_request import MAX_ITEMS, SURFACES
from ranking.serializers import CONTENT_FIELDS, ITEM_FIELDS

DEFAULT_LIMIT: Final = 10
MAX_EXCLUDED: Final = 200
LISTS: Final = frozenset({"exclude_ids", "categories", "languages", "include", "fields"})
OBJECTS: Final = frozenset({"context"})
JSON_TYPES: Final[Mapping[type, str]] = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _parameter(name: str, kind: Any, description: str, example: Any, **options: Any) -> OpenApiParameter:
    return OpenApiParameter(
        name, kind, description=description, examples=[OpenApiExample(name, value=example)], **options
    )


_HOURS: Final = int(LIFETIME.total_seconds() // 3600)
PARAMETERS: Final = [
    _parameter("user_id", str, "Whose feed; may be left out with an end-user token.", "mia"),
    _parameter(
        "anonymous_id", str,
        "In place of `user_id`: the device of somebody who is not logged in, the same as in the events of "
        "`anon:<anonymous_id>`. `/users/merge` hands its past on to a user.",
        "7d1f0c2e-9a55-4b7e-8f10-2b6c",
    ),
    _parameter("limit", int, f"Items on the page, 1 to {MAX_ITEMS}.", 10, default=DEFAULT_LIMIT),
    _parameter(
        "cursor", str,
        f"`next_cursor` of the page before, good for {_HOURS} hours. The same cursor always gives the same page, so a "
        "request may be repeated; what was hidden meanwhile is left out. All parameters but `exclude_ids`, "
        "`explain`, `fields`, `include`, `session_id` and `context` stay those of the first page. Left out: a new "
        "walk.",
        "WyIwZjFmN2I4ZTZmNWY0ZDBlOWQwYTRiMWY1ZTJkOWMxMSIsMSwiYTNmIiwxNzk1NTk1NjQzXQ:6cNn8...",
    ),
    _parameter("surface", str, "Which feed.", "for_you", enum=SURFACES, default="for_you"),
    _parameter("exclude_ids", str, f"Content ids not to show, up to {MAX_EXCLUDED}, with commas.", "clip-17,clip-4"),
    _parameter("seed_content_id", str, "Start from contents like this one.", "clip-17"),
    _parameter("categories", str, 'Only these, with commas; surface "category" needs them.', "ocean,neon"),
    _parameter("languages", str, "Only these, with commas; before the profile's `languages`.", "en,pt-BR"),
    _parameter("country", str, "Where the user is, ISO 3166; before the profile's `country`.", "DE"),
    _parameter("creator_id", str, 'Whose contents, on surface "creator".', "mara"),
    _parameter("diversity", float, "From 0, value alone, to 1, as broad as can be; 0.5 is usual.", 0.5),
    _parameter(
        "exploration", float,
        "Share of positions that try something out, 0 to 1; 0.1 is usual. It is spent as one position of so many, so "
        "it is rounded to 1/n; somebody who has done little keeps the first position, and at most every second one "
        "tries something out.",
        0.1,
    ),
    _parameter("max_per_creator", int, "Items of one creator on the page, at most.", 2),
    _parameter(
        "filter", str,
        "Only contents for which this holds: `content_id`, `creator_id`, `category`, `language`, `tags` with `=`, "
        "`!=` or `in (...)`, `duration_s` and `age_h` (hours since the upload) with `=`, `!=`, `<`, `<=`, `>`, `>=`, "
        "joined by `and`, `or`, `not` and brackets. Texts stand in quotes.",
        'category in ("ocean", "neon") and duration_s <= 30',
    ),
    _parameter(
        "boost", str,
        f"Raises (or lowers) the score where a condition holds, by -3 to 3 standard deviations; up to {MAX_BOOSTS}, "
        "with semicolons. It re-orders and leaves nothing out. Of `for_you` and `category`.",
        'category = "ocean" => 0.8; tags = "calm" => 0.5; age_h < 24 => 0.3',
    ),
    _parameter(
        "profiling", bool, "`false`: nothing the user ever did chooses; only what was delivered and refused counts.",
        False, default=True,
    ),
    _parameter("explain", bool, "`true`: each item says why it is there.", True, default=False),
    _parameter(
        "include", str,
        f"Which facts of the contents to answer, with commas: {', '.join(CONTENT_FIELDS)}. Left out: all.",
        "caption,media_url",
    ),
    _parameter(
        "fields", str,
        f"Which fields of the items to answer beside `content_id`, with commas: {', '.join(ITEM_FIELDS[1:])}. Left "
        "out: all.",
        "content_id,content",
    ),
    _parameter(
        "session_id", str, "The client's session, the same as in its events; kept with what was served.", "s-81"
    ),
    _parameter(
        "context", str,
        "The circumstances, as a JSON object (with POST: as an object) of `device` (phone, tablet, desktop, tv, "
        "other), `network` (wifi, cellular, wired, offline, other), `os`, `app_version`, `country`, `time_zone` and "
        "`local_time` (with its offset). Kept with what was served. The country counts where `country` is left out, "
        "and the clock of the zone or of the local time before that of the profile.",
        '{"device": "phone", "network": "wifi", "local_time": "2026-11-20T19:30:00+01:00"}',
    ),
]  # fmt: skip
NAMES: Final = frozenset(parameter.name for parameter in PARAMETERS)
KINDS: Final[Mapping[str, type]] = {
    parameter.name: parameter.type for parameter in PARAMETERS if isinstance(parameter.type, type)
}
NEXT_NAMES: Final = frozenset(
    {"user_id", "anonymous_id", "cursor", "exclude_ids", "explain", "include", "fields", "session_id", "context"}
)
NEXT_PARAMETERS: Final = [parameter for parameter in PARAMETERS if parameter.name in NEXT_NAMES]


def body_schema() -> dict[str, Any]:
    """The JSON Schema of a body that states the same parameters."""
    properties: dict[str, Any] = {}
    for parameter in PARAMETERS:
        kind: dict[str, Any] = {"type": JSON_TYPES[KINDS[parameter.name]], "nullable": True}
        if parameter.name in LISTS:
            kind = {"type": "array", "items": {"type": "string"}, "nullable": True}
        if parameter.name in OBJECTS:
            kind = {"type": "object", "additionalProperties": {"type": "string"}, "nullable": True}
        if parameter.enum:
            kind["enum"] = [*parameter.enum, None]
        properties[parameter.name] = {**kind, "description": parameter.description}
    return {"type": "object", "additionalProperties": False, "properties": properties}
