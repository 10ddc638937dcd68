"""The ranking half of the quality benchmark: who orders logged exposures best, with the same features for all.

    manage.py bench quality --mode ranking --dataset kuairand --path PATH [--train-until DAY]

Ours is what the product trains: the multi-task network with trees beside it (`ranking.ranker.blend`), calibrated as its
bundle is, and the network alone for comparison. Beside them the source design's network, LightGBM on the same rows and
columns, and the counters that need no model at all. Ours and the source's are asked as they serve, by ONNX Runtime on
one thread. Differences of AUC are paired by user. Watch time is judged beside the usual ways to learn it: plain
logarithms, and D2Q (Zhan et al., 2022), quantiles within groups of like duration; each with LightGBM.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from features.extraction.definitions import NAMES
from ranking.evaluation import offline, watch_time
from ranking.evaluation.intervals import Interval
from ranking.ranker.blend import BlendConfig, fit_blend
from ranking.ranker.heads import COLUMN, HEADS, PRIMARY
from ranking.ranker.multitask import MultiTaskConfig, fit_multitask
from ranking.ranker.network import NetworkConfig, fit_network
from ranking.ranker.reading import OUTPUTS, Reading
from ranking.ranker.training_set import LEAST_ANSWERS, FittedRanker, TrainingSet, duration_of
from ranking.ranker.trees import TreesConfig
from recsys.benchmarks.progress import steps
from recsys.benchmarks.quality_exposures import Exposures
from recsys.benchmarks.quality_peers import PeerMissingError
from recsys.benchmarks.results import Bar, Result

Floats = NDArray[np.float64]

OURS: Final = "ours, network and trees"
NETWORK: Final = "ours, network alone"
SOURCE: Final = "source MLP"
TREES: Final = "LightGBM"
LOG_TIME: Final = "LightGBM, log seconds"
D2Q: Final = "LightGBM, D2Q"
PEERS: Final = (TREES, LOG_TIME, D2Q)
MISSING: Final = "not installed, see requirements-bench.txt"
ITEM_COUNTER: Final = "item counter"
COUNTERS: Final = {ITEM_COUNTER: ("content", "content_long_rate_7d"), "user counter": ("user", "user_long_rate_7d")}
MOST_ECE: Final = 0.015
MOST_FIT_S: Final = 180.0
MOST_ASK_MS: Final = 5.0
"""For 300 exposures; a feed asks about 120."""
ASKED_AT_ONCE: Final = 300
SEED: Final = 7
SHOWN: Final = ("AUC", "session GAUC", "log loss", "ECE", "XAUC")
D2Q_GROUPS: Final = 30
RISE_S: Final = 1e-3
TREE_SETTINGS: Final[Mapping[str, Any]] = {
    "learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 100, "num_threads": 1, "verbosity": -1, "seed": SEED,
}  # fmt: skip
MOST_TREES: Final = 500


@dataclass(frozen=True, slots=True)
class Ranked:
    """What a model says of n test exposures.

    Attributes
    ----------
    chance : float64 array (n,), of a long view; a score for models that give no chance
    heads : float64 array (n,) per further head, where a model has them
    watch_s : float64 array (n,) of expected seconds, None without
    fit_s, ask_ms : seconds of one core to fit, milliseconds for 300 exposures
    calibrated : whether `chance` is one
    """

    chance: Floats
    heads: Mapping[str, Floats]
    watch_s: Floats | None
    fit_s: float
    ask_ms: float
    calibrated: bool = True


def compare(exposures: Exposures, *, quick: bool = False) -> dict[str, Ranked]:
    """Fit and ask every model."""
    network = MultiTaskConfig(epochs=2 if quick else 12)
    every: dict[str, Callable[[], Ranked]] = {
        OURS: lambda: _ours(exposures, lambda train, held_out: fit_blend(
            train, held_out, config=BlendConfig(network, TreesConfig(most_trees=20) if quick else TreesConfig()),
            seed=SEED,
        )),
        NETWORK: lambda: _ours(exposures, lambda train, held_out: fit_multitask(
            train, held_out, config=network, seed=SEED
        )),
        SOURCE: lambda: _ours(exposures, lambda train, held_out: fit_network(
            train, held_out, config=NetworkConfig(epochs=2 if quick else 12), seed=SEED
        )),
        TREES: lambda: _trees(exposures),
        LOG_TIME: lambda: _watch_trees(exposures, quantiles=False),
        D2Q: lambda: _watch_trees(exposures, quantiles=True),
    }  # fmt: skip
    found = {name: _counter(exposures, *column) for name, column in COUNTERS.items()}
    with steps(tuple(every), "ranker") as names:
        for name in names:
            try:
                found[name] = every[name]()
            except PeerMissingError:
                # Named in the table: who has not installed the peers still sees the rest.
                continue
    return found


def judge(exposures: Exposures, found: Mapping[str, Ranked], *, scrambled: bool = False) -> Result:
    """The table, the figures and the bars."""
    label = exposures.test.labels.of(PRIMARY).astype(np.int8)
    figures: dict[str, float] = {"exposures": len(label), "share of long views": float(label.mean())}
    rows: list[tuple[str, ...]] = []
    for name, each in found.items():
        told = _figures(exposures, label, each) | _beside(exposures, label, each, found[SOURCE])
        figures |= {f"{name}: {figure}": value for figure, value in told.items()}
        over = "" if name == SOURCE else f"{told['AUC over source low']:+.4f}, {told['AUC over source high']:+.4f}"
        shown = [f"{told[figure]:.4f}" if figure in told else "" for figure in SHOWN]
        rows.append((name, shown[0], over, *shown[1:], f"{each.fit_s:.1f} s", f"{each.ask_ms:.2f} ms"))
    rows += [(name, MISSING, *[""] * 7) for name in PEERS if name not in found]
    for head, value in head_errors(exposures, found[OURS]).items():
        figures[f"{OURS}: ECE of {head}"] = value
    columns = (
        f"{exposures.name}, long view", "AUC", f"over {SOURCE}", "session GAUC", "log loss", "ECE", "XAUC of seconds",
        "fit, one core", "ask, 300",
    )  # fmt: skip
    bars = _scrambled_bars(figures) if scrambled else _bars(exposures, found, figures)
    return Result("quality", figures, columns, rows, bars)


def head_errors(exposures: Exposures, ours: Ranked) -> dict[str, float]:
    """Expected calibration error of every head whose answers the test knows."""
    errors = {}
    for head in HEADS:
        label = exposures.test.labels.of(head)
        known = ~np.isnan(label)
        if known.sum() >= LEAST_ANSWERS:
            errors[head] = offline.ece(label[known].astype(np.int8), ours.heads[head][known])
    return errors


def scramble(exposures: Exposures, rng: np.random.Generator) -> Exposures:
    """The same exposures with the outcomes of other ones, within each of the three sets."""

    def dealt(part: TrainingSet) -> TrainingSet:
        return TrainingSet(part.features, part.labels.rows(rng.permutation(len(part))), part.position)

    return Exposures(
        exposures.name, dealt(exposures.learned_from), dealt(exposures.held_out), dealt(exposures.test),
        exposures.user, exposures.session,
    )  # fmt: skip


def _ours(exposures: Exposures, fit: Callable[[TrainingSet, TrainingSet], FittedRanker]) -> Ranked:
    """A ranker of the product, served by its graph and read as its bundle would be."""
    started = time.process_time()
    ranker = fit(exposures.learned_from, exposures.held_out)
    reading = Reading.fit(ranker, exposures.learned_from, exposures.held_out)
    fit_s = time.process_time() - started
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        ranker.to_onnx(exposures.test.features), options, providers=["CPUExecutionProvider"]
    )
    parts, took = [], list[float]()
    for first in range(0, len(exposures.test), ASKED_AT_ONCE):
        rows = exposures.test.features.rows(slice(first, first + ASKED_AT_ONCE))
        given = {"user": rows.user, "content": rows.content, "context": rows.context}
        started = time.process_time()
        raw = np.asarray(session.run(None, given)[0], np.float32).reshape(len(rows), -1)
        parts.append(reading.read(raw, duration_of(rows.content)))
        took.append(1000.0 * (time.process_time() - started))
    told = np.concatenate(parts).astype(np.float64)
    heads = {head: told[:, COLUMN[head]] for head in HEADS}
    return Ranked(heads[PRIMARY], heads, told[:, OUTPUTS.index("watch_s")], fit_s, float(np.median(took)))


def _trees(exposures: Exposures) -> Ranked:
    def labels(part: TrainingSet) -> Floats:
        return part.labels.of(PRIMARY).astype(np.float64)

    told, fit_s, ask_ms = _boosted(exposures, labels, {"objective": "binary"})
    return Ranked(told, {}, None, fit_s, ask_ms)


def _watch_trees(exposures: Exposures, *, quantiles: bool) -> Ranked:
    """Seconds by LightGBM: of the logarithm, or of the quantile within a group of like duration, read back from it."""
    train = exposures.learned_from
    known = ~np.isnan(train.labels.watch_s)
    edges = np.quantile(train.duration_s, np.linspace(0.0, 1.0, D2Q_GROUPS + 1)[1:-1])
    watched, group = train.labels.watch_s[known].astype(np.float64), np.searchsorted(edges, train.duration_s[known])
    sorted_s = [np.sort(watched[group == each]) for each in range(D2Q_GROUPS)]

    def target(part: TrainingSet) -> Floats:
        seconds = part.labels.watch_s.astype(np.float64)
        if not quantiles:
            return np.log1p(seconds)
        place = np.searchsorted(edges, part.duration_s)
        rank = [np.searchsorted(sorted_s[at], value) / max(len(sorted_s[at]), 1) for at, value in zip(place, seconds)]  # noqa: B905
        return np.where(np.isnan(seconds), np.nan, np.array(rank))

    told, fit_s, ask_ms = _boosted(exposures, target, {"objective": "regression"})
    if quantiles:
        place = np.searchsorted(edges, exposures.test.duration_s)
        told = np.array([
            # Where a tenth of all views is of no seconds, quantiles apart come to the same seconds; the order must not.
            (np.quantile(sorted_s[at], np.clip(value, 0.0, 1.0)) if len(sorted_s[at]) else 0.0) + RISE_S * value
            for at, value in zip(place.tolist(), told.tolist(), strict=True)
        ])  # fmt: skip
    else:
        told = np.expm1(told)
    return Ranked(told, {}, told, fit_s, ask_ms, calibrated=False)


def _boosted(
    exposures: Exposures, target: Callable[[TrainingSet], Floats], objective: dict[str, Any]
) -> tuple[Floats, float, float]:
    """LightGBM with early stopping on the held-out part: predictions, seconds to fit, milliseconds for 300."""
    try:
        lightgbm = import_module("lightgbm")
    except ImportError as error:
        raise PeerMissingError(
            f"The peers need the package lightgbm, pinned in requirements-bench.txt, and it is not installed: {error}"
        ) from error
    started = time.process_time()
    sets = []
    for part in (exposures.learned_from, exposures.held_out):
        wanted = target(part)
        known = ~np.isnan(wanted)
        sets.append(lightgbm.Dataset(_columns(part)[known], wanted[known]))
    model = lightgbm.train(
        {**TREE_SETTINGS, **objective}, sets[0], MOST_TREES, valid_sets=[sets[1]],
        callbacks=[lightgbm.early_stopping(30, verbose=False)],
    )  # fmt: skip
    fit_s = time.process_time() - started
    started = time.process_time()
    told = np.asarray(model.predict(_columns(exposures.test), num_threads=1), np.float64)
    return told, fit_s, 300_000 * (time.process_time() - started) / len(told)


def _columns(part: TrainingSet) -> NDArray[np.float32]:
    return np.concatenate([part.features.user, part.features.content, part.features.context], axis=1)


def _counter(exposures: Exposures, block: str, column: str) -> Ranked:
    values = getattr(exposures.test.features, block)[:, NAMES[block].index(column)]
    return Ranked(values.astype(np.float64), {}, None, 0.0, 0.0, calibrated=False)


def _figures(exposures: Exposures, label: NDArray[np.int8], each: Ranked) -> dict[str, float]:
    """What can be known of a model, by name."""
    told = {
        "AUC": offline.auc(label, each.chance), "session GAUC": offline.gauc(label, each.chance, exposures.session),
        "fit s": each.fit_s, "ask ms of 300": each.ask_ms,
    }  # fmt: skip
    if each.calibrated:
        told |= {"log loss": offline.log_loss(label, each.chance), "ECE": offline.ece(label, each.chance)}
    watched = exposures.test.labels.watch_s.astype(np.float64)
    known = ~np.isnan(watched)
    if each.watch_s is not None and known.any():
        duration_s = exposures.test.duration_s.astype(np.float64)[known]
        seconds = watch_time.evaluate(watched[known], each.watch_s[known], duration_s)
        told |= {
            "MAE s": seconds.mae_s, "bias": seconds.bias, "XAUC": seconds.xauc,
            "XAUC by duration": seconds.xauc_by_duration,
        }  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def _beside(exposures: Exposures, label: NDArray[np.int8], each: Ranked, source: Ranked) -> dict[str, float]:
    over = difference(exposures, label, each, source)
    return {"AUC over source low": over.low, "AUC over source high": over.high}


def difference(exposures: Exposures, label: NDArray[np.int8], one: Ranked, other: Ranked) -> Interval:
    """Paired 95 % interval of the difference of AUC; nothing at all where one class is missing."""
    rng = np.random.default_rng(SEED)
    found = offline.auc_difference_interval(label, one.chance, other.chance, exposures.user, rng=rng)
    return found or Interval(0.0, 0.0)


def _bars(exposures: Exposures, found: Mapping[str, Ranked], figures: dict[str, float]) -> tuple[Bar, ...]:
    """What is promised of KuaiRand-Pure; nothing is promised of a log of one's own."""
    if exposures.name != "kuairand":
        return ()
    label = exposures.test.labels.of(PRIMARY).astype(np.int8)
    if not found.keys() >= set(PEERS):
        return (Bar.at_least("peers measured", sum(name in found for name in PEERS), len(PEERS)),)
    beside_trees = difference(exposures, label, found[OURS], found[TREES])
    watch = max(figures[f"{LOG_TIME}: XAUC"], figures[f"{D2Q}: XAUC"])
    return (
        Bar.at_least(f"AUC over {SOURCE}, low end", figures[f"{OURS}: AUC over source low"], 0.0),
        Bar.at_least(f"AUC over {TREES}, high end: not below", beside_trees.high, 0.0),
        Bar.at_most("largest ECE of a head", max(head_errors(exposures, found[OURS]).values()), MOST_ECE),
        Bar.at_least("XAUC of seconds over log and D2Q", figures[f"{OURS}: XAUC"] - watch, 0.0),
        Bar.at_least(
            f"session GAUC over {ITEM_COUNTER}",
            figures[f"{OURS}: session GAUC"] - figures[f"{ITEM_COUNTER}: session GAUC"], 0.0,
        ),
        Bar.at_most("seconds of one core to fit ours", found[OURS].fit_s, MOST_FIT_S),
        Bar.at_most("milliseconds to ask ours about 300", found[OURS].ask_ms, MOST_ASK_MS),
    )  # fmt: skip


def _scrambled_bars(figures: Mapping[str, float]) -> tuple[Bar, ...]:
    return tuple(
        Bar.at_most(f"scrambled: AUC of {name}, off one half", abs(figures[f"{name}: AUC"] - 0.5), 0.01)
        for name in (OURS, SOURCE, TREES)
        if f"{name}: AUC" in figures
    )
