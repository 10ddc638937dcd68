"""Gradient-boosted trees behind the interface of the rankers: one sum of trees per head, and one for the watch time.

Below a few million impressions trees order better than networks, most on rare heads; a network shares what it learns
between heads and carries on beyond what it has seen. `blend` takes both. The trees are those of scikit-learn, which
the product needs anyhow, while a second library of trees would be one more native runtime to ship. They serve as an
ONNX graph, never as a pickle.

The watch time is one sum: the expected share of the levels that a view passes, which is its quantile among views of
clips of about that length (D2Q: Zhan et al., 2022). `outputs` gives the heads, then this.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ranking.ranker.examples import FeatureMatrix
from ranking.ranker.keras_fit import Progress
from ranking.ranker.training_set import TrainingSet, learnable_heads
from ranking.ranker.tree_graph import INPUTS, graph_of, replaced
from ranking.ranker.watch_time import WatchScale


@dataclass(frozen=True, slots=True)
class TreesConfig:
    """What is learned how; stored with the model version.

    Attributes
    ----------
    most_trees : per head; it stops earlier where the validation loss does not fall for `patience` trees
    leaves, least_in_leaf : of a tree
    rate : what each tree adds of what it found
    l2 : on the values of leaves
    columns_share : of the features looked at for a split
    """

    most_trees: int = 80
    leaves: int = 31
    least_in_leaf: int = 100
    rate: float = 0.08
    l2: float = 5.0
    columns_share: float = 0.5
    patience: int = 10


@dataclass(frozen=True)
class FittedTrees:
    """Trees of the heads in `columns`, and of the watch time where `scale` is there.

    Attributes
    ----------
    graph : the ONNX file, with one output per head and one for the watch time
    """

    columns: tuple[str, ...]
    scale: WatchScale | None
    graph: bytes

    @cached_property
    def _session(self) -> Any:
        import onnxruntime  # noqa: PLC0415  only training asks here

        return onnxruntime.InferenceSession(self.graph, providers=["CPUExecutionProvider"])

    def outputs(self, rows: FeatureMatrix) -> NDArray[np.float32]:
        """Logits of the heads, then the expected quantile of the watch time, float32 (n, outputs)."""
        if len(rows) == 0:
            return np.empty((0, len(self.columns) + (self.scale is not None)), np.float32)
        given = {"user": rows.user, "content": rows.content, "context": rows.context}
        return np.asarray(self._session.run(None, given)[0], np.float32)


def fit_trees(
    train: TrainingSet, validation: TrainingSet, *, config: TreesConfig, seed: int, progress: Progress | None = None
) -> FittedTrees | None:
    """Fit from scratch; None where no head and no watch time can be learned.

    Parameters
    ----------
    train, validation : in order of time, validation after training
    progress : called with (outputs done, outputs there are)
    """
    columns, scale = learnable_heads(train.labels), train.watch_scale()
    if not columns and scale is None:
        return None
    return FittedTrees(columns, scale, _grown(columns, scale, train, validation, config, seed, progress))


def regrow(
    trees: FittedTrees,
    train: TrainingSet,
    validation: TrainingSet,
    *,
    config: TreesConfig,
    seed: int,
    progress: Progress | None = None,
) -> FittedTrees:
    """New trees in place of the old ones, but where these examples have too few answers to grow some.

    Parameters
    ----------
    trees : their outputs and the levels of their watch time stay
    train, validation, progress : as in `fit_trees`
    """
    learnable = learnable_heads(train.labels)
    columns = tuple(head for head in trees.columns if head in learnable)
    scale = None if train.watch_scale() is None else trees.scale
    if not columns and scale is None:
        return trees
    place = [trees.columns.index(head) for head in columns] + ([len(trees.columns)] if scale is not None else [])
    graph = _grown(columns, scale, train, validation, config, seed, progress)
    return FittedTrees(trees.columns, trees.scale, replaced(trees.graph, graph, place))


def _grown(
    columns: tuple[str, ...],
    scale: WatchScale | None,
    train: TrainingSet,
    validation: TrainingSet,
    config: TreesConfig,
    seed: int,
    progress: Progress | None,
) -> bytes:
    """The graph of trees for these heads, and for the watch time where there is a scale."""
    targets = [(True, part_of(head, train), part_of(head, validation)) for head in columns]
    if scale is not None:
        targets.append((False, quantile(train, scale), quantile(validation, scale)))
    wide, later = joined(train.features), joined(validation.features)
    nodes, base = list[tuple[Any, ...]](), list[float]()
    for done, (is_chance, wanted, held_out) in enumerate(targets, 1):
        fitted = _fit_one(is_chance, (wide, wanted), (later, held_out), config, seed)
        nodes.append(tuple(tree.nodes for trees in fitted._predictors for tree in trees))
        base.append(float(np.ravel(fitted._baseline_prediction)[0]))
        if progress is not None:
            progress(done, len(targets))
    return graph_of(nodes, base, {name: getattr(train.features, name).shape[1] for name in INPUTS})


def joined(rows: FeatureMatrix) -> NDArray[np.float32]:
    """The three blocks side by side."""
    return np.concatenate([rows.user, rows.content, rows.context], axis=1)


def part_of(head: str, examples: TrainingSet) -> NDArray[np.float32]:
    """Answers of a head."""
    return examples.labels.of(head)


def quantile(examples: TrainingSet, scale: WatchScale) -> NDArray[np.float32]:
    """Share of the levels that each view passed, NaN where the watch is not known."""
    return np.asarray(scale.questions(examples.labels.watch_s, examples.duration_s).mean(axis=1), np.float32)


Pair = tuple[NDArray[np.float32], NDArray[np.float32]]


def _fit_one(is_chance: bool, train: Pair, validation: Pair, config: TreesConfig, seed: int) -> Any:
    """One output, from the rows that know its answer."""
    from sklearn.ensemble import (  # noqa: PLC0415  a web process never fits
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )

    kind = HistGradientBoostingClassifier if is_chance else HistGradientBoostingRegressor
    (rows, answers), (later, held_out) = _known(train), _known(validation)
    # Without both answers in the held-out part its loss says nothing.
    judged = len(np.unique(held_out)) > 1
    model = kind(
        max_iter=config.most_trees, max_leaf_nodes=config.leaves, min_samples_leaf=config.least_in_leaf,
        learning_rate=config.rate, l2_regularization=config.l2, max_features=config.columns_share,
        early_stopping=judged, n_iter_no_change=config.patience, random_state=seed,
    )  # fmt: skip
    # Its threads wait for each other at every split, and spin: beside a busy web server two are slower than one.
    with threadpool_limits(1, user_api="openmp"):
        return model.fit(rows, answers, X_val=later, y_val=held_out) if judged else model.fit(rows, answers)


def _known(pair: Pair) -> Pair:
    rows, answers = pair
    known = ~np.isnan(answers)
    return (rows, answers) if known.all() else (rows[known], answers[known])
