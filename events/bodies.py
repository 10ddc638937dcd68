"""Reading JSON request bodies: bounded, strict, and quick for batches of events.

The framework's own parser reads without a limit and lets deep nesting end in a RecursionError; this one answers 413
and 400. A batch stays undecoded per event, so that each event gets its own verdict later.

`Content-Encoding: gzip` is taken; the limit counts the unpacked bytes, and unpacking stops where it is reached.
"""

import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import IO, Annotated, Any, Final

import msgspec
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.http.request import UnreadablePostError
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from events.errors import InvalidRequest, LengthRequired, UnsupportedEncoding

MAX_BATCH: Final = 1_000
GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


class Batch(msgspec.Struct, forbid_unknown_fields=True):
    """The body of an events request; the token comes with a beacon only.

    `sent_at` is when the client sent it, by its own clock; `historical` marks a backfill, which only a server may do.
    Any other field is refused: a typo in `sent_at` would leave every clock uncorrected, and nobody would know.
    """

    events: list[msgspec.Raw]
    token: str = ""
    sent_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    historical: bool = False


class JsonBody(BaseParser):
    """One JSON value; `request.data` becomes what `json.loads` would give."""

    media_type = "application/json"
    shape: Any = Any

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        del stream, media_type
        assert parser_context is not None  # the framework always passes the request
        return read_json(parser_context["request"]._request, self.shape)


class BatchBody(JsonBody):
    """A batch of events; `request.data` becomes a Batch."""

    shape = Batch


class BeaconBody(BatchBody):
    """A batch whatever its content type: `navigator.sendBeacon` sends text/plain so as not to need CORS."""

    media_type = "*/*"


def read_json(request: HttpRequest, shape: Any = Any) -> Any:
    """The body as a value of a shape; raises what `read_body` raises, and ParseError where it is no such value."""
    body = read_body(request)
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise ParseError(f"the body has the wrong shape: {error}") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ParseError(f"the body is not valid JSON: {error}") from None
    except RecursionError:
        raise ParseError("the body is nested too deeply") from None


def ensure_length(meta: Mapping[str, Any]) -> None:
    """Raise LengthRequired for a body in chunks: WSGI knows bodies of a stated length, and would take it for empty."""
    if meta.get("HTTP_TRANSFER_ENCODING") and not meta.get("CONTENT_LENGTH"):
        raise LengthRequired("the body needs a Content-Length; Transfer-Encoding is not supported")


def read_body(request: HttpRequest) -> bytes:
    """The body, unpacked.

    Raises
    ------
    RequestDataTooBig
        More than DATA_UPLOAD_MAX_MEMORY_SIZE bytes, as sent or unpacked.
    UnsupportedEncoding
        Packed with anything but gzip.
    ParseError
        Cut off, or not what Content-Encoding says.
    """
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if encoding not in {"identity", "gzip", ""}:
        raise UnsupportedEncoding(f"Content-Encoding must be gzip or absent; got {encoding[:40]!a}")
    try:
        # This is what enforces the limit on what was sent.
        body = request.body
    except UnreadablePostError:
        raise ParseError("the body ended early") from None
    # A web server may hand on what came before the line was cut, and that may be JSON by itself.
    if request.META.get("CONTENT_LENGTH") not in {None, "", str(len(body))}:
        raise ParseError(f"the body ended early: {len(body)} of {request.META['CONTENT_LENGTH'][:20]} bytes came")
    return _unpack(body) if encoding == "gzip" else body


def _unpack(packed: bytes) -> bytes:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    unpacker = zlib.decompressobj(GZIP_WINDOW)
    try:
        # One byte more than allowed tells that there is more, and no more than that is ever unpacked.
        body = unpacker.decompress(packed, limit + 1)
    except zlib.error as error:
        raise ParseError(f"the body is not gzip: {error}") from None
    if len(body) > limit:
        raise RequestDataTooBig
    if not unpacker.eof:
        raise ParseError("the gzip body ended early")
    if unpacker.unused_data:
        raise ParseError("something follows the gzip body")
    return body


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
