"""Reads of what was served and which models there are; frozen values out, nothing written."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection
from django.db.models import QuerySet

from events import user_past
from events.user_past import UserPast
from ranking.experiment_queries import MARK
from ranking.model_files import Pointer
from ranking.models import ModelAlert, ModelVersion, Served
from ranking.serving_models import Canary, pointer_of

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
class DeliveredRow:
    """One position of a page that was delivered before; `served_at` in seconds since 1970 UTC."""

    position: int
    content_id: str
    source: str
    sources: tuple[str, ...]
    model_version: str
    score: float
    propensity: float
    ends_walk: bool
    served_at: float


@dataclass(frozen=True, slots=True)
class FeedMemory:
    """What was served to one user.

    Attributes
    ----------
    served : content id to the last time, in seconds since 1970 UTC
    walked : content ids that one walk delivered
    delivered : one page, in order
    champion : which model serves this user, with which weights
    experiments : which experiments run and were shipped, see `experiment_queries.MARK`
    """

    served: Mapping[str, float]
    walked: frozenset[str]
    delivered: tuple[DeliveredRow, ...]
    champion: Pointer | None = None
    experiments: str = ""

    def since(self, moment: float) -> "FeedMemory":
        """Without what was served before a moment, in seconds since 1970 UTC; the same for who never reset anything."""
        if moment == -math.inf:
            return self
        served = {each: at for each, at in self.served.items() if at >= moment}
        delivered = self.delivered if self.delivered and self.delivered[0].served_at >= moment else ()
        return replace(self, served=served, walked=self.walked & served.keys(), delivered=delivered)


_NOTHING: Final = "NULL"
_FEED_START: Final = (
    f"SELECT p.*, {', '.join([_NOTHING] * 11)} FROM ({user_past.STATEMENT}) p "  # noqa: S608  constants
    f"UNION ALL SELECT {', '.join([_NOTHING] * user_past.COLUMNS)}, m.*, "
    f"c.version, c.artefacts->>'manifest.json', c.share_pct, ({MARK}) "
    # Served by the index one_canary.
    "FROM feed_memory(%s, %s, %s, %s) m LEFT JOIN model_version c ON c.state = 'canary'"
)


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One model version as lists show it."""

    version: str
    state: str
    kind: str
    trained_until: datetime
    promoted_at: datetime | None
    metrics: dict[str, Any]


def feed_start(user_id: str, *, page: UUID | None, walk: UUID | None, since: datetime) -> tuple[UserPast, FeedMemory]:
    """What a user did; what was delivered to them since a moment, what of it by a walk, and a page they got before.

    Takes the lock of the user until the transaction ends, which the caller must have opened: pages of one user are made
    one after another, so that none holds what another is about to deliver. Served by the indexes served_user_contents
    and served_once. What was delivered is read after the lock is held; what the user did, by the time of the request.
    """
    with connection.cursor() as cursor:
        values: list[Any] = [user_id, user_past.MOST_EVENTS, since, user_id, page, walk, since]
        cursor.execute(_FEED_START, values)
        rows = cursor.fetchall()
    *remembered, champion, manifest, weights, canary, canary_manifest, share_pct, experiments = rows.pop()[
        user_past.COLUMNS :
    ]
    served, at, walked, delivered = remembered
    found = msgspec.json.decode(delivered, type=list[DeliveredRow]) if delivered else []
    serving = None if champion is None else Pointer(champion, manifest, weights or 0)
    tried = None if canary is None else Canary(canary, canary_manifest, share_pct)
    pointer = pointer_of(user_id, serving, tried)
    memory = FeedMemory(user_past.times_of(served, at), user_past.ids_of(walked), tuple(found), pointer, experiments)
    return user_past.past_of([row[: user_past.COLUMNS] for row in rows]), memory


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


@dataclass(frozen=True, slots=True)
class ModelTrouble:
    """A version that should serve and cannot; `serving` is what serves instead, "" for no model."""

    version: str
    message: str
    serving: str
    first_at: datetime
    last_at: datetime
    times: int


def open_model_alerts() -> list[ModelTrouble]:
    """What is wrong with the models that should serve at this moment, the newest first."""
    names = list(ModelTrouble.__dataclass_fields__)
    rows = ModelAlert.objects.filter(cleared_at=None).order_by("-first_at").values(*names)
    return [ModelTrouble(**row) for row in rows]


def model_history(limit: int = 20) -> list[ModelSummary]:
    """The newest model versions, newest first."""
    newest = ModelVersion.objects.order_by("-created_at")[:limit]
    return [
        ModelSummary(row.version, row.state, row.kind, row.trained_until, row.promoted_at, row.metrics)
        for row in newest
    ]
