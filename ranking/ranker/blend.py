"""Network and trees as one ranker: per head a weighted sum of both logits, by what orders later examples best.

    logit of a head = a * logit of the network + b * logit of the trees, a and b >= 0

The weights minimise the log loss of the held-out examples, so each head takes what its evidence says: trees for rare
gestures, both where they see different things. A level of the watch time takes the network's logit and the quantile
that the trees expect. A head with too few held-out answers to tell takes both in equal parts.

It serves as one graph: the trees stand beside the network in the same file, and one product with a fixed matrix makes
the outputs, which are named and read as those of the network alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ranking.ranker import warm_start
from ranking.ranker.examples import FeatureMatrix
from ranking.ranker.keras_fit import Progress, check_export
from ranking.ranker.multitask import FittedMultiTask, MultiTaskConfig, fit_multitask
from ranking.ranker.platt import Floats, fit_weights
from ranking.ranker.training_set import LEAST_ANSWERS, TrainingSet
from ranking.ranker.tree_graph import beside
from ranking.ranker.trees import FittedTrees, TreesConfig, fit_trees, regrow
from ranking.ranker.warm_start import GoOnConfig
from ranking.ranker.watch_time import LEVELS, WatchScale

TREES_FILE: Final = "trees.onnx"
FILES: Final = (warm_start.LEARNER_FILE, warm_start.STATE_FILE, TREES_FILE)
"""What training goes on from, see `files_of`."""
EQUAL: Final = (0.5, 0.5)
NETWORK_SHARE: Final = 0.5
"""Of the progress that is reported."""


@dataclass(frozen=True, slots=True)
class BlendConfig:
    """Both parts; stored with the model version."""

    network: MultiTaskConfig = field(default_factory=MultiTaskConfig)
    trees: TreesConfig = field(default_factory=TreesConfig)


@dataclass(frozen=True)
class FittedBlend:
    """k outputs of the network, t of the trees.

    Attributes
    ----------
    mix : float32 array (k + t, k), the outputs are the product of both with it
    """

    network: FittedMultiTask
    trees: FittedTrees
    mix: NDArray[np.float32]
    gives: Literal["logit", "probability"] = "logit"

    @property
    def columns(self) -> tuple[str, ...]:
        return self.network.columns

    @property
    def scale(self) -> WatchScale | None:
        return self.network.scale

    @property
    def losses(self) -> tuple[float, ...]:
        return self.network.losses

    @property
    def validation_losses(self) -> tuple[float, ...]:
        return self.network.validation_losses

    @property
    def weights(self) -> Mapping[str, tuple[float, float]]:
        """Of network and trees, by head."""
        first = len(self.mix[0])
        return {
            head: (float(self.mix[at, at]), float(self.mix[first + at, at])) for at, head in enumerate(self.columns)
        }

    def outputs(self, rows: FeatureMatrix) -> NDArray[np.float32]:
        """Logits (n, heads and levels learned)."""
        return np.concatenate([self.network.outputs(rows), self.trees.outputs(rows)], axis=1) @ self.mix

    def to_onnx(self, sample: FeatureMatrix) -> bytes:
        """Both as one ONNX file, checked against its parts on some rows of `sample`."""
        graph = beside(self.network.to_onnx(sample), self.trees.graph, self.mix)
        check_export(graph, self.outputs, sample)
        return graph


def fit_blend(
    train: TrainingSet,
    validation: TrainingSet,
    *,
    config: BlendConfig,
    seed: int,
    progress: Progress | None = None,
) -> FittedBlend | FittedMultiTask:
    """Fit both and weigh them; the network alone where the trees have nothing to learn."""

    def of_network(done: int, most: int) -> None:
        if progress is not None:
            progress(int(1000 * NETWORK_SHARE * done / most), 1000)

    def of_trees(done: int, most: int) -> None:
        if progress is not None:
            progress(int(1000 * (NETWORK_SHARE + (1.0 - NETWORK_SHARE) * done / most)), 1000)

    network = fit_multitask(train, validation, config=config.network, seed=seed, progress=of_network)
    trees = fit_trees(train, validation, config=config.trees, seed=seed, progress=of_trees)
    if trees is None:
        return network
    return FittedBlend(network, trees, mixed(network, trees, validation))


def files_of(ranker: object) -> dict[str, bytes]:
    """What training may go on from, by file name: of the network, and of the trees where there are some.

    Nothing for other rankers, which are trained anew.
    """
    if isinstance(ranker, FittedBlend):
        return warm_start.files_of(ranker.network) | {TREES_FILE: ranker.trees.graph}
    return warm_start.files_of(ranker) if isinstance(ranker, FittedMultiTask) else {}


def go_on(
    files: Mapping[str, bytes],
    train: TrainingSet,
    validation: TrainingSet,
    *,
    network: MultiTaskConfig,
    config: GoOnConfig,
    trees: TreesConfig | None = None,
    seed: int,
    progress: Progress | None = None,
) -> FittedBlend | FittedMultiTask:
    """Train the network on from stored files and weigh it anew beside the trees.

    Parameters
    ----------
    trees : how new ones are grown; None keeps those of the files, for trees cannot learn from a few minutes without
        forgetting the rest

    Raises
    ------
    WarmStartError : as `warm_start.go_on` does
    """
    later = warm_start.go_on(files, train, validation, network=network, config=config, seed=seed, progress=progress)
    if TREES_FILE not in files:
        return later
    stand = FittedTrees(later.columns, later.scale, files[TREES_FILE])
    if trees is not None:
        stand = regrow(stand, train, validation, config=trees, seed=seed)
    return FittedBlend(later, stand, mixed(later, stand, validation))


def mixed(network: FittedMultiTask, trees: FittedTrees, held_out: TrainingSet) -> NDArray[np.float32]:
    """The matrix of weights by the held-out examples."""
    ours, theirs = (each.outputs(held_out.features).astype(np.float64) for each in (network, trees))
    heads, size = len(network.columns), ours.shape[1]
    mix = np.zeros((size + theirs.shape[1], size), np.float32)
    for at, head in enumerate(network.columns):
        mix[[at, size + at], at] = _weights(ours[:, at], theirs[:, at], held_out.labels.of(head))
    if network.scale is not None:
        asked = network.scale.questions(held_out.labels.watch_s, held_out.duration_s)
        for at in range(heads, heads + len(LEVELS)):
            mix[[at, size + heads], at] = _weights(ours[:, at], theirs[:, heads], asked[:, at - heads])
    return mix


def _weights(ours: Floats, theirs: Floats, answer: NDArray[np.float32]) -> tuple[float, float]:
    known = ~np.isnan(answer)
    yes = int((answer[known] == 1).sum())
    if min(yes, int(known.sum()) - yes) < LEAST_ANSWERS:
        return EQUAL
    weights = fit_weights(np.stack([ours, theirs], axis=1)[known], answer[known])
    # What both contradict is for the calibration to refuse.
    return (float(weights[0]), float(weights[1])) if weights.any() else EQUAL
