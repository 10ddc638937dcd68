"""The ranking network of the source design: three inputs, 256-128-64 rectified units, one probability.

    user, content, context -> concatenate -> standardise -> 256 -> 128 -> 64 -> sigmoid

The loss is binary cross-entropy plus an L2 penalty on the weights; Keras adds the penalties of the layers to the loss
by itself, which is the sum the source writes by hand. Adam's learning rate decays by the inverse of time, and is
multiplied by 1.05 after an epoch that lowered the validation loss and by 0.5 after one that did not.

Standardisation is measured on the training rows and becomes constants of the graph, so that serving cannot refit it.
`keras.layers.Normalization` would do the same, but its statistics are exported to ONNX as extra inputs; a `Rescaling`
with the same numbers exports as constants. Standardised values are clipped, because a feature that hardly varied in
training may be far outside its range a month later.

TensorFlow is imported inside the functions here and nowhere else: web processes import the rest of this package and
must stay small. Runs with the same seed agree closely but not to the bit, as sums over threads have no fixed order.

Not here: what the examples are (`examples.py`), and the file the web process loads (`bundle.py`).
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking.ranker.examples import FeatureMatrix

CLIP_DEVIATIONS = 10.0
EXPORT_TOLERANCE = 1e-4
"""Largest difference between Keras and ONNX Runtime that still is rounding."""
EXPORT_CHECK_ROWS = 512
PREDICT_BATCH = 8192


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """What is learned how; stored with the model version.

    Attributes
    ----------
    hidden : units of the rectified layers
    l2 : weight of the squared weights in the loss
    initial_rate, decay_steps, decay_rate : rate(step) = initial_rate / (1 + decay_rate * step / decay_steps)
    rate_up, rate_down : factors on the rate after a better or a worse epoch
    batch_size : examples per step
    epochs : at most so many passes over the training rows
    patience : passes without a better validation loss before it stops and takes the best weights back
    """

    hidden: tuple[int, ...] = (256, 128, 64)
    l2: float = 1e-5
    initial_rate: float = 1e-3
    decay_steps: int = 10_000
    decay_rate: float = 0.96
    rate_up: float = 1.05
    rate_down: float = 0.5
    batch_size: int = 512
    epochs: int = 12
    patience: int = 2


class ExportError(RuntimeError):
    """The exported graph does not compute what the trained network computes."""


@dataclass(frozen=True, slots=True)
class FittedNetwork:
    """A trained network.

    Attributes
    ----------
    model : the Keras model
    losses, validation_losses : one per epoch run
    rates : the learning rate at the end of each epoch
    """

    model: Any
    losses: tuple[float, ...]
    validation_losses: tuple[float, ...]
    rates: tuple[float, ...]

    def predict(self, rows: FeatureMatrix) -> NDArray[np.float32]:
        """Probabilities (n,) of a satisfied watch."""
        if len(rows) == 0:
            return np.empty(0, np.float32)
        return np.asarray(self.model.predict(_inputs(rows), batch_size=PREDICT_BATCH, verbose=0)[:, 0], np.float32)

    def to_onnx(self, sample: FeatureMatrix) -> bytes:
        """The network as an ONNX file, checked against Keras on some rows of `sample`.

        Raises
        ------
        ExportError : when a probability differs by 1e-4 or more
        """
        with tempfile.TemporaryDirectory(prefix="recsys-export-") as folder, warnings.catch_warnings():
            # Keras's exporter asks numpy for names that numpy 2 warns about.
            warnings.simplefilter("ignore", FutureWarning)
            path = Path(folder) / "ranker.onnx"
            self.model.export(str(path), format="onnx", verbose=False)
            content = path.read_bytes()
        _check_export(content, self, sample.rows(slice(0, EXPORT_CHECK_ROWS)))
        return content


def fit_network(
    train: FeatureMatrix,
    labels: NDArray[np.int8],
    validation: FeatureMatrix,
    validation_labels: NDArray[np.int8],
    *,
    config: NetworkConfig,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> FittedNetwork:
    """Train from scratch; the weights of the best validation epoch are kept.

    Parameters
    ----------
    train, validation : rows in order of time, validation after training; both need at least one row
    labels, validation_labels : int8 arrays of 0 and 1
    progress : called with (epochs done, most epochs there can be) after every epoch
    """
    if len(train) == 0 or len(validation) == 0:
        raise ValueError(f"training needs rows on both sides, got {len(train)} and {len(validation)}")
    keras = _keras()
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    schedule = _decaying_rate(keras, config)
    model = _build(keras, train, config)
    model.compile(optimizer=keras.optimizers.Adam(learning_rate=schedule), loss="binary_crossentropy")
    rates: list[float] = []
    history = model.fit(
        _inputs(train),
        labels.astype(np.float32),
        validation_data=(_inputs(validation), validation_labels.astype(np.float32)),
        batch_size=config.batch_size,
        epochs=config.epochs,
        verbose=0,
        callbacks=[
            _adjust_rate(keras, schedule, config, rates, progress),
            keras.callbacks.EarlyStopping(monitor="val_loss", patience=config.patience, restore_best_weights=True),
        ],
    ).history
    return FittedNetwork(model, tuple(history["loss"]), tuple(history["val_loss"]), tuple(rates))


def _keras() -> Any:
    """Keras on TensorFlow, imported when first needed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # The kernels that reorder sums buy nothing for three small layers.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    logging.getLogger("tf2onnx").setLevel(logging.WARNING)
    import keras  # noqa: PLC0415 (see the module docstring)

    return keras


def _build(keras: Any, train: FeatureMatrix, config: NetworkConfig) -> Any:
    """The untrained network, with the standardisation of the training rows in it."""
    values = np.concatenate([train.user, train.content, train.context], axis=1)
    mean, deviation = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    # A column that never varies says nothing and has no scale; 1 leaves it near zero instead of dividing by zero.
    scale = 1.0 / np.where(deviation > 1e-6, deviation, 1.0)
    inputs = [
        keras.Input((block.shape[1],), name=name)
        for name, block in (("user", train.user), ("content", train.content), ("context", train.context))
    ]
    hidden = keras.layers.Concatenate()(inputs)
    hidden = keras.layers.Rescaling(scale.astype(np.float32), (-mean * scale).astype(np.float32))(hidden)
    hidden = keras.ops.clip(hidden, -CLIP_DEVIATIONS, CLIP_DEVIATIONS)
    for units in config.hidden:
        penalty = keras.regularizers.L2(config.l2)
        hidden = keras.layers.Dense(units, activation="relu", kernel_regularizer=penalty)(hidden)
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid", name="probability")(hidden))


def _decaying_rate(keras: Any, config: NetworkConfig) -> Any:
    """Keras's inverse time decay, times a factor that the callback below moves."""

    class AdjustedInverseTimeDecay(keras.optimizers.schedules.InverseTimeDecay):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(config.initial_rate, config.decay_steps, config.decay_rate)
            self.factor = keras.Variable(1.0, trainable=False, name="rate_factor")

        def __call__(self, step: Any) -> Any:
            return super().__call__(step) * self.factor

    return AdjustedInverseTimeDecay()


def _adjust_rate(
    keras: Any,
    schedule: Any,
    config: NetworkConfig,
    rates: list[float],
    progress: Callable[[int, int], None] | None,
) -> Any:
    """After each epoch: raise or halve the rate by the validation loss, note it, report progress."""

    class AdjustRate(keras.callbacks.Callback):  # type: ignore[misc]
        previous = np.inf

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            loss = (logs or {})["val_loss"]
            better = loss < self.previous
            schedule.factor.assign(schedule.factor * (config.rate_up if better else config.rate_down))
            self.previous = loss
            rates.append(float(schedule(self.model.optimizer.iterations)))
            if progress is not None:
                progress(epoch + 1, config.epochs)

    return AdjustRate()


def _inputs(rows: FeatureMatrix) -> list[NDArray[np.float32]]:
    return [rows.user, rows.content, rows.context]


def _check_export(content: bytes, network: FittedNetwork, sample: FeatureMatrix) -> None:
    import onnxruntime  # noqa: PLC0415 (only training checks exports)

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = sorted(entry.name for entry in session.get_inputs())
    if names != ["content", "context", "user"]:
        raise ExportError(f"the exported graph has inputs {names}, not content, context, user")
    given = {"user": sample.user, "content": sample.content, "context": sample.context}
    exported = session.run(None, given)[0][:, 0]
    difference = float(np.abs(exported - network.predict(sample)).max(initial=0.0))
    if not difference < EXPORT_TOLERANCE:
        raise ExportError(
            f"the exported graph differs by {difference:.2e}; less than {EXPORT_TOLERANCE:.0e} is rounding"
        )
