"""Reading JSON request bodies: bounded, strict, and quick for batches of events.

The framework's own parser reads without a limit and lets deep nesting end in a RecursionError; this one answers 413
and 400. A batch stays undecoded per event, so that each event gets its own verdict later.
"""

from collections.abc import Mapping
from typing import IO, Any, Final

import msgspec
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from events.errors import InvalidRequest

MAX_BATCH: Final = 1_000


class Batch(msgspec.Struct):
    """The body of an events request; the token comes with a beacon only."""

    events: list[msgspec.Raw]
    token: str = ""


class JsonBody(BaseParser):
    """One JSON value; `request.data` becomes what `json.loads` would give."""

    media_type = "application/json"
    shape: Any = Any

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        del stream, media_type
        assert parser_context is not None  # the framework always passes the request
        # HttpRequest.body is what enforces DATA_UPLOAD_MAX_MEMORY_SIZE.
        body = parser_context["request"]._request.body
        try:
            return msgspec.json.decode(body, type=self.shape)
        except msgspec.ValidationError as error:
            raise ParseError(f"the body has the wrong shape: {error}") from None
        except (msgspec.DecodeError, UnicodeError) as error:
            raise ParseError(f"the body is not valid JSON: {error}") from None
        except RecursionError:
            raise ParseError("the body is nested too deeply") from None


class BatchBody(JsonBody):
    """A batch of events; `request.data` becomes a Batch."""

    shape = Batch


class BeaconBody(BatchBody):
    """A batch whatever its content type: `navigator.sendBeacon` sends text/plain so as not to need CORS."""

    media_type = "*/*"


def events_of(data: Any) -> list[bytes]:
    """The JSON texts of a batch's events; raises InvalidRequest for an empty or too long one."""
    # An empty body never reaches the parser.
    if not isinstance(data, Batch) or not data.events:
        raise InvalidRequest("events must hold at least one event", code="empty_batch")
    if len(data.events) > MAX_BATCH:
        raise InvalidRequest(
            f"events may hold {MAX_BATCH} events; got {len(data.events)}", code="batch_too_long", limit=MAX_BATCH
        )
    return [bytes(raw) for raw in data.events]
