"""Model repository: the versions there are, where their artefacts lie, and which one serves.

The row of a version and the folder `MODEL_DIR/<version>` belong together. The folder is completed under a temporary
name, read back, and renamed before the row is written, so a version that can be seen is whole; a crash in between
leaves a folder nobody refers to. Exactly one version is the champion: a unique constraint says so, and an advisory lock
makes promotions at the same moment follow one another.

A feed reads the pointer with all else it asks the database, and takes `serving_of` it; other doors call `champion()`,
which looks at the database at most once a second. The pointer names the model and the version of the value weights.
Both doors keep what they have when the new one cannot be loaded: an old model is better than none.
"""

import hashlib
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction

from features.extraction.definitions import FEATURE_SET
from ranking import value_weights
from ranking.evaluation.gates import Gates, failed_gates
from ranking.models import ModelVersion
from ranking.ranker import bundle
from ranking.ranker.bundle import BundleError, Manifest, ServingBundle
from ranking.ranker.value import InvalidWeights, Policy
from ranking.ranker.valued import ValuedModel

logger = logging.getLogger(__name__)

RECHECK_S: Final = 1.0
"""A promotion serves everywhere within this; less would be a query per request."""
STALE_S: Final = 24 * 3600
"""Temporary folders older than this belong to a crash, not to a training that still runs."""
_PROMOTION_LOCK: Final = 0x7EC5_0011
"""Key of the advisory lock; arbitrary, but nothing else in this database may use it."""


class RegistryError(RuntimeError):
    """Base of what the registry refuses."""


class UnknownVersionError(RegistryError):
    """No such version."""


class GateError(RegistryError):
    """A version that failed its gates was to be promoted."""


class NothingToRollBackError(RegistryError):
    """No earlier champion to go back to."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """The model version that serves, the SHA-256 its manifest must have, and the version of the value weights."""

    version: str
    manifest_sha256: str | None
    weights: int = 0


@dataclass(frozen=True, slots=True)
class PromotionReport:
    """What serves now, and what served before (None for the first)."""

    version: str
    previous: str | None


def register(
    graph: bytes,
    *,
    kind: str,
    dims: dict[str, int],
    config: dict[str, Any],
    metrics: dict[str, Any],
    trained_until: datetime,
    now: datetime,
    heads: bytes | None = None,
    fusion: Mapping[str, float] | None = None,
    retriever: Mapping[str, bytes] | None = None,
) -> str:
    """Keep a trained model as a candidate and return its version.

    The version names the end of its training data and the content of its files, so registering the same model twice is
    one version. `metrics` must hold what `evaluation.gates` asks for; `config` must be JSON. `heads` says how the
    outputs of the graph are read (`ranker.reading`), `fusion` holds factors on the weights of the session's signals,
    `retriever` the files of a trained retriever.
    """
    moment = trained_until.astimezone(UTC)
    version = f"ranker-{moment:%Y%m%dT%H%M%S}-{_digest(graph, heads or b'', *(retriever or {}).values())}"
    manifest = Manifest(
        version, kind, FEATURE_SET, dims, moment.isoformat(), config, metrics, {}, dict(fusion or {})
    )  # fmt: skip
    if ModelVersion.objects.filter(version=version).exists():
        return version
    folder = _folder(version)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent, now=now)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent))
    try:
        artefacts = bundle.save(unfinished, graph, heads, manifest=manifest, retriever=retriever)
        bundle.load(unfinished, feature_set=FEATURE_SET, manifest_sha256=artefacts[bundle.MANIFEST_FILE])
        # mkdtemp makes folders for the owner alone; web processes may run as another user.
        unfinished.chmod(0o755)
        if folder.exists():  # left by a crash before its row was written
            shutil.rmtree(folder)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    try:
        with transaction.atomic():
            ModelVersion.objects.create(
                version=version,
                kind=kind,
                feature_set=FEATURE_SET,
                trained_until=trained_until,
                config=config,
                metrics=metrics,
                artefacts=artefacts,
            )
    except IntegrityError:  # the same model was registered at this very moment; its folder is the same too
        logger.info("%s was registered twice at once", version)
    return version


def promote(version: str, *, now: datetime, despite_gates: bool = False) -> PromotionReport:
    """Make a version the champion. Promoting the champion again changes nothing.

    Raises
    ------
    UnknownVersionError : for a version that is not registered
    GateError : when it failed its gates, unless `despite_gates`; the sentences say which
    BundleError : when its artefacts are missing, damaged, or of another feature set
    """
    with transaction.atomic():
        _lock_promotions()
        row = _row(version)
        failed = failed_gates(row.metrics, Gates(**row.config.get("gates", {})))
        if failed and not despite_gates:
            raise GateError(f"{version} failed its gates: {'; '.join(failed)}")
        _load(_pointer(row))
        previous = _champion_row()
        if previous is not None and previous.version == version:
            return PromotionReport(version, version)
        _hand_over(previous, row, promoted_at=now)
    forget()
    logger.info("promoted %s; before: %s", version, previous and previous.version)
    return PromotionReport(version, previous.version if previous else None)


def roll_back(*, now: datetime) -> PromotionReport:
    """Give serving back to the champion before this one.

    The version that loses it is marked, so rolling back twice goes back two steps, and a version rolled back from is
    never a goal until somebody promotes it again.

    Raises
    ------
    NothingToRollBackError : when there is no champion or none before it
    BundleError : when the earlier version's artefacts can no longer serve; nothing changes then
    """
    with transaction.atomic():
        _lock_promotions()
        current = _champion_row()
        if current is None:
            raise NothingToRollBackError("no model serves, so there is nothing to roll back")
        earlier = (
            ModelVersion.objects.filter(
                state=ModelVersion.State.ARCHIVED, promoted_at__isnull=False, rolled_back_at__isnull=True
            )
            .order_by("-promoted_at")
            .first()
        )
        if earlier is None:
            raise NothingToRollBackError(f"{current.version} is the first champion; there is none before it")
        _load(_pointer(earlier))
        current.rolled_back_at = now
        _hand_over(current, earlier, promoted_at=earlier.promoted_at)
    forget()
    logger.warning("rolled back from %s to %s", current.version, earlier.version)
    return PromotionReport(earlier.version, current.version)


def champion_version() -> str | None:
    """The version that should serve, straight from the database; None before the first promotion."""
    row = _champion_row()
    return row.version if row else None


def load_version(version: str) -> ServingBundle:
    """A checked bundle of any version; UnknownVersionError or BundleError when there is none to be had."""
    return _load(_pointer(_row(version)))


def champion() -> ValuedModel | None:
    """The model to serve with and the weights of its heads; None before the first promotion and when none could ever
    be loaded.

    Never raises: a pointer that cannot be read, artefacts that cannot be loaded and weights that do not hold leave the
    previous ones in place and are logged once.
    """
    return _cache.current()


def serving_of(pointer: Pointer | None) -> ValuedModel | None:
    """`champion` for whoever read the pointer already, as a feed does with everything else it asks the database."""
    return _cache.follow(pointer)


def forget() -> None:
    """Drop what this process knows of the pointer, so that the next `champion()` reads it; the bundle stays at hand."""
    _cache.expire()


class _ChampionCache:
    """The one bundle of this process. A request that finds another one reloading goes on with the old bundle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checked_at = self._failed_at = float("-inf")
        self._serving: ValuedModel | None = None
        self._complained_of = ""

    def expire(self) -> None:
        self._checked_at = self._failed_at = float("-inf")

    def current(self) -> ValuedModel | None:
        # The monotonic clock paces a cache; it says nothing about when things happened.
        if time.monotonic() - self._checked_at < RECHECK_S:
            return self._serving
        # Only the very first request has to wait for another one's load: it has nothing to go on with.
        if self._lock.acquire(blocking=self._serving is None):
            try:
                self._refresh()
                self._checked_at = time.monotonic()
            finally:
                self._lock.release()
        return self._serving

    def follow(self, pointer: Pointer | None) -> ValuedModel | None:
        """What a pointer names; what cannot be loaded is tried again in a second, not by every request."""
        held = self._serving
        have = None if held is None else (held.version, held.policy.version)
        wanted = None if pointer is None else (pointer.version, pointer.weights)
        if have == wanted or time.monotonic() - self._failed_at < RECHECK_S:
            return held
        if self._lock.acquire(blocking=held is None):
            try:
                self._take(pointer)
            finally:
                self._lock.release()
        return self._serving

    def _refresh(self) -> None:
        try:
            row = ModelVersion.objects.annotate(weights=value_weights.newest()).filter(state="champion").first()
            self._take(None if row is None else _pointer(row, weights=row.weights or 0))
        except (OperationalError, InterfaceError) as error:
            self._complain("the database", error)

    def _take(self, pointer: Pointer | None) -> None:
        if pointer is None:
            self._serving = None
            return
        model = self._bundle(pointer)
        if model is not None:
            self._serving = ValuedModel(model, self._policy(pointer.weights))

    def _bundle(self, pointer: Pointer) -> ServingBundle | None:
        held = None if self._serving is None else self._serving.bundle
        if held is not None and held.version == pointer.version:
            return held
        try:
            loaded = _load(pointer)
        except BundleError as error:
            self._failed_at = time.monotonic()
            self._complain(pointer.version, error)
            return held
        self._complained_of = ""
        return loaded

    def _policy(self, version: int) -> Policy:
        held = Policy.default() if self._serving is None else self._serving.policy
        if held.version == version:
            return held
        try:
            return value_weights.load(version)
        except (InvalidWeights, value_weights.UnknownWeightsError) as error:
            self._failed_at = time.monotonic()
            self._complain(f"value weights {version}", error)
            return held

    def _complain(self, about: str, error: Exception) -> None:
        if self._complained_of != about:
            held = self._serving and self._serving.version
            logger.error("serving goes on with %s, because %s: %s", held, about, error)
        self._complained_of = about


_cache = _ChampionCache()


def _digest(*files: bytes) -> str:
    return hashlib.sha256(b"".join(files)).hexdigest()[:8]


def _folder(version: str) -> Path:
    return Path(settings.MODEL_DIR) / version


def _pointer(row: ModelVersion, *, weights: int = 0) -> Pointer:
    return Pointer(row.version, row.artefacts.get(bundle.MANIFEST_FILE), weights)


def _load(pointer: Pointer) -> ServingBundle:
    return bundle.load(_folder(pointer.version), feature_set=FEATURE_SET, manifest_sha256=pointer.manifest_sha256)


def _row(version: str) -> ModelVersion:
    try:
        return ModelVersion.objects.get(version=version)
    except ModelVersion.DoesNotExist:
        raise UnknownVersionError(f"there is no model version {version!r}") from None


def _champion_row() -> ModelVersion | None:
    return ModelVersion.objects.filter(state=ModelVersion.State.CHAMPION).first()


def _hand_over(current: ModelVersion | None, successor: ModelVersion, *, promoted_at: datetime | None) -> None:
    """Move the one champion state; the old one leaves first, as the constraint allows no moment with two."""
    if current is not None:
        current.state = ModelVersion.State.ARCHIVED
        current.save(update_fields=["state", "rolled_back_at"])
    successor.state = ModelVersion.State.CHAMPION
    successor.promoted_at, successor.rolled_back_at = promoted_at, None
    successor.save(update_fields=["state", "promoted_at", "rolled_back_at"])


def _lock_promotions() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_PROMOTION_LOCK])


def _sweep(models: Path, *, now: datetime) -> None:
    """Remove what crashed registrations left behind."""
    for folder in models.glob(".unfinished-*"):
        if now.timestamp() - folder.stat().st_mtime > STALE_S:
            shutil.rmtree(folder, ignore_errors=True)
