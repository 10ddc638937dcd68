"""Going on from a network that was trained before, with what came since: a few passes at a small rate.

    learner.keras       the network with its position tower, without the state of its optimizer
    learner.npz         which heads its outputs are, and the edges of its watch levels

The heads, the levels and the standardisation stay those of the first training, so a head that was too rare then stays a
base rate until the next full training. The weights of the best epoch are kept, and those it began with count as one: an
increment that only makes later examples worse changes nothing.

Both files are data: `safe_mode` refuses a Keras file with code in it, and the arrays load without pickle.
"""

import io
import tempfile
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from ranking.ranker.heads import HEADS
from ranking.ranker.keras_fit import Progress, compile_for, inputs_of, keras_module, rate_and_callbacks
from ranking.ranker.multitask import FittedMultiTask, MultiTaskConfig, answers_of, loss_of, placing_of
from ranking.ranker.training_set import TrainingSet
from ranking.ranker.watch_time import WatchScale

LEARNER_FILE: Final = "learner.keras"
STATE_FILE: Final = "learner.npz"
SERVES: Final = "logits"
"""Name of the layer whose outputs serve."""


class WarmStartError(ValueError):
    """Files that training cannot go on from."""


@dataclass(frozen=True, slots=True)
class GoOnConfig:
    """How an increment learns.

    Attributes
    ----------
    rate : where the learning rate begins; the first training had converged
    epochs, batch_size, patience : as in a full training
    """

    rate: float = 3e-4
    epochs: int = 3
    batch_size: int = 256
    patience: int = 1


def files_of(ranker: FittedMultiTask) -> dict[str, bytes]:
    """What training may go on from, by file name."""
    with tempfile.TemporaryDirectory(prefix="recsys-learner-") as folder, warnings.catch_warnings():
        # TensorFlow's arrays lack an argument that numpy 2 asks for.
        warnings.simplefilter("ignore", DeprecationWarning)
        path = Path(folder) / LEARNER_FILE
        ranker.learner.save(path)
        learner = path.read_bytes()
    buffer = io.BytesIO()
    scale = {} if ranker.scale is None else {each.name: getattr(ranker.scale, each.name) for each in fields(WatchScale)}
    np.savez(buffer, columns=np.array(ranker.columns, dtype=str), **scale)
    return {LEARNER_FILE: learner, STATE_FILE: buffer.getvalue()}


def go_on(
    files: Mapping[str, bytes],
    train: TrainingSet,
    validation: TrainingSet,
    *,
    network: MultiTaskConfig,
    config: GoOnConfig,
    seed: int,
    progress: Progress | None = None,
) -> FittedMultiTask:
    """Train on from stored files.

    Parameters
    ----------
    train, validation : in order of time, validation after training; both need at least one row
    network : how the network was made; its loss is the same

    Raises
    ------
    WarmStartError : for files that are missing, damaged, or of another list of heads or features
    """
    if len(train) == 0 or len(validation) == 0:
        raise ValueError(f"training needs rows on both sides, got {len(train)} and {len(validation)}")
    keras = keras_module()
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    learner, columns, scale = _read(keras, files, train)
    slow = replace(
        network, initial_rate=config.rate, epochs=config.epochs, batch_size=config.batch_size, patience=config.patience
    )
    rates: list[float] = []
    rate, callbacks = rate_and_callbacks(keras, slow, rates, progress)
    compile_for(learner, keras.optimizers.Adam(learning_rate=rate), loss_of(keras, columns, scale, network))
    given = [*inputs_of(validation.features), placing_of(validation)]
    asked = answers_of(validation, columns, scale)
    before, began = learner.get_weights(), float(learner.evaluate(given, asked, batch_size=8192, verbose=0))
    history = learner.fit(
        [*inputs_of(train.features), placing_of(train)], answers_of(train, columns, scale),
        validation_data=(given, asked), batch_size=config.batch_size, epochs=config.epochs, verbose=0,
        callbacks=callbacks,
    ).history  # fmt: skip
    if not min(history["val_loss"]) < began:
        learner.set_weights(before)
    return FittedMultiTask(
        _server(keras, learner), columns, scale, tuple(history["loss"]), tuple(history["val_loss"]), tuple(rates),
        learner=learner,
    )  # fmt: skip


def _read(
    keras: Any, files: Mapping[str, bytes], train: TrainingSet
) -> tuple[Any, tuple[str, ...], WatchScale | None]:  # fmt: skip
    """The network, its heads and its levels."""
    if missing := {LEARNER_FILE, STATE_FILE} - files.keys():
        raise WarmStartError(f"there is no {', '.join(sorted(missing))} to go on from")
    columns, scale = _state(files[STATE_FILE])
    with tempfile.TemporaryDirectory(prefix="recsys-learner-") as folder:
        path = Path(folder) / LEARNER_FILE
        path.write_bytes(files[LEARNER_FILE])
        try:
            learner = keras.models.load_model(path, compile=False, safe_mode=True)
            widths = [each.shape[-1] for each in learner.inputs[:3]]
        except Exception as error:  # Keras raises whatever it stumbles over
            raise WarmStartError(f"{LEARNER_FILE} is no network: {error}") from error
    if widths != (found := [each.shape[1] for each in inputs_of(train.features)]):
        raise WarmStartError(f"{LEARNER_FILE} takes features {widths} wide, these are {found}")
    return learner, columns, scale


def _state(content: bytes) -> tuple[tuple[str, ...], WatchScale | None]:
    names = [each.name for each in fields(WatchScale)]
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            columns = tuple(arrays["columns"].tolist())
            scale = WatchScale(**{name: arrays[name] for name in names}) if names[0] in arrays else None
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise WarmStartError(f"{STATE_FILE} cannot be read: {error}") from error
    if strange := _strange(columns):
        raise WarmStartError(f"{STATE_FILE} names heads that there are not: {', '.join(strange)}")
    return columns, scale


def _strange(columns: Sequence[str]) -> list[str]:
    return [each for each in columns if each not in HEADS]


def _server(keras: Any, learner: Any) -> Any:
    """The network without its position tower; it shares its weights."""
    return keras.Model(learner.inputs[:3], learner.get_layer(SERVES).output)
