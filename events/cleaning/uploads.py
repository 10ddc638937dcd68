"""What an upload event tells of its content beyond the free metadata: length, language and where the media lie.

The event log takes metadata as the host app sends it, so nothing here refuses: a value that cannot be used is left out
of the columns and stays readable in the metadata; a limit that cannot be understood hides the content. The catalogue
API checks the same values strictly.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeGuard

from events.cleaning.audience import EVERYONE, read_restrictions

MAX_URL_CHARS: Final = 2_000
MAX_DURATION_S: Final = 86_400.0
DESCRIBING: Final[Mapping[str, str]] = {
    "title": "title", "description": "caption", "tags": "tags", "category": "category", "sensitive": "sensitive",
}  # fmt: skip
"""What may be said of a content beside its metadata, by the key of the metadata that holds it."""
# Served pages put these into src attributes: nothing but http(s) and paths of this host, and no white space.
_MEDIA_URL = re.compile(
    r"(?:https?://[^\s\x00-\x1f/][^\s\x00-\x1f\x7f\ud800-\udfff]*|/(?!/)[^\s\x00-\x1f\x7f\ud800-\udfff\\]*)\Z"
)
_LANGUAGE = re.compile(r"[A-Za-z0-9-]{2,16}\Z")


class UploadFacts(NamedTuple):
    """The columns of a content that its metadata fills; None or "" where it does not."""

    duration_s: float | None
    language: str
    media_url: str
    thumbnail_url: str
    age_rating: str = EVERYONE
    geo_allow: tuple[str, ...] = ()
    geo_deny: tuple[str, ...] = ()


def read_upload(metadata: Mapping[str, Any]) -> UploadFacts:
    """Take the usable facts out of an upload's metadata.

    Examples
    --------
    >>> read_upload({"caption": "hi", "duration_s": 12, "language": "en", "media_url": "javascript:alert(1)"})[:4]
    (12.0, 'en', '', '')
    """
    limits = read_restrictions(metadata)
    duration = metadata.get("duration_s")
    language = metadata.get("language")
    return UploadFacts(
        float(duration) if is_duration(duration) else None,
        language if isinstance(language, str) and is_language(language) else "",
        _url(metadata.get("media_url")),
        _url(metadata.get("thumbnail_url")),
        limits.age_rating,
        limits.geo_allow,
        limits.geo_deny,
    )


def described(metadata: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata with what was said beside it, which counts before what it says itself; None says nothing.

    >>> described({"caption": "old", "mood": "calm"}, {"description": "new", "tags": ["sea"], "title": None})
    {'caption': 'new', 'mood': 'calm', 'tags': ['sea']}
    """
    return {**metadata, **{DESCRIBING[name]: value for name, value in told.items() if value is not None}}


def is_duration(value: Any) -> TypeGuard[float]:
    """Whether a value is a length in seconds: a finite number above 0 and up to 24 hours.

    Examples
    --------
    >>> is_duration(30.5), is_duration(0), is_duration(True)
    (True, False, False)
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and 0 < value <= MAX_DURATION_S


def is_language(value: str) -> bool:
    """Whether a text has the shape of a language tag such as `en` or `pt-BR`."""
    return _LANGUAGE.match(value) is not None


def is_media_url(value: str) -> bool:
    """Whether a text may stand in a page's `src`: an http(s) address or a path of this host.

    Examples
    --------
    >>> [is_media_url(u) for u in ("https://cdn.example/a.mp4", "/media/a.mp4", "//evil/a", "data:text/html,x")]
    [True, True, False, False]
    """
    return len(value) <= MAX_URL_CHARS and _MEDIA_URL.match(value) is not None


def _url(value: Any) -> str:
    return value if isinstance(value, str) and is_media_url(value) else ""
