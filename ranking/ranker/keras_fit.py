"""What the networks share: how Keras is imported, the learning rate of the source design, standardised inputs, export.

Adam's learning rate decays by the inverse of time, and is multiplied by 1.05 after an epoch that lowered the validation
loss and by 0.5 after one that did not.

Standardisation is measured on the training rows and becomes constants of the graph, so that serving cannot refit it.
`keras.layers.Normalization` would do the same, but its statistics are exported to ONNX as extra inputs; a `Rescaling`
with the same numbers exports as constants. Standardised values are clipped, because a feature that hardly varied in
training may be far outside its range a month later.

TensorFlow is imported inside the functions here and nowhere else: web processes import the rest of this package and
must stay small.
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ranking.ranker.examples import FeatureMatrix

CLIP_DEVIATIONS = 10.0
EXPORT_TOLERANCE = 1e-4
"""Largest difference between Keras and ONNX Runtime that still is rounding."""
EXPORT_CHECK_ROWS = 512
PREDICT_BATCH = 8192

Progress = Callable[[int, int], None]
"""Called with (epochs done, most epochs there can be) after every epoch."""


class ExportError(RuntimeError):
    """The exported graph does not compute what the trained network computes."""


class Schedule(Protocol):
    """rate(step) = initial_rate / (1 + decay_rate * step / decay_steps), times the factors of the epochs so far."""

    @property
    def initial_rate(self) -> float:
        """The rate of the first step."""

    @property
    def decay_steps(self) -> int:
        """Steps per decay."""

    @property
    def decay_rate(self) -> float:
        """How much slower after `decay_steps`."""

    @property
    def rate_up(self) -> float:
        """Factor after a better epoch."""

    @property
    def rate_down(self) -> float:
        """Factor after a worse epoch."""

    @property
    def epochs(self) -> int:
        """At most so many passes."""

    @property
    def patience(self) -> int:
        """Passes without a better validation loss before it stops."""


def keras_module() -> Any:
    """Keras on TensorFlow, imported when first needed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # The kernels that reorder sums buy nothing for a few small layers.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    logging.getLogger("tf2onnx").setLevel(logging.WARNING)
    import keras  # noqa: PLC0415 (see the module docstring)

    return keras


def inputs_of(rows: FeatureMatrix) -> list[NDArray[np.float32]]:
    """The three blocks in the order of the networks' inputs."""
    return [rows.user, rows.content, rows.context]


def standardised_inputs(keras: Any, train: FeatureMatrix) -> tuple[list[Any], Any]:
    """Keras inputs named user, content, context, and their columns side by side, standardised and clipped."""
    values = np.concatenate(inputs_of(train), axis=1)
    mean, deviation = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    # A column that never varies says nothing and has no scale; 1 leaves it near zero instead of dividing by zero.
    scale = 1.0 / np.where(deviation > 1e-6, deviation, 1.0)
    inputs = [
        keras.Input((block.shape[1],), name=name)
        for name, block in zip(("user", "content", "context"), inputs_of(train), strict=True)
    ]
    wide = keras.layers.Concatenate()(inputs)
    wide = keras.layers.Rescaling(scale.astype(np.float32), (-mean * scale).astype(np.float32))(wide)
    return inputs, keras.ops.clip(wide, -CLIP_DEVIATIONS, CLIP_DEVIATIONS)


def rate_and_callbacks(
    keras: Any, schedule: Schedule, rates: list[float], progress: Progress | None
) -> tuple[Any, list[Any]]:
    """A rate for an optimizer, and the callbacks that move it, note it in `rates`, stop early and report progress."""

    class AdjustedInverseTimeDecay(keras.optimizers.schedules.InverseTimeDecay):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(schedule.initial_rate, schedule.decay_steps, schedule.decay_rate)
            self.factor = keras.Variable(1.0, trainable=False, name="rate_factor")

        def __call__(self, step: Any) -> Any:
            return super().__call__(step) * self.factor

    rate = AdjustedInverseTimeDecay()

    class AdjustRate(keras.callbacks.Callback):  # type: ignore[misc]
        previous = np.inf

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            loss = (logs or {})["val_loss"]
            better = loss < self.previous
            rate.factor.assign(rate.factor * (schedule.rate_up if better else schedule.rate_down))
            self.previous = loss
            rates.append(float(rate(self.model.optimizer.iterations)))
            if progress is not None:
                progress(epoch + 1, schedule.epochs)

    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=schedule.patience, restore_best_weights=True)
    return rate, [AdjustRate(), stop]


def compile_for(model: Any, optimizer: Any, loss: Any) -> None:
    """Compile with the optimizer's variables in place: made within the first step, they have it traced twice, which is
    half of the time of a small training.
    """
    model.compile(optimizer=optimizer, loss=loss)
    optimizer.build(model.trainable_variables)


def predict(model: Any, rows: FeatureMatrix) -> NDArray[np.float32]:
    """The network's outputs, float32 (n, columns)."""
    if len(rows) == 0:
        return np.empty((0, model.output_shape[-1]), np.float32)
    return np.asarray(model.predict(inputs_of(rows), batch_size=PREDICT_BATCH, verbose=0), np.float32)


def export(model: Any, sample: FeatureMatrix) -> bytes:
    """The network as an ONNX file, checked against Keras on some rows of `sample`.

    Raises
    ------
    ExportError : when an output differs by 1e-4 or more, relative to 1 or its own size
    """
    with tempfile.TemporaryDirectory(prefix="recsys-export-") as folder, warnings.catch_warnings():
        # Keras's exporter asks numpy for names that numpy 2 warns about.
        warnings.simplefilter("ignore", FutureWarning)
        path = Path(folder) / "ranker.onnx"
        model.export(str(path), format="onnx", verbose=False)
        content = path.read_bytes()
    check_export(content, lambda rows: predict(model, rows), sample)
    return content


def check_export(
    content: bytes, outputs: Callable[[FeatureMatrix], NDArray[np.float32]], sample: FeatureMatrix
) -> None:
    """Compare an exported graph with what it was made from, on the first rows of `sample`."""
    import onnxruntime  # noqa: PLC0415 (only training checks exports)

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = sorted(entry.name for entry in session.get_inputs())
    if names != ["content", "context", "user"]:
        raise ExportError(f"the exported graph has inputs {names}, not content, context, user")
    sample = sample.rows(slice(0, EXPORT_CHECK_ROWS))
    if len(sample) == 0:
        return
    given = {"user": sample.user, "content": sample.content, "context": sample.context}
    exported, expected = session.run(None, given)[0], outputs(sample)
    difference = float((np.abs(exported - expected) / np.maximum(np.abs(expected), 1.0)).max(initial=0.0))
    if not difference < EXPORT_TOLERANCE:
        raise ExportError(
            f"the exported graph differs by {difference:.2e}; less than {EXPORT_TOLERANCE:.0e} is rounding"
        )
