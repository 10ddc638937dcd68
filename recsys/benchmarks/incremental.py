"""How good a ranker is after five days of increments, beside one that was trained at once on all of the same days.

    manage.py bench incremental --dataset kuairand|movielens|jsonl --path PATH [--train-until DAY]

The time before the test is cut into six spans, days where the log has as many, else equal parts. The first is learned
from scratch; what comes after in increments of at most 10,000 new exposures and a fifth as many old ones, each going on
from the files of the one before, as the product does (`ranking.ranker.blend`). Labels are those known at the cut of the
test, features those of the moment each session began. An increment is timed from its files to the graph that would
serve, calibration included, in seconds of one core; its features lie in the log of served pages and take no time.
After each span comes what the product does every hour: the same over the exposures of hours, which grows new trees too.
"""

import time
from dataclasses import dataclass
from typing import Final

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from ranking.evaluation import offline
from ranking.ranker.blend import BlendConfig, files_of, fit_blend, go_on
from ranking.ranker.examples import FeatureMatrix
from ranking.ranker.heads import PRIMARY
from ranking.ranker.multitask import MultiTaskConfig
from ranking.ranker.reading import Reading
from ranking.ranker.training_set import FittedRanker, TrainingSet
from ranking.ranker.trees import TreesConfig
from ranking.ranker.warm_start import GoOnConfig
from recsys.benchmarks.progress import steps
from recsys.benchmarks.quality_data import DAY_S
from recsys.benchmarks.quality_exposures import HELD_OUT_SHARE, Exposures, load
from recsys.benchmarks.results import Bar, Options, Result
from recsys.benchmarks.scratch import BenchmarkFailedError

DAYS: Final = 5
MOST_NEW: Final = 10_000
MOST_REFIT: Final = 48_000
REFIT: Final = "the hourly refit"
REPLAY_SHARE: Final = 0.2
MOST_LOST: Final = 0.003
MOST_S: Final = 10.0
MOST_FULL_S: Final = 180.0
SEED: Final = 7
QUICK_EVERY: Final = 6

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Step:
    """One training: which rows, what it took, and its AUC of a long view on the test."""

    name: str
    new: int
    old: int
    seconds: float
    auc: float


def run(options: Options) -> Result:
    """Import, cut, train both ways, compare."""
    exposures = load(options.dataset, options.path, options.train_until, now=timezone.now())
    return measure(exposures, quick=options.quick)


def measure(exposures: Exposures, *, quick: bool = False) -> Result:
    """The table, the figures and the bars; `quick` learns from every sixth exposure, and only says what comes out."""
    data = _joined(exposures.learned_from, exposures.held_out)
    rows = np.arange(0, len(data), QUICK_EVERY if quick else 1)
    spans = _spans(exposures.trained_s[rows])
    if any(len(span) == 0 for span in spans):
        raise BenchmarkFailedError(f"The log has no exposures in one of {DAYS + 1} spans before the test.")
    parts = [(number, part) for number, span in enumerate(spans[1:], 1) for part in _chunks(rows[span])]
    both = BlendConfig(MultiTaskConfig(epochs=3), TreesConfig(most_trees=20)) if quick else BlendConfig()
    told: list[Step] = []
    started = time.process_time()
    ranker = _full(data, rows[spans[0]], both)
    told.append(_step("first span, from scratch", len(spans[0]), 0, started, ranker, exposures))
    with steps(parts, "increment") as each:
        for number, new in each:
            old = _replayed(rows[: np.searchsorted(rows, new[0])], len(new))
            files = files_of(ranker)
            started = time.process_time()
            ranker = _increment(files, data, old, new, both.network)
            told.append(_step(f"span {number}", len(new), len(old), started, ranker, exposures))
            if new[-1] == rows[spans[number][-1]]:
                known = rows[: np.searchsorted(rows, new[-1], side="right")][-MOST_REFIT:]
                files, started = files_of(ranker), time.process_time()
                ranker = _increment(files, data, known[:0], known, both.network, both.trees)
                told.append(_step(REFIT, len(known), 0, started, ranker, exposures))
    started = time.process_time()
    full = _full(data, rows, both)
    told.append(_step("all at once, from scratch", len(rows), 0, started, full, exposures))
    return _result(exposures, told, ranker, full, kuairand=exposures.name == "kuairand" and not quick)


def _spans(moments: NDArray[np.float64]) -> list[Rows]:
    """Places of the exposures of six spans: the last five of equal length, a day at most, the first all before."""
    first, last = float(moments.min()), float(moments.max())
    length = min(DAY_S, (last - first) / (DAYS + 1))
    edges = [last + 1.0 - length * number for number in range(DAYS, 0, -1)]
    return np.split(np.arange(len(moments)), np.searchsorted(moments, edges))


def _chunks(rows: Rows) -> list[Rows]:
    """Equal parts of at most so many rows as one increment takes."""
    return np.array_split(rows, -(-len(rows) // MOST_NEW))


def _replayed(before: Rows, new: int) -> Rows:
    """Some of what was learned from earlier, in order of time."""
    count = min(int(new * REPLAY_SHARE), len(before))
    return np.sort(np.random.default_rng(SEED + len(before)).choice(before, count, replace=False))


def _full(data: TrainingSet, rows: Rows, both: BlendConfig) -> FittedRanker:
    fit, held_out = _parts(data, rows)
    ranker = fit_blend(fit, held_out, config=both, seed=SEED)
    _serve(ranker, fit, held_out)
    return ranker


def _increment(
    files: dict[str, bytes],
    data: TrainingSet,
    old: Rows,
    new: Rows,
    network: MultiTaskConfig,
    trees: TreesConfig | None = None,
) -> FittedRanker:
    # Old ones first, so that what decides when to stop, the end, is the newest.
    fit, held_out = _parts(data, np.append(old, new))
    ranker = go_on(files, fit, held_out, network=network, config=GoOnConfig(), trees=trees, seed=SEED)
    _serve(ranker, fit, held_out)
    return ranker


def _serve(ranker: FittedRanker, fit: TrainingSet, held_out: TrainingSet) -> None:
    """What else there is to do before a model can serve."""
    Reading.fit(ranker, fit, held_out).to_bytes()
    ranker.to_onnx(held_out.features)
    files_of(ranker)


def _parts(data: TrainingSet, rows: Rows) -> tuple[TrainingSet, TrainingSet]:
    cut = len(rows) - max(1, int(len(rows) * HELD_OUT_SHARE))
    return _rows(data, rows[:cut]), _rows(data, rows[cut:])


def _rows(data: TrainingSet, rows: Rows) -> TrainingSet:
    return TrainingSet(data.features.rows(rows), data.labels.rows(rows), data.position[rows])


def _joined(first: TrainingSet, second: TrainingSet) -> TrainingSet:
    blocks = ("user", "content", "context")
    matrix = FeatureMatrix(
        *(np.concatenate([getattr(part.features, block) for part in (first, second)]) for block in blocks)
    )
    labels = type(first.labels)(
        np.concatenate([first.labels.heads, second.labels.heads]),
        np.concatenate([first.labels.watch_s, second.labels.watch_s]),
    )
    return TrainingSet(matrix, labels, np.concatenate([first.position, second.position]))


def _scores(ranker: FittedRanker, exposures: Exposures) -> NDArray[np.float64]:
    return ranker.outputs(exposures.test.features)[:, ranker.columns.index(PRIMARY)].astype(np.float64)


def _step(
    name: str, new: int, old: int, started: float, ranker: FittedRanker, exposures: Exposures
) -> Step:  # fmt: skip
    seconds = time.process_time() - started
    label = exposures.test.labels.of(PRIMARY).astype(np.int8)
    return Step(name, new, old, seconds, offline.auc(label, _scores(ranker, exposures)) or 0.5)


def _result(
    exposures: Exposures, told: list[Step], ranker: FittedRanker, full: FittedRanker, *, kuairand: bool
) -> Result:
    label = exposures.test.labels.of(PRIMARY).astype(np.int8)
    apart = offline.auc_difference_interval(
        label, _scores(ranker, exposures), _scores(full, exposures), exposures.user, rng=np.random.default_rng(SEED)
    )
    increments, whole = [step for step in told[1:-1] if step.name != REFIT], told[-1]
    # A small one takes the same start, which would not be there ten thousand times.
    large = [step for step in increments if step.new + step.old >= MOST_NEW / 2] or increments
    slowest = max(10_000.0 * step.seconds / (step.new + step.old) for step in large)
    gained = told[-2].auc - whole.auc
    figures = {
        "increments": float(len(increments)), "AUC after the increments": told[-2].auc,
        "AUC of the full training": whole.auc, "AUC of the first span": told[0].auc,
        "increments less full training": gained, "slowest increment, s of 10,000 examples": slowest,
        "full training s": whole.seconds,
    }  # fmt: skip
    if apart is not None:
        figures |= {"increments less full training low": apart.low, "increments less full training high": apart.high}
    rows = [(step.name, f"{step.new:,}", f"{step.old:,}", f"{step.seconds:.1f} s", f"{step.auc:.4f}") for step in told]
    bars = (
        Bar.at_least("AUC of increments less that of a full training", gained, -MOST_LOST),
        Bar.at_most("seconds of one core for 10,000 examples", slowest, MOST_S),
        Bar.at_most("seconds of one core for the full training", whole.seconds, MOST_FULL_S),
    )
    columns = (f"{exposures.name}, long view", "new", "old", "took", "AUC on the test")
    return Result("incremental", figures, columns, rows, bars if kuairand else ())
