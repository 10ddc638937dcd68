"""The ranking network of the source design: three inputs, 256-128-64 rectified units, one probability.

    user, content, context -> concatenate -> standardise -> 256 -> 128 -> 64 -> sigmoid

The loss is binary cross-entropy plus an L2 penalty on the weights; Keras adds the penalties of the layers to the loss
by itself, which is the sum the source writes by hand. It is the reference that other rankers are measured by: it learns
one label, whether the exposure satisfied, and says base rates for every head but the long view.

Runs with the same seed agree closely but not to the bit, as sums over threads have no fixed order.

Not here: what the examples are (`examples.py`), and the file the web process loads (`bundle.py`).
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ranking.ranker.examples import FeatureMatrix
from ranking.ranker.heads import PRIMARY
from ranking.ranker.keras_fit import (
    Progress,
    compile_for,
    export,
    inputs_of,
    keras_module,
    predict,
    rate_and_callbacks,
    standardised_inputs,
)
from ranking.ranker.training_set import TrainingSet


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
    columns: ClassVar[tuple[str, ...]] = (PRIMARY,)
    scale: ClassVar[None] = None
    gives: ClassVar[Literal["logit", "probability"]] = "probability"

    def outputs(self, rows: FeatureMatrix) -> NDArray[np.float32]:
        """Probabilities (n, 1) of a satisfied watch."""
        return predict(self.model, rows)

    def to_onnx(self, sample: FeatureMatrix) -> bytes:
        """The network as an ONNX file, checked against Keras on some rows of `sample`."""
        return export(self.model, sample)


def fit_network(
    train: TrainingSet,
    validation: TrainingSet,
    *,
    config: NetworkConfig,
    seed: int,
    progress: Progress | None = None,
) -> FittedNetwork:
    """Train from scratch; the weights of the best validation epoch are kept.

    Parameters
    ----------
    train, validation : in order of time, validation after training; both need at least one row
    """
    if len(train) == 0 or len(validation) == 0:
        raise ValueError(f"training needs rows on both sides, got {len(train)} and {len(validation)}")
    keras = keras_module()
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = _build(keras, train.features, config)
    rates: list[float] = []
    rate, callbacks = rate_and_callbacks(keras, config, rates, progress)
    compile_for(model, keras.optimizers.Adam(learning_rate=rate), "binary_crossentropy")
    history = model.fit(
        inputs_of(train.features),
        train.labels.satisfied.astype(np.float32),
        validation_data=(inputs_of(validation.features), validation.labels.satisfied.astype(np.float32)),
        batch_size=config.batch_size,
        epochs=config.epochs,
        verbose=0,
        callbacks=callbacks,
    ).history
    return FittedNetwork(model, tuple(history["loss"]), tuple(history["val_loss"]), tuple(rates))


def _build(keras: Any, train: FeatureMatrix, config: NetworkConfig) -> Any:
    """The untrained network, with the standardisation of the training rows in it."""
    inputs, hidden = standardised_inputs(keras, train)
    for units in config.hidden:
        penalty = keras.regularizers.L2(config.l2)
        hidden = keras.layers.Dense(units, activation="relu", kernel_regularizer=penalty)(hidden)
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid", name="probability")(hidden))
