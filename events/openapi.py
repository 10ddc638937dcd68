"""What the generated API description cannot see by itself: the bearer credential and the fields of each event type."""

from collections.abc import Callable
from typing import Any, Final, get_args

import msgspec
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.views import APIView

from events.cleaning.schema import AnyEvent

DESCRIPTION: Final = "A server key (`sk_...`), an end-user token, or a publishable key (`pk_...`) of a listed origin."
_VERBS: Final = {"get": "Read", "put": "Add or replace", "patch": "Change some facts of", "delete": "Delete"}
_IMPORT_ONLY: Final = ("long_view", "time_estimated")
EXAMPLE_BATCH: Final = {
    "events": [
        {
            "event_id": "0b6f7c3e-52d0-4d2c-9e29-6c6ed0a1f9d1",
            "event_type": "view",
            "user_id": "712",
            "content_id": "5239",
            "timestamp": "2026-11-23T20:15:00Z",
            "session_id": "s-81",
            "position": 0,
            "surface": "for_you",
            "watch_duration": 7.4,
        },
        {
            "event_id": "e0a5cf0e-7d55-4a0e-8f0e-3d0c5c9b8a42",
            "event_type": "like",
            "user_id": "712",
            "content_id": "5239",
            "timestamp": "2026-11-23T20:15:06Z",
        },
    ]
}


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself, untyped
    """`Authorization: Bearer` with a server key or an end-user token."""

    target_class = "events.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        del auto_schema
        return {"type": "http", "scheme": "bearer", "description": DESCRIPTION}


def named(noun: str, parameter: OpenApiParameter) -> Callable[[type[APIView]], type[APIView]]:
    """Describe a view like the one it inherits from, but for the id, which is in the query."""

    def describe(view: type[APIView]) -> type[APIView]:
        told = {
            method: extend_schema(
                operation_id=f"{verb.split()[0].lower()}_named_{noun}",
                summary=f"{verb} a {noun} whose id ends like a route",
                parameters=[parameter],
            )
            for method, verb in _VERBS.items()
            if hasattr(view, method)
        }
        return extend_schema_view(**told)(view)

    return describe


def batch_schema(*, with_token: bool = False) -> dict[str, Any]:
    """The request body of the event endpoints as JSON schema, one alternative per event type."""
    _, components = msgspec.json.schema_components(get_args(AnyEvent), ref_template="#/{name}")
    events = []
    for schema in components.values():
        for name in _IMPORT_ONLY:
            schema.get("properties", {}).pop(name, None)
        if schema["title"] == "View":
            schema["required"].append("watch_duration")
        events.append(schema)
    properties: dict[str, Any] = {
        "events": {"type": "array", "minItems": 1, "maxItems": 1000, "items": {"oneOf": events}},
        "sent_at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "When the client sends this, by its own clock; corrects the times of the events.",
        },
        "historical": {
            "type": "boolean",
            "description": "A backfill of old events; server keys only.",
            "default": False,
        },
    }
    required = ["events"]
    if with_token:
        required.append("token")
        properties["token"] = {"type": "string", "description": "An end-user token: beacons cannot send headers."}
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
        "example": EXAMPLE_BATCH,
    }
