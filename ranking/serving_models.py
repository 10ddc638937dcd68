"""Which model this process serves with: the champion, or a canary for its share of users.

A feed reads the pointers with all else it asks the database, and takes `serving_of` the one that is its user's; other
doors call `champion()` or `serving_for(user)`, which look at the database at most once a second. A pointer names the
model and the version of the value weights. `keep`, called once a second by a thread of every web process, loads what
was promoted before a request needs it, and writes down what could not be loaded.

No door ever raises. A canary that cannot be loaded leaves its users to the champion; a champion that cannot be loaded
leaves the one before it: the one that this process has, or, in a process that has none yet, the newest earlier
champion whose files are sound. Only where there is none, feeds do without a model. What failed is tried again after a
second, not by every request.
"""

import logging
import threading
import time
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet
from django.utils import timezone
from prometheus_client import Counter

from features.extraction.definitions import FEATURE_SET
from ranking import model_alerts, model_files, value_weights
from ranking.model_files import Pointer
from ranking.models import ModelVersion
from ranking.pipeline.buckets import within
from ranking.ranker.bundle import BundleError, ServingBundle
from ranking.ranker.value import InvalidWeights, Policy
from ranking.ranker.valued import ValuedModel

logger = logging.getLogger(__name__)

_Model = TypeVar("_Model")
RECHECK_S: Final = 1.0
"""A promotion serves everywhere within this; less would be a query per request."""
MOST_HELD: Final = 3
"""Models kept loaded: the champion, a canary, and the one that served before a promotion."""
MOST_EARLIER: Final = 3
"""Earlier champions tried in a process that has no model yet."""
UNLOADABLE: Final = Counter(
    "recsys_model_load_failures_total", "Times a model that should serve could not be loaded.", ["version"]
)


@dataclass(frozen=True, slots=True)
class Canary:
    """The model that serves some of the users, and how many percent."""

    version: str
    manifest_sha256: str | None
    share_pct: int


def pointer_of(user_id: str | None, champion: Pointer | None, canary: Canary | None) -> Pointer | None:
    """Which model a user gets: the same one as long as the canary stays, and a larger share keeps whom it had."""
    if canary is None or champion is None or user_id is None:
        return champion
    if not within(canary.share_pct, canary.version, user_id):
        return champion
    return Pointer(canary.version, canary.manifest_sha256, champion.weights, instead=champion)


def champion() -> ValuedModel | None:
    """The model to serve with and the weights of its heads; None before the first promotion and when none could ever
    be loaded.
    """
    return _models.current(None)


def serving_for(user_id: str) -> ValuedModel | None:
    """`champion`, or the canary for those it serves."""
    return _models.current(user_id)


def serving_of(pointer: Pointer | None) -> ValuedModel | None:
    """`serving_for` for whoever read the pointer already, as a feed does with everything else it asks the database."""
    return _models.follow(pointer)


def keep() -> None:
    """Load what should serve, and write down what cannot; for a thread that does nothing else."""
    _models.refresh()
    _models.report()


def serving_now() -> tuple[ValuedModel, ...]:
    """The champion and the canary, as far as this process has them."""
    return _models.serving_now()


def forget() -> None:
    """Drop what this process knows of the pointers, so that the next call reads them; loaded models stay at hand."""
    _models.expire()


class _Models:
    """The loaded models of this process. A request that finds another one loading goes on with the old model."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checked_at = float("-inf")
        self._champion: Pointer | None = None
        self._canary: Canary | None = None
        self._held: dict[Pointer, ServingBundle] = {}
        self._valued: dict[Pointer, ValuedModel] = {}
        self._last: ValuedModel | None = None
        self._tried = False
        self._failed_at: dict[Pointer, float] = {}
        self._troubles: dict[str, str] = {}
        self._untold: dict[str, str] = {}

    def expire(self) -> None:
        self._checked_at = float("-inf")
        self._failed_at = {}

    def current(self, user_id: str | None) -> ValuedModel | None:
        # The monotonic clock paces a cache; it says nothing about when things happened.
        if time.monotonic() - self._checked_at >= RECHECK_S:
            self.refresh()
        return self.follow(pointer_of(user_id, self._champion, self._canary))

    def refresh(self) -> None:
        """Read the pointers, and load what they name."""
        try:
            rows = {
                row.state: row
                for row in ModelVersion.objects.annotate(weights=value_weights.newest())
                .filter(state__in=("champion", "canary"))
                .only("version", "state", "artefacts", "share_pct")
            }
        except (OperationalError, InterfaceError) as error:
            self._complain("the database", error)
            self._checked_at = time.monotonic()
            return
        row, tried = rows.get("champion"), rows.get("canary")
        self._champion = None if row is None else pointer_to(row, weights=row.weights or 0)
        self._canary = None if tried is None else canary_of(tried)
        self._checked_at = time.monotonic()
        if self._champion is not None and self._canary is not None:
            canary = Pointer(self._canary.version, self._canary.manifest_sha256, self._champion.weights)
            self.follow(replace(canary, instead=self._champion))
        self.follow(self._champion)

    def serving_now(self) -> tuple[ValuedModel, ...]:
        """What feeds may be given at this moment."""
        named = {pointer.version for pointer in (self._champion, self._canary) if pointer is not None}
        return tuple(model for model in self._valued.values() if model.version in named)

    def follow(self, pointer: Pointer | None) -> ValuedModel | None:
        """What a pointer names, or what serves instead."""
        if pointer is None:
            self._last = None
            return None
        instead = pointer.instead
        pointer = pointer if instead is None else replace(pointer, instead=None)
        found = self._valued.get(pointer)
        # Only requests before the first load is over have to wait for it: they have nothing to go on with, and behind a
        # champion that has just failed an earlier one may be on its way.
        waits = self._last is None and not self._tried
        if found is None and (waits or self._due(pointer)) and self._lock.acquire(blocking=waits):
            try:
                found = self._valued.get(pointer)
                if found is None and self._due(pointer):
                    found = self._take(pointer, alone=instead is None)
                    self._tried = True
            finally:
                self._lock.release()
        if instead is not None:
            return found or self.follow(instead)
        if found is None:
            return self._last
        self._last = found
        return found

    def _due(self, pointer: Pointer) -> bool:
        return time.monotonic() - self._failed_at.get(pointer, float("-inf")) >= RECHECK_S

    def report(self) -> None:
        """Write the troubles of this process down, where dashboards read them."""
        untold, self._untold = self._untold, {}
        now = timezone.now()
        for version, message in untold.items():
            serving = "" if self._last is None else self._last.version
            model_alerts.note(version, message, serving=serving, now=now)

    def _take(self, pointer: Pointer, *, alone: bool) -> ValuedModel | None:
        bundle = self._bundle(pointer)
        if bundle is None:
            if alone and self._last is None and (earlier := self._earlier(pointer.version)) is not None:
                self._last = ValuedModel(earlier, self._policy(pointer))
            return None
        found = ValuedModel(bundle, self._policy(pointer))
        if found.policy.version == pointer.weights:
            self._valued = _newest(self._valued | {pointer: found})
        return found

    def _bundle(self, pointer: Pointer) -> ServingBundle | None:
        key = pointer.weighing(0)
        if key in self._held:
            return self._held[key]
        try:
            loaded = model_files.load(key, feature_set=FEATURE_SET)
        except BundleError as error:
            self._failed_at[pointer] = time.monotonic()
            UNLOADABLE.labels(pointer.version).inc()
            self._complain(pointer.version, error)
            return None
        self._troubles.pop(pointer.version, None)
        self._held = _newest(self._held | {key: loaded})
        return loaded

    def _earlier(self, version: str) -> ServingBundle | None:
        """The newest champion before one that cannot be loaded."""
        try:
            rows = list(earlier_champions().exclude(version=version)[:MOST_EARLIER])
        except (OperationalError, InterfaceError) as error:
            self._complain("the database", error)
            return None
        for row in rows:
            try:
                return model_files.load(pointer_to(row), feature_set=FEATURE_SET)
            except BundleError as error:
                self._complain(row.version, error)
        return None

    def _policy(self, pointer: Pointer) -> Policy:
        held = Policy.default() if self._last is None else self._last.policy
        if held.version == pointer.weights:
            return held
        try:
            return value_weights.load(pointer.weights)
        except (InvalidWeights, value_weights.UnknownWeightsError) as error:
            self._failed_at[pointer] = time.monotonic()
            self._complain(f"value weights {pointer.weights}", error)
            return held

    def _complain(self, about: str, error: Exception) -> None:
        message = str(error)
        if self._troubles.get(about) != message:
            logger.error("serving goes on with %s, because %s: %s", self._last and self._last.version, about, message)
        self._troubles[about] = message
        if isinstance(error, BundleError):
            self._untold[about] = message


def pointer_to(row: ModelVersion, *, weights: int = 0) -> Pointer:
    """The pointer to a version."""
    return Pointer(row.version, row.artefacts.get("manifest.json"), weights)


def canary_of(row: ModelVersion) -> Canary:
    """The canary that a row in that state is."""
    return Canary(row.version, row.artefacts.get("manifest.json"), row.share_pct or 0)


def earlier_champions() -> QuerySet[ModelVersion]:
    """Whom serving may go back to, newest first: once promoted, and never rolled back from since."""
    return ModelVersion.objects.filter(
        state=ModelVersion.State.ARCHIVED, promoted_at__isnull=False, rolled_back_at__isnull=True
    ).order_by("-promoted_at")


def _newest(held: dict[Pointer, _Model]) -> dict[Pointer, _Model]:
    """The entries added last."""
    return dict(list(held.items())[-MOST_HELD:])


_models = _Models()
