"""Model repository: the versions there are, what each may do, and who decided that.

    candidate -> shadow (scores a share of real pages, serves none) -> canary (serves a share of the users) -> champion

Any step may be left out. The row of a version and the folder `MODEL_DIR/<version>` belong together: the folder is
complete before the row is written (`model_files`), so a version that can be seen is whole; a crash in between leaves a
folder nobody refers to. There is at most one champion, one canary and one shadow: unique constraints say so, and an
advisory lock makes decisions at the same moment follow one another. Each leaves a row that is never changed, also one
that the gates refused.

Web workers follow by themselves: see `serving_models`, whose doors are here too.
"""

import hashlib
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from django.db import IntegrityError, connection, transaction

from features.extraction.definitions import FEATURE_SET
from ranking import model_alerts, model_files, tried_out
from ranking.evaluation.gates import Gates, failed_gates
from ranking.model_files import Pointer
from ranking.models import ModelMove, ModelVersion
from ranking.ranker.bundle import BundleError, Manifest, ServingBundle
from ranking.serving_models import champion, earlier_champions, forget, keep, pointer_to, serving_for, serving_of

__all__ = [
    "GateError",
    "NothingToRollBackError",
    "Pointer",
    "PromotionReport",
    "RegistryError",
    "StateError",
    "UnknownVersionError",
    "archive",
    "canary",
    "champion",
    "champion_version",
    "check",
    "extras_of",
    "forget",
    "keep",
    "load_version",
    "promote",
    "prune",
    "register",
    "roll_back",
    "serving_for",
    "serving_of",
    "shadow",
    "unmet_gates",
]  # fmt: skip

logger = logging.getLogger(__name__)

State = ModelVersion.State
Action = ModelMove.Action
COMMAND: Final = "command"
TRAINING: Final = "training"
"""Who promotes what a training made, where its gates hold."""
LATENCY_ROWS: Final = 300
"""Candidates of one feed."""
_LATENCY_RUNS: Final = 9
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


class StateError(RegistryError):
    """A move that makes no sense, or lacks a name or a reason."""


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
    extras: Mapping[str, bytes] | None = None,
    parent: str = "",
) -> str:
    """Keep a trained model as a candidate and return its version.

    The version names the end of its training data and the content of its files, so registering the same model twice is
    one version. `metrics` must hold what `evaluation.gates` asks for; `config` must be JSON. `heads` says how the
    outputs of the graph are read (`ranker.reading`), `fusion` holds factors on the weights of the session's signals,
    `retriever` the files of a trained retriever, `extras` files that training goes on from, and `parent` the version
    that this one went on from. How long the model takes is measured here, beside the champion.
    """
    moment = trained_until.astimezone(UTC)
    version = f"ranker-{moment:%Y%m%dT%H%M%S}-{_digest(graph, heads or b'', *(retriever or {}).values())}"
    manifest = Manifest(
        version, kind, FEATURE_SET, dims, moment.isoformat(), config, metrics, {}, dict(fusion or {})
    )  # fmt: skip
    if ModelVersion.objects.filter(version=version).exists():
        return version
    artefacts, model = model_files.store(
        version, graph, heads, extras or {}, manifest=manifest, now=now, retriever=retriever
    )  # fmt: skip
    try:
        with transaction.atomic():
            ModelVersion.objects.create(
                version=version,
                kind=kind,
                feature_set=FEATURE_SET,
                trained_until=trained_until,
                config=config,
                metrics=metrics | {"latency": _latencies(model)},
                artefacts=artefacts,
                parent=parent,
            )
    except IntegrityError:  # the same model was registered at this very moment; its folder is the same too
        logger.info("%s was registered twice at once", version)
    return version


def promote(
    version: str, *, now: datetime, by: str = COMMAND, reason: str = "asked to", despite_gates: bool = False
) -> PromotionReport:
    """Make a version the champion. Promoting the champion again changes nothing.

    Raises
    ------
    UnknownVersionError : for a version that is not registered
    GateError : when it failed its gates, unless `despite_gates`; the sentences say which
    BundleError : when its artefacts are missing, damaged, or of another feature set
    StateError : without a name or a reason
    """
    _signed(by, reason)
    refusal: RegistryError | BundleError | None = None
    with transaction.atomic():
        _lock_promotions()
        row, previous = _row(version), _in_state(State.CHAMPION)
        failed = _unmet(row)
        if failed and not despite_gates:
            refusal = GateError(f"{version} failed its gates: {'; '.join(failed)}")
        try:
            _load(pointer_to(row))
        except BundleError as error:
            refusal, failed = error, (*failed, str(error))
        if refusal is None and previous is not None and previous.version == version:
            return PromotionReport(version, version)
        if refusal is None:
            _hand_over(previous, row, promoted_at=_after(previous, now))
        action = Action.PROMOTED if refusal is None else Action.REFUSED
        _note(row, action, previous, by=by, reason=reason, now=now, gates=failed)
    if refusal is not None:
        # Outside the transaction, so that what was refused stays known.
        raise refusal
    forget()
    logger.info("promoted %s; before: %s; %s: %s", version, previous and previous.version, by, reason)
    return PromotionReport(version, previous.version if previous else None)


def roll_back(*, now: datetime, by: str = COMMAND, reason: str = "asked to") -> PromotionReport:
    """Give serving back to the champion before this one.

    The version that loses it is marked, so rolling back twice goes back two steps, and a version rolled back from is
    never a goal until somebody promotes it again. An earlier champion whose files are not sound is passed over.

    Raises
    ------
    NothingToRollBackError : when there is no champion or none before it
    BundleError : when no earlier version's artefacts can serve any more; nothing changes then
    StateError : without a name or a reason
    """
    _signed(by, reason)
    with transaction.atomic():
        _lock_promotions()
        current = _in_state(State.CHAMPION)
        if current is None:
            raise NothingToRollBackError("no model serves, so there is nothing to roll back")
        earlier = _sound(list(earlier_champions()))
        if earlier is None:
            raise NothingToRollBackError(f"{current.version} is the first champion; there is none before it")
        current.rolled_back_at = now
        _hand_over(current, earlier, promoted_at=earlier.promoted_at)
        _note(earlier, Action.ROLLED_BACK, current, by=by, reason=reason, now=now)
    forget()
    logger.warning("rolled back from %s to %s; %s: %s", current.version, earlier.version, by, reason)
    return PromotionReport(earlier.version, current.version)


def shadow(version: str, share_pct: int, *, now: datetime, by: str = COMMAND, reason: str = "asked to") -> None:
    """Let a version score a share of the served pages afterwards (`shadowing`); the one that did becomes a candidate.

    Raises as `promote` does, but for the gates, and StateError for the champion and for no share of 1 to 100.
    """
    _try_out(version, State.SHADOW, Action.SHADOWED, share_pct, now=now, by=by, reason=reason)


def canary(version: str, share_pct: int, *, now: datetime, by: str = COMMAND, reason: str = "asked to") -> None:
    """Let a version serve a stable share of the users; the one that did becomes a candidate.

    The gates do not stop it: a canary is how a version gets the evidence that they ask for.
    Raises as `shadow` does.
    """
    _try_out(version, State.CANARY, Action.CANARIED, share_pct, now=now, by=by, reason=reason)


def archive(version: str, *, now: datetime, by: str = COMMAND, reason: str = "asked to") -> None:
    """Take a version out of whatever it does; the champion is promoted over or rolled back instead.

    Raises as `shadow` does.
    """
    _signed(by, reason)
    with transaction.atomic():
        _lock_promotions()
        row = _row(version)
        if row.state == State.CHAMPION:
            raise StateError(f"{version} serves; promote another one or roll back instead")
        row.state, row.share_pct = State.ARCHIVED, None
        row.save(update_fields=["state", "share_pct"])
        _note(row, Action.ARCHIVED, _in_state(State.CHAMPION), by=by, reason=reason, now=now)
    forget()


def check(*, now: datetime) -> tuple[str, ...]:
    """Look at the files of all that serves or may have to; returns the versions in trouble, which have open alerts."""
    used = list(ModelVersion.objects.filter(state__in=(State.CHAMPION, State.CANARY, State.SHADOW)))
    used += list(earlier_champions()[:1])
    serving = champion()
    broken = []
    for row in used:
        try:
            _load(pointer_to(row))
        except BundleError as error:
            broken.append(row.version)
            instead = serving.version if serving is not None and serving.version != row.version else ""
            model_alerts.note(row.version, str(error), serving=instead, now=now)
    model_alerts.clear(still=broken, now=now)
    return tuple(broken)


def prune(*, now: datetime, keep_for: timedelta) -> int:
    """Forget candidates that nobody ever used and nothing went on from; returns how many.

    Training every few minutes makes hundreds a day.
    """
    with transaction.atomic():
        _lock_promotions()
        parents = ModelVersion.objects.exclude(parent="").values("parent")
        moved = ModelMove.objects.values("version")
        old = ModelVersion.objects.filter(state=State.CANDIDATE, promoted_at=None, created_at__lt=now - keep_for)
        gone = list(old.exclude(version__in=parents).exclude(version__in=moved).values_list("version", flat=True))
        ModelVersion.objects.filter(version__in=gone).delete()
    # After the rows: a folder without a row is what a crash leaves, and a row without a folder would be half a model.
    for version in gone:
        model_files.remove(version)
    return len(gone)


def champion_version() -> str | None:
    """The version that should serve, straight from the database; None before the first promotion."""
    row = _in_state(State.CHAMPION)
    return row.version if row else None


def load_version(version: str) -> ServingBundle:
    """A checked bundle of any version; UnknownVersionError or BundleError when there is none to be had."""
    return _load(pointer_to(_row(version)))


def extras_of(version: str, names: Collection[str]) -> dict[str, bytes]:
    """Those of some files of a version that it has, each checked; what training goes on from.

    Raises
    ------
    UnknownVersionError, BundleError : as `load_version` does
    """
    noted = _row(version).artefacts
    return {name: model_files.side_file(version, name, noted[name]) for name in names if name in noted}


def unmet_gates(version: str) -> tuple[str, ...]:
    """The gates that a version does not pass, as sentences."""
    return _unmet(_row(version))


def _try_out(
    version: str, state: str, action: str, share_pct: int, *, now: datetime, by: str, reason: str
) -> None:  # fmt: skip
    _signed(by, reason)
    if not 1 <= share_pct <= 100:
        raise StateError(f"the share must be 1 to 100 percent, got {share_pct}")
    with transaction.atomic():
        _lock_promotions()
        row = _row(version)
        if row.state == State.CHAMPION:
            raise StateError(f"{version} serves everybody already")
        _load(pointer_to(row))
        ModelVersion.objects.filter(state=state).exclude(version=version).update(state=State.CANDIDATE, share_pct=None)
        row.state, row.share_pct = state, share_pct
        row.save(update_fields=["state", "share_pct"])
        _note(row, action, _in_state(State.CHAMPION), by=by, reason=reason, now=now, gates=_unmet(row))
    forget()
    logger.info("%s: %s of %s %%; %s: %s", version, action, share_pct, by, reason)


def _unmet(row: ModelVersion) -> tuple[str, ...]:
    return (*failed_gates(row.metrics, Gates(**row.config.get("gates", {}))), *tried_out.objections(row.version))


def _digest(*files: bytes) -> str:
    return hashlib.sha256(b"".join(files)).hexdigest()[:8]


def _load(pointer: Pointer) -> ServingBundle:
    return model_files.load(pointer, feature_set=FEATURE_SET)


def _sound(rows: list[ModelVersion]) -> ModelVersion | None:
    """The first whose files can serve; BundleError where there are some and none can."""
    trouble: BundleError | None = None
    for row in rows:
        try:
            _load(pointer_to(row))
        except BundleError as error:
            logger.warning("%s cannot be gone back to: %s", row.version, error)
            trouble = trouble or error
        else:
            return row
    if trouble is not None:
        raise trouble
    return None


def _row(version: str) -> ModelVersion:
    try:
        return ModelVersion.objects.get(version=version)
    except ModelVersion.DoesNotExist:
        raise UnknownVersionError(f"there is no model version {version!r}") from None


def _in_state(state: str) -> ModelVersion | None:
    return ModelVersion.objects.filter(state=state).first()


def _hand_over(current: ModelVersion | None, successor: ModelVersion, *, promoted_at: datetime | None) -> None:
    """Move the one champion state; the old one leaves first, as the constraint allows no moment with two."""
    if current is not None:
        current.state = State.ARCHIVED
        current.save(update_fields=["state", "rolled_back_at"])
    successor.state, successor.share_pct = State.CHAMPION, None
    successor.promoted_at, successor.rolled_back_at = promoted_at, None
    successor.save(update_fields=["state", "share_pct", "promoted_at", "rolled_back_at"])


def _after(previous: ModelVersion | None, now: datetime) -> datetime:
    """A moment after the promotion before: whoever waited for the lock brings an earlier one, and rolling back goes by
    these.
    """
    if previous is None or previous.promoted_at is None or previous.promoted_at < now:
        return now
    return previous.promoted_at + timedelta(microseconds=1)


def _signed(by: str, reason: str) -> None:
    for what, text in (("name", by), ("reason", reason)):
        if not text.strip():
            raise StateError(f"a decision about a model needs a {what}, got {text!r}")


def _note(
    row: ModelVersion,
    action: str,
    before: ModelVersion | None,
    *,
    by: str,
    reason: str,
    now: datetime,
    gates: tuple[str, ...] = (),
) -> None:
    ModelMove.objects.create(
        version=row.version, action=action, before=before.version if before else "", share_pct=row.share_pct,
        gates=list(gates), made_by=by.strip(), reason=reason.strip(), made_at=now,
    )  # fmt: skip


def _lock_promotions() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_PROMOTION_LOCK])


def _latencies(model: ServingBundle) -> dict[str, float | None]:
    """Milliseconds for the candidates of one feed, of a model and of the champion of the moment, in turns."""
    other = champion()
    theirs = other.bundle if other is not None and other.manifest.dims == model.manifest.dims else None
    rows = {name: np.ones((LATENCY_ROWS, width), np.float32) for name, width in model.manifest.dims.items()}
    took: dict[str, list[float]] = {"ms_300": [], "champion_ms_300": []}
    for _ in range(_LATENCY_RUNS):
        for name, each in (("ms_300", model), ("champion_ms_300", theirs)):
            if each is not None:
                started = time.perf_counter()
                each.head_rows(rows)
                took[name].append(1e3 * (time.perf_counter() - started))
    return {name: round(min(values), 3) if values else None for name, values in took.items()}
