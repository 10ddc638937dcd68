"""How a line of the log is written: for people or as JSON, with the request or task it belongs to, without secrets.

What a caller sent has no place in a log: no header and no body is ever logged, the database's own account of a failed
statement, which quotes values, is cut, and whatever looks like a key, token or password is masked wherever it stands.
"""

import json
import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

from events.errors import EXPECTED

REQUEST_ID: Final[ContextVar[str]] = ContextVar("request_id", default="")
TASK_ID: Final[ContextVar[str]] = ContextVar("task_id", default="")

MASK: Final = "[masked]"
_SECRETS: Final = re.compile(
    r"""(?P<bearer>\bBearer\s+)[^\s"',;]+
    | (?P<url>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(?=@)
    | (?P<named>\b(?:password|passwd|secret(?:_key)?|token|api_key|authorization|cookie)["']?\s*[=:]\s*["']?)
      (?!Bearer\b)[^\s"'&,;)}]+
    | \b[sp]k_[A-Za-z0-9_-]{16,}
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*
    """,
    re.VERBOSE | re.IGNORECASE,
)
_QUOTED: Final = re.compile(r"^(DETAIL|CONTEXT):.*$|^LINE \d+:.*\n?.*\^?$", re.MULTILINE)


def scrubbed(text: str) -> str:
    """The text without what opens anything, and without values that the database quotes.

    >>> scrubbed("GET with Bearer abc.def to redis://:hunter2@host/0")
    'GET with Bearer [masked] to redis://:[masked]@host/0'
    >>> scrubbed("key sk_0123456789abcdefXYZ is unknown")
    'key [masked] is unknown'
    """
    text = _QUOTED.sub(lambda found: f"{found[1]}: {MASK}" if found[1] else MASK, text)
    return _SECRETS.sub(
        lambda found: (found["bearer"] or found["url"] or found["named"] or "") + MASK,
        text,
    )


class Lines(logging.Formatter):
    """One line for people, which ends with the id of its request or task."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback follows on lines of its own."""
        text = scrubbed(super().format(record))
        if ids := " ".join(f"{name}={value}" for name, value in _ids().items()):
            first, *rest = text.split("\n", 1)
            text = "\n".join([f"{first} [{ids}]", *rest])
        return text


class Objects(logging.Formatter):
    """One JSON object a line; `fields` of a record (`extra={"fields": {...}}`) stand beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": scrubbed(record.getMessage()),
            **_ids(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            said["exception"] = scrubbed(self.formatException(record.exc_info))
        if record.stack_info:
            said["stack"] = scrubbed(self.formatStack(record.stack_info))
        return json.dumps(said, ensure_ascii=False, default=str)


class PlannedRefusals(logging.Filter):
    """Django writes an error for every answer of 500 and above; load that is shed is information."""

    def filter(self, record: logging.LogRecord) -> bool:
        """True where the record is written, at the level it deserves."""
        request = getattr(record, "request", None)
        if request is None or not request.META.get(EXPECTED):
            return True
        record.levelno, record.levelname = logging.INFO, "INFO"
        return logging.getLogger(record.name).isEnabledFor(logging.INFO)


def _ids() -> dict[str, str]:
    known = {"request_id": REQUEST_ID.get(), "task_id": TASK_ID.get()}
    return {name: value for name, value in known.items() if value}
