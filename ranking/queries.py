"""Reads of what was served and which models there are; frozen values out, nothing written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet

from ranking.models import ModelVersion, Served
from ranking.pipeline.pending import ServedPosition

RECENT_POSITIONS = 600
"""Bound of one user's recently served positions: half an hour of pages, even for a client that fetches in a loop."""

_REQUESTS_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class ServedRow:
    """One served position, with what the ranker saw of it (float32 bytes, empty where features failed)."""

    request_id: UUID
    position: int
    user_id: str
    content_id: str
    source: str
    model_version: str
    surface: str
    arm: str
    score: float
    propensity: float
    feature_set: str
    features: bytes
    counted_until: datetime | None
    served_at: datetime


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One model version as lists show it."""

    version: str
    state: str
    kind: str
    trained_until: datetime
    promoted_at: datetime | None
    metrics: dict[str, Any]


def recently_served(user_id: str, *, since: datetime, until: datetime) -> list[ServedPosition]:
    """The last `RECENT_POSITIONS` positions delivered to a user in [since, until], newest first.

    Served by the index served_user_recent.
    """
    rows = Served.objects.filter(user_id=user_id, served_at__gte=since, served_at__lte=until)
    newest = rows.order_by("-served_at").values_list("request_id", "content_id", "served_at")[:RECENT_POSITIONS]
    return [ServedPosition(request_id, content_id, at.timestamp()) for request_id, content_id, at in newest]


def served_between(start: datetime, end: datetime) -> Iterator[ServedRow]:
    """Every position served with `start <= served_at < end`, oldest page first, streamed."""
    rows = Served.objects.filter(served_at__gte=start, served_at__lt=end).order_by(
        "served_at", "request_id", "position"
    )
    yield from _streamed(rows)


def served_of(request_ids: Sequence[UUID]) -> Iterator[ServedRow]:
    """Every position of these requests, streamed; requests that nobody made give none."""
    for start in range(0, len(request_ids), _REQUESTS_AT_ONCE):
        chunk = request_ids[start : start + _REQUESTS_AT_ONCE]
        yield from _streamed(Served.objects.filter(request_id__in=chunk).order_by("request_id", "position"))


def _streamed(rows: QuerySet[Served]) -> Iterator[ServedRow]:
    names = list(ServedRow.__dataclass_fields__)
    for values in rows.values_list(*names).iterator(chunk_size=5_000):
        fields = dict(zip(names, values, strict=True))
        fields["features"] = bytes(fields["features"])
        yield ServedRow(**fields)


def model_history(limit: int = 20) -> list[ModelSummary]:
    """The newest model versions, newest first."""
    newest = ModelVersion.objects.order_by("-created_at")[:limit]
    return [
        ModelSummary(row.version, row.state, row.kind, row.trained_until, row.promoted_at, row.metrics)
        for row in newest
    ]
