"""Training pipeline: log and features as of then, fit, evaluate, register; `train` reads from top to bottom.

What a test example may know ends before its exposure, and the network never sees an example whose label window reaches
into the test time. Whether the result may serve is decided by the gates in `evaluation.gates` over the metrics stored
with it, so a promotion a month later is judged by the same figures.

An exposure of a served page is learned from as the ranker saw it (`served_examples`); others, and those served with
another list of features, are computed as of then, or left out where the log has dropped what was known (`readable`).
Labels of training examples are those known at the cut: a like that came after the first test exposure is not learned
from.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import numpy as np
from django.db import connection

from events import queries
from events.columnar.interactions import Interactions
from features import profiles, store
from features.extraction import ContentSnapshot, Remembered, assemble_many, timeline
from features.extraction.definitions import CONTENT_DIM, CONTEXT_DIM, USER_DIM
from features.extraction.snapshot import UNKNOWN
from features.remembered import remembered
from ranking import evidence, insights, registry, value_weights
from ranking.evaluation.gates import Gates
from ranking.fusion_fit import fit_fusion
from ranking.ranker import blend
from ranking.ranker.blend import BlendConfig, FittedBlend, fit_blend
from ranking.ranker.examples import Examples, FeatureMatrix, TimeSplit, known_at, label_exposures, split_by_time
from ranking.ranker.multitask import MultiTaskConfig, fit_multitask
from ranking.ranker.network import NetworkConfig, fit_network
from ranking.ranker.reading import Reading
from ranking.ranker.training_set import LEAST_ANSWERS, FittedRanker, TrainingSet, learnable_heads
from ranking.ranker.trees import TreesConfig
from ranking.ranker.warm_start import GoOnConfig
from ranking.readable import readable
from ranking.retrieval.fitting import RetrieverConfig
from ranking.retrieval_fit import retriever_of, taken_over
from ranking.served_examples import served_examples

logger = logging.getLogger(__name__)

_TRAINING_LOCK: Final = 0x7EC5_0012
"""Key of the advisory lock; arbitrary, but nothing else in this database may use it."""

GOES_BACK: Final = timedelta(days=2)
"""How much of the log an increment reads: what it learns from, and some of what was learned before, so that a like that
came late is corrected and the old is not forgotten."""
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
    kind : "blend" is the multi-task network with trees beside it, "multitask" that network alone; "mlp" is the network
        of the source design, which learns one head
    retriever : None leaves finding candidates to the snapshot's own model
    go_on : how an increment learns
    regrow : whether an increment grows new trees; it keeps those of its parent else
    """

    max_examples: int = 72_000
    test_share: float = 0.15
    validation_share: float = 0.1
    seed: int = 7
    kind: Literal["blend", "multitask", "mlp"] = "blend"
    go_on: GoOnConfig = field(default_factory=GoOnConfig)
    regrow: bool = False
    multitask: MultiTaskConfig = field(default_factory=MultiTaskConfig)
    trees: TreesConfig = field(default_factory=TreesConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    retriever: RetrieverConfig | None = field(default_factory=RetrieverConfig)
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
    config: TrainConfig,
    *,
    until: datetime,
    now: datetime,
    progress: Progress | None = None,
    parent: str | None = None,
) -> TrainReport:
    """Train, and let the model serve if it passes its gates. `until` ends the data, `now` is when it is promoted."""
    report = train(config, until=until, now=now, progress=progress, parent=parent)
    if report.version is None or report.reasons:
        return report
    reason = f"its gates hold on {report.metrics['test']['examples']} test examples"
    registry.promote(report.version, now=now, by=registry.TRAINING, reason=reason)
    return TrainReport(report.version, True, (), report.metrics, report.seconds)


def train(
    config: TrainConfig,
    *,
    until: datetime,
    now: datetime,
    progress: Progress | None = None,
    parent: str | None = None,
) -> TrainReport:
    """Train on the log before `until` and register the model as a candidate.

    Too few examples, or examples of one class only, give a report without a version: there is nothing to learn then.
    With a `parent`, training goes on from that version, on the newest exposures of served pages alone: the log holds
    what the ranker saw of them, so the past of their users need not be read.

    Raises
    ------
    TrainingRunsError : while another process trains
    WarmStartError : for a parent that training cannot go on from
    UnknownVersionError, BundleError : for one that there is not, or that is damaged
    """
    with _single_flight():
        stages = _Stages(progress)
        with stages("read log"):
            alone = parent is not None
            since = until - GOES_BACK if alone else None
            log, snapshot = queries.interactions_between(since, until, refusals=True), store.snapshot()
            if snapshot is None:
                return TrainReport(None, False, ("there is no feature snapshot yet",), {}, stages.seconds)
            before = remembered(snapshot)
            examples, split, unreadable = _examples(
                log, snapshot, until, config, before, served_only=parent is not None
            )
        if unfit := _unfit(examples, split, config.gates, unreadable):
            counted = {"examples": len(examples), "unreadable": unreadable}
            return TrainReport(None, False, unfit, counted, stages.seconds)
        with stages("assemble features") as report:
            matrix = _assemble(examples, log, snapshot, report, before)
            learned_from, held_out, test = _sets(examples, matrix, split, config)
        with stages("fit") as report:
            ranker = _fit(learned_from, held_out, config, report, parent)
            sane = np.isfinite(ranker.outputs(test.features)).all()
            reading = Reading.fit(ranker, learned_from, held_out) if sane else None
        if reading is None:
            return TrainReport(None, False, ("training diverged: scores are not finite",), {}, stages.seconds)
        with stages("evaluate"):
            metrics = (
                {"unreadable": unreadable}
                | _course(ranker, examples, split)
                | evidence.judge(ranker, reading, test, examples.rows(split.test), seed=config.seed)
                | insights.describe(ranker, reading, learned_from, test, examples.rows(split.test), seed=config.seed)
            )
            fusion = fit_fusion(ranker, reading, held_out, test, policy=value_weights.current())
            metrics |= {"fusion": fusion.evidence}
        with stages("retrieval") as report:
            found = (
                taken_over(registry.load_version(parent))
                if parent is not None
                else retriever_of(
                    log, snapshot, registry.champion(), config=config.retriever, until=until.timestamp(),
                    seed=config.seed, progress=report,
                )
            )  # fmt: skip
            metrics |= {"retrieval": found.evidence}
        with stages("register"):
            version = registry.register(
                ranker.to_onnx(test.features),
                heads=reading.to_bytes(),
                fusion=fusion.factors,
                retriever=found.files,
                kind=config.kind,
                dims={name: getattr(matrix, name).shape[1] for name in ("user", "content", "context")},
                config=asdict(config),
                metrics=metrics | {"seconds": {name: round(took, 2) for name, took in stages.seconds.items()}},
                trained_until=until,
                now=now,
                extras=blend.files_of(ranker),
                parent=parent or "",
            )
        return TrainReport(version, False, registry.unmet_gates(version), metrics, stages.seconds)


def _examples(
    log: Interactions,
    snapshot: ContentSnapshot,
    until: datetime,
    config: TrainConfig,
    before: Remembered | None,
    *,
    served_only: bool = False,
) -> tuple[Examples, TimeSplit, int]:
    """The newest labelled exposures of contents that have features; training labels as they were known at the cut.

    The last value says how many of them were left out because the log has dropped their past.
    """
    catalogue = queries.catalogue_table()
    exposures = label_exposures(log, catalogue, until=until.timestamp())
    known = np.flatnonzero(snapshot.rows(log.contents.tolist())[exposures.content] != UNKNOWN)
    places = known[-config.max_examples :]
    if served_only:
        places = places[np.sort(served_examples(exposures.rows(places), log).logged)]
    kept = readable(exposures.rows(places), log, before)
    unreadable, places = int((~kept).sum()), places[kept]
    examples = exposures.rows(places)
    split = split_by_time(examples.timestamp, test_share=config.test_share)
    return known_at(examples, log, catalogue, places=places, until=split.cut), split, unreadable


def _unfit(examples: Examples, split: TimeSplit, gates: Gates, unreadable: int) -> tuple[str, ...]:
    """Why nothing can be learned from these examples; empty if something can."""
    count = int(split.train.sum())
    if count < gates.min_train or split.test.sum() < gates.min_test:
        found = f"{count} training and {int(split.test.sum())} test examples"
        gone = f", and {unreadable} whose past the log has dropped" if unreadable else ""
        return (f"{found}{gone}; at least {gates.min_train} and {gates.min_test} are needed",)
    positives = int(examples.label[split.train].sum())
    if positives in (0, count):
        return (f"all {count} training examples are {'positive' if positives else 'negative'}; nothing to tell apart",)
    if not learnable_heads(examples.labels.rows(split.train)):
        return (f"no head has {LEAST_ANSWERS} examples of either answer among {count} training examples",)
    return ()


def _assemble(
    examples: Examples,
    log: Interactions,
    snapshot: ContentSnapshot,
    progress: Callable[[float], None],
    before: Remembered | None = None,
) -> FeatureMatrix:
    """Features of every example: what serving logged, else as of its moment by the code that serves."""
    progress(0.01)
    served = served_examples(examples, log)
    rest = np.setdiff1d(np.arange(len(examples)), served.logged)
    blocks = assemble_many(
        log,
        snapshot,
        timeline(log, snapshot, before),
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


def _sets(
    examples: Examples, matrix: FeatureMatrix, split: TimeSplit, config: TrainConfig
) -> tuple[TrainingSet, TrainingSet, TrainingSet]:
    """What is learned from, what decides when to stop and calibrates (the newest training rows), and the test."""
    train = np.flatnonzero(split.train)
    first = len(train) - max(1, int(len(train) * config.validation_share))
    fit, held_out, test = (
        TrainingSet(matrix.rows(index), examples.labels.rows(index), examples.position[index])
        for index in (train[:first], train[first:], np.flatnonzero(split.test))
    )
    return fit, held_out, test


def _fit(
    learned_from: TrainingSet,
    held_out: TrainingSet,
    config: TrainConfig,
    progress: Callable[[float], None],
    parent: str | None = None,
) -> FittedRanker:
    """Fit the ranker that the config asks for, or go on with that of another version."""

    def report(done: int, most: int) -> None:
        progress(done / most)

    if parent is not None:
        files = registry.extras_of(parent, blend.FILES)
        return blend.go_on(
            files, learned_from, held_out, network=config.multitask, config=config.go_on,
            trees=config.trees if config.regrow else None, seed=config.seed, progress=report,
        )  # fmt: skip
    if config.kind == "mlp":
        return fit_network(learned_from, held_out, config=config.network, seed=config.seed, progress=report)
    if config.kind == "blend":
        both = BlendConfig(config.multitask, config.trees)
        return fit_blend(learned_from, held_out, config=both, seed=config.seed, progress=report)
    return fit_multitask(learned_from, held_out, config=config.multitask, seed=config.seed, progress=report)


def _course(ranker: FittedRanker, examples: Examples, split: TimeSplit) -> dict[str, Any]:
    """What the training went through."""
    return {
        "train_examples": int(split.train.sum()),
        "train_positives": int(examples.label[split.train].sum()),
        "cut": split.cut,
        "epochs": len(ranker.losses),
        "loss": [round(loss, 5) for loss in ranker.losses],
        "validation_loss": [round(loss, 5) for loss in ranker.validation_losses],
        "blend": {head: list(pair) for head, pair in ranker.weights.items()} if isinstance(ranker, FittedBlend) else {},
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
