"""Training pipeline: log and features as of then, fit, evaluate, register; `train` reads from top to bottom.

What a test example may know ends before its exposure, and the network never sees an example whose label window reaches
into the test time. Whether the result may serve is decided by the gates in `evaluation.gates` over the metrics stored
with it, so a promotion a month later is judged by the same figures.

An exposure of a served page is learned from as the ranker saw it (`served_examples`); others, and those served with
another list of features, are computed as of then.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from events import queries
from events.columnar.interactions import Interactions
from features import profiles, store
from features.extraction import ContentSnapshot, assemble_many, timeline
from features.extraction.definitions import CONTENT_DIM, CONTEXT_DIM, NAMES, USER_DIM
from features.extraction.snapshot import UNKNOWN
from ranking import registry
from ranking.evaluation import offline
from ranking.evaluation.gates import Gates, failed_gates
from ranking.ranker.bundle import BundleError
from ranking.ranker.examples import Examples, FeatureMatrix, TimeSplit, label_exposures, split_by_time
from ranking.ranker.network import FittedNetwork, NetworkConfig, fit_network
from ranking.served_examples import served_examples

logger = logging.getLogger(__name__)

KIND: Final = "mlp"
BASELINE_FEATURE: Final = "content_long_rate_7d"
"""Ordering by what everybody watched: the least a personal model must beat."""
_BASELINE: Final = NAMES["content"].index(BASELINE_FEATURE)
_TRAINING_LOCK: Final = 0x7EC5_0012
"""Key of the advisory lock; arbitrary, but nothing else in this database may use it."""

Progress = Callable[[str, float], None]
"""Called with the name of a stage and the share of it that is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that may differ between two trainings; stored with the model version.

    Attributes
    ----------
    max_examples : the newest so many; their features take half a millisecond each, so more would cost minutes
    test_share : newest share of them, kept for testing
    validation_share : newest share of the rest, which decides when to stop
    seed : of the network's weights, the order of examples and the bootstrap
    """

    max_examples: int = 80_000
    test_share: float = 0.15
    validation_share: float = 0.1
    seed: int = 7
    network: NetworkConfig = field(default_factory=NetworkConfig)
    gates: Gates = field(default_factory=Gates)


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What came of a training.

    Attributes
    ----------
    version : the registered model; None when there was too little to learn from
    promoted : whether it serves now
    reasons : why there is no model, or why it was not promoted; sentences
    metrics : as stored with the version
    seconds : wall time by stage
    """

    version: str | None
    promoted: bool
    reasons: tuple[str, ...]
    metrics: dict[str, Any]
    seconds: dict[str, float]

    def __str__(self) -> str:
        if self.version is None:
            return f"no model: {'; '.join(self.reasons)}"
        test = self.metrics["test"]
        auc = "unknown" if test["auc"] is None else f"{test['auc']:.4f}"
        outcome = "serves now" if self.promoted else f"not promoted: {'; '.join(self.reasons) or 'not asked to'}"
        seconds = ", ".join(f"{stage} {took:.1f} s" for stage, took in self.seconds.items())
        return f"{self.version}: AUC {auc} on {test['examples']} test examples; {outcome} ({seconds})"


class TrainingRunsError(RuntimeError):
    """Another process trains at this moment."""


def train_and_promote(
    config: TrainConfig, *, until: datetime, now: datetime, progress: Progress | None = None
) -> TrainReport:
    """Train, and let the model serve if it passes its gates. `until` ends the data, `now` is when it is promoted."""
    report = train(config, until=until, now=now, progress=progress)
    if report.version is None or report.reasons:
        return report
    registry.promote(report.version, now=now)
    return TrainReport(report.version, True, (), report.metrics, report.seconds)


def train(config: TrainConfig, *, until: datetime, now: datetime, progress: Progress | None = None) -> TrainReport:
    """Train on the log before `until` and register the model as a candidate.

    Too few examples, or examples of one class only, give a report without a version: there is nothing to learn then.

    Raises
    ------
    TrainingRunsError : while another process trains
    """
    with _single_flight():
        stages = _Stages(progress)
        with stages("read log"):
            log, snapshot = queries.interactions_between(None, until), store.snapshot()
            if snapshot is None:
                return TrainReport(None, False, ("there is no feature snapshot yet",), {}, stages.seconds)
            examples = _examples(log, snapshot, until, config)
            split = split_by_time(examples.timestamp, test_share=config.test_share)
        if unfit := _unfit(examples, split, config.gates):
            return TrainReport(None, False, unfit, {"examples": len(examples)}, stages.seconds)
        with stages("assemble features") as report:
            matrix = _assemble(examples, log, snapshot, report)
        with stages("fit") as report:
            network = _fit(examples, matrix, split, config, report)
        with stages("evaluate"):
            metrics = _judge(examples, matrix, split, network, config)
        if metrics is None:
            return TrainReport(None, False, ("training diverged: scores are not finite",), {}, stages.seconds)
        with stages("register"):
            version = registry.register(
                network.to_onnx(matrix.rows(split.test)),
                kind=KIND,
                dims={name: getattr(matrix, name).shape[1] for name in ("user", "content", "context")},
                config=asdict(config),
                metrics=metrics | {"seconds": {name: round(took, 2) for name, took in stages.seconds.items()}},
                trained_until=until,
                now=now,
            )
        return TrainReport(version, False, failed_gates(metrics, config.gates), metrics, stages.seconds)


def _examples(log: Interactions, snapshot: ContentSnapshot, until: datetime, config: TrainConfig) -> Examples:
    """The newest labelled exposures of contents that have features."""
    examples = label_exposures(log, queries.catalogue_table(), until=until.timestamp())
    known = np.flatnonzero(snapshot.rows(log.contents.tolist())[examples.content] != UNKNOWN)
    return examples.rows(known[-config.max_examples :])


def _unfit(examples: Examples, split: TimeSplit, gates: Gates) -> tuple[str, ...]:
    """Why nothing can be learned from these examples; empty if something can."""
    count = int(split.train.sum())
    if count < gates.min_train or split.test.sum() < gates.min_test:
        found = f"{count} training and {int(split.test.sum())} test examples"
        return (f"{found}; at least {gates.min_train} and {gates.min_test} are needed",)
    positives = int(examples.label[split.train].sum())
    if positives in (0, count):
        return (f"all {count} training examples are {'positive' if positives else 'negative'}; nothing to tell apart",)
    return ()


def _assemble(
    examples: Examples, log: Interactions, snapshot: ContentSnapshot, progress: Callable[[float], None]
) -> FeatureMatrix:
    """Features of every example: what serving logged, else as of its moment by the code that serves."""
    progress(0.01)
    served = served_examples(examples, log)
    rest = np.setdiff1d(np.arange(len(examples)), served.logged)
    blocks = assemble_many(
        log,
        snapshot,
        timeline(log, snapshot),
        user=examples.user[rest],
        rows=snapshot.rows(log.contents.tolist())[examples.content[rest]],
        moments=served.moment[rest],
        surfaces=served.surface[rest],
        profiles=profiles.read_many(log.users[np.unique(examples.user[rest])].tolist()),
        counted_until=served.counted_until[rest],
    )
    matrix = np.empty((len(examples), USER_DIM + CONTENT_DIM + CONTEXT_DIM), np.float32)
    matrix[rest] = np.concatenate([blocks.user, blocks.content, blocks.context], axis=1)
    matrix[served.logged] = served.features
    return FeatureMatrix(*np.split(matrix, [USER_DIM, USER_DIM + CONTENT_DIM], axis=1))


def _fit(
    examples: Examples, matrix: FeatureMatrix, split: TimeSplit, config: TrainConfig, progress: Callable[[float], None]
) -> FittedNetwork:
    """Fit on the training rows; their newest part decides when to stop."""
    train_rows = np.flatnonzero(split.train)
    first_validation = len(train_rows) - max(1, int(len(train_rows) * config.validation_share))
    fit_rows, validation_rows = train_rows[:first_validation], train_rows[first_validation:]
    return fit_network(
        matrix.rows(fit_rows),
        examples.label[fit_rows],
        matrix.rows(validation_rows),
        examples.label[validation_rows],
        config=config.network,
        seed=config.seed,
        progress=lambda done, most: progress(done / most),
    )


def _judge(
    examples: Examples, matrix: FeatureMatrix, split: TimeSplit, network: FittedNetwork, config: TrainConfig
) -> dict[str, Any] | None:
    """All that the gates, the admin and a later reader want to know; None when scores are not finite."""
    rows, test = examples.rows(split.test), matrix.rows(split.test)
    scores = network.predict(test).astype(np.float64)
    if not np.isfinite(scores).all():
        return None
    rng = np.random.default_rng(config.seed)
    users = rows.user.astype(np.int64)
    return {
        "train_examples": int(split.train.sum()),
        "train_positives": int(examples.label[split.train].sum()),
        "cut": split.cut,
        "epochs": len(network.losses),
        "loss": [round(loss, 5) for loss in network.losses],
        "validation_loss": [round(loss, 5) for loss in network.validation_losses],
        "test": offline.evaluate(rows.label, scores, sessions=rows.session, users=users, rng=rng).as_json(),
        "baseline": {
            "feature": BASELINE_FEATURE,
            "auc": offline.auc(rows.label, test.content[:, _BASELINE].astype(np.float64)),
        },
        "champion": _beside_champion(rows, test, scores, rng),
    }


def _beside_champion(
    rows: Examples, test: FeatureMatrix, scores: NDArray[np.float64], rng: np.random.Generator
) -> dict[str, Any] | None:
    """The current champion on the same test examples; None if there is none that can score them."""
    champion = registry.champion()
    if champion is None:
        return None
    try:
        theirs = champion.score_rows({"user": test.user, "content": test.content, "context": test.context})
    except (BundleError, ValueError) as error:
        logger.warning("the champion cannot be compared: %s", error)
        return None
    theirs64 = theirs.astype(np.float64)
    users = rows.user.astype(np.int64)
    interval = offline.auc_difference_interval(rows.label, scores, theirs64, users, rng=rng)
    return {
        "version": champion.version,
        "auc": offline.auc(rows.label, theirs64),
        "log_loss": offline.log_loss(rows.label, theirs64),
        "auc_difference_interval": interval and asdict(interval),
    }


class _Stages:
    """Times the stages of one training and tells the caller where it is."""

    def __init__(self, progress: Progress | None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress or (lambda _stage, _share: None)

    @contextmanager
    def __call__(self, name: str) -> Iterator[Callable[[float], None]]:
        self._progress(name, 0.0)
        started = time.perf_counter()
        yield lambda share: self._progress(name, min(share, 0.99))
        self.seconds[name] = time.perf_counter() - started
        self._progress(name, 1.0)


@contextmanager
def _single_flight() -> Iterator[None]:
    """One training at a time in this database. The lock belongs to the connection, so a killed process frees it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_TRAINING_LOCK])
        if not cursor.fetchone()[0]:
            raise TrainingRunsError("a training runs already; wait for it to end")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_TRAINING_LOCK])
