"""The multi-task network: crossed features, experts that all heads share, one gate and one tower per head.

    user, content, context -> standardise -> x
    x -> two low-rank cross layers (DCN-v2: Wang et al., 2021)             products of features
    crossed -> trunk -> experts, each normalised and swished (HoME: Wang et al., 2024)
    x -> one softmax gate per head over the experts (MMoE: Ma et al., 2018) -> tower -> logit
    x -> one linear sum per head, added to its logit (Wide & Deep: Cheng et al., 2016)
    position -> a small tower of its own, added in training, left out in serving (Zhao et al., 2019)

A head learns only from the examples that know its answer. The loss is the sum of binary cross-entropies by the weights
of `MultiTaskConfig`; the levels of the watch time share one gate and one weight. A head of a few dozen positives learns
little more than its linear sum; without it, it would overfit the experts instead. A clip at the top of a page is
watched more because it is at the top: what the position tower explains is not put down to the clip.

Runs with the same seed agree closely but not to the bit, as sums over threads have no fixed order.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from events.columnar.interactions import ABSENT
from ranking.ranker.examples import FeatureMatrix
from ranking.ranker.heads import HEADS, PRIMARY
from ranking.ranker.keras_fit import Progress, compile_for, export, inputs_of, keras_module, predict, rate_and_callbacks
from ranking.ranker.keras_fit import standardised_inputs as standardise
from ranking.ranker.training_set import TrainingSet, learnable_heads
from ranking.ranker.watch_time import LEVELS, WatchScale

UNKNOWN_ANSWER = -1.0
"""NaN would poison the gradient even where it is masked."""


@dataclass(frozen=True, slots=True)
class MultiTaskConfig:
    """What is learned how; stored with the model version. The schedule is that of the source design.

    Attributes
    ----------
    cross_layers, cross_rank : of the low-rank cross layers
    trunk : rectified units between the crossed features and the experts
    experts, expert_units : how many, and how wide
    tower_units : of each head
    primary_weight, watch_weight, head_weight : in the loss, of the long view, all watch levels, each other head
    l2, wide_l2 : weight of the squared weights in the loss, and of those of the linear sums
    """

    cross_layers: int = 2
    cross_rank: int = 32
    trunk: int = 128
    experts: int = 4
    expert_units: int = 64
    tower_units: int = 16
    primary_weight: float = 1.0
    watch_weight: float = 3.0
    head_weight: float = 0.3
    l2: float = 1e-5
    wide_l2: float = 1e-4
    initial_rate: float = 1e-3
    decay_steps: int = 10_000
    decay_rate: float = 0.96
    rate_up: float = 1.05
    rate_down: float = 0.5
    batch_size: int = 512
    epochs: int = 12
    patience: int = 2


@dataclass(frozen=True, slots=True)
class FittedMultiTask:
    """A trained network; `columns` names its outputs, which are logits.

    Attributes
    ----------
    model : the Keras model that serves, without the position tower
    columns : heads that could be learned, in the order of `HEADS`
    scale : edges of the watch levels, whose columns come after those of the heads; None where there were none to learn
    losses, validation_losses : one per epoch run
    rates : the learning rate at the end of each epoch
    learner : the same with the position tower, from which training may go on
    """

    model: Any
    columns: tuple[str, ...]
    scale: WatchScale | None
    losses: tuple[float, ...]
    validation_losses: tuple[float, ...]
    rates: tuple[float, ...]
    gives: Literal["logit", "probability"] = "logit"
    learner: Any = None

    def outputs(self, rows: FeatureMatrix) -> NDArray[np.float32]:
        """Logits (n, heads and levels learned)."""
        return predict(self.model, rows)

    def to_onnx(self, sample: FeatureMatrix) -> bytes:
        """The serving network as an ONNX file, checked against Keras on some rows of `sample`."""
        return export(self.model, sample)


def fit_multitask(
    train: TrainingSet,
    validation: TrainingSet,
    *,
    config: MultiTaskConfig,
    seed: int,
    progress: Progress | None = None,
) -> FittedMultiTask:
    """Train from scratch; the weights of the best validation epoch are kept.

    Parameters
    ----------
    train, validation : in order of time, validation after training; both need at least one row
    """
    if len(train) == 0 or len(validation) == 0:
        raise ValueError(f"training needs rows on both sides, got {len(train)} and {len(validation)}")
    columns, scale = learnable_heads(train.labels), train.watch_scale()
    keras = keras_module()
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    learner, server = _build(keras, train.features, config, heads=len(columns), levels=scale is not None)
    rates: list[float] = []
    rate, callbacks = rate_and_callbacks(keras, config, rates, progress)
    compile_for(learner, keras.optimizers.Adam(learning_rate=rate), loss_of(keras, columns, scale, config))
    history = learner.fit(
        [*inputs_of(train.features), placing_of(train)],
        answers_of(train, columns, scale),
        validation_data=(
            [*inputs_of(validation.features), placing_of(validation)],
            answers_of(validation, columns, scale),
        ),
        batch_size=config.batch_size,
        epochs=config.epochs,
        verbose=0,
        callbacks=callbacks,
    ).history
    return FittedMultiTask(
        server, columns, scale, tuple(history["loss"]), tuple(history["val_loss"]), tuple(rates), learner=learner
    )  # fmt: skip


def _build(keras: Any, train: FeatureMatrix, config: MultiTaskConfig, *, heads: int, levels: bool) -> tuple[Any, Any]:
    """The untrained network with its position tower, and the same without."""
    dense, ops = keras.layers.Dense, keras.ops
    penalty = keras.regularizers.L2(config.l2)
    inputs, x = standardise(keras, train)
    crossed = x
    for _ in range(config.cross_layers):
        low = dense(config.cross_rank, use_bias=False, kernel_regularizer=penalty)(crossed)
        crossed = x * dense(x.shape[-1], kernel_regularizer=penalty)(low) + crossed
    shared = dense(config.trunk, activation="relu", kernel_regularizer=penalty)(crossed)
    tasks = heads + levels
    experts = dense(config.experts * config.expert_units, kernel_regularizer=penalty)(shared)
    experts = ops.reshape(experts, (-1, config.experts, config.expert_units))
    experts = ops.silu(keras.layers.LayerNormalization()(experts))
    gates = ops.reshape(dense(tasks * config.experts, kernel_regularizer=penalty)(x), (-1, tasks, config.experts))
    mixed = ops.matmul(ops.softmax(gates), experts)
    logits = []
    if heads:
        # One small matrix per head, all at once.
        tower = keras.layers.EinsumDense("nhd,hdk->nhk", (heads, config.tower_units), "relu", "hk")(mixed[:, :heads])
        deep = keras.layers.EinsumDense("nhk,hk->nh", (heads,), None, "h")(tower)
        linear = keras.regularizers.L2(config.wide_l2)
        logits.append(deep + dense(heads, use_bias=False, kernel_initializer="zeros", kernel_regularizer=linear)(x))
    if levels:
        logits.append(dense(len(LEVELS))(dense(2 * config.tower_units, activation="relu")(mixed[:, heads])))
    # Named, because training goes on from a stored network and has to find what serves.
    joined = keras.layers.Concatenate(name="logits")(logits)
    placing = keras.Input((2,), name="placing")
    moved = dense(joined.shape[-1], kernel_initializer="zeros")(dense(8, activation="relu")(placing))
    return keras.Model([*inputs, placing], joined + moved), keras.Model(inputs, joined)


def placing_of(examples: TrainingSet) -> NDArray[np.float32]:
    """What the position tower sees: whether the log states the position, and its logarithm."""
    known = examples.position != ABSENT
    place = np.log1p(np.where(known, np.maximum(examples.position, 0), 0))
    return np.stack([known, place], axis=1).astype(np.float32)


def answers_of(examples: TrainingSet, columns: tuple[str, ...], scale: WatchScale | None) -> NDArray[np.float32]:
    """Labels of the network's outputs, `UNKNOWN_ANSWER` where not known."""
    told = [examples.labels.heads[:, [HEADS.index(head) for head in columns]]]
    if scale is not None:
        told.append(scale.questions(examples.labels.watch_s, examples.duration_s))
    return np.nan_to_num(np.concatenate(told, axis=1), nan=UNKNOWN_ANSWER)


def loss_of(keras: Any, columns: tuple[str, ...], scale: WatchScale | None, config: MultiTaskConfig) -> Any:
    """Weighted cross-entropy over the known answers."""
    each = [config.primary_weight if head == PRIMARY else config.head_weight for head in columns]
    weights = np.array(each + [config.watch_weight / len(LEVELS)] * (len(LEVELS) if scale else 0), np.float32)

    def loss(answer: Any, logit: Any) -> Any:
        ops = keras.ops
        known = ops.cast(answer >= 0.0, logit.dtype)
        # -log p of the answer, written so that a large logit cannot overflow.
        nats = ops.maximum(logit, 0.0) - logit * answer + ops.log1p(ops.exp(-ops.abs(logit)))
        return ops.sum(nats * known * weights, axis=-1)

    return loss
