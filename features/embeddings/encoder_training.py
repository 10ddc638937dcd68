"""Training of the sequence encoder: windows over sequences, full softmax, vectors that start from the linear model.

Each pass cuts the sequences into windows of up to 101 contents at another place, so that every step is learned once a
pass and no content always stands at the edge. From each window the network predicts every next content at once. The
rate rises over the first tenth of the steps and falls along a cosine to nearly nothing; there is no early stop, because
a held-out part would have to come from the newest events, which serving needs most.

The start of the vectors: with W the linear model's weights (all channels and EASE, each over its own deviation), the
largest eigenvectors of (W + W') / 2, each times the root of its eigenvalue, so that inner products are the likeness the
linear model sees. Items it does not know start as noise.

The softmax runs over the whole catalogue up to `FULL_SOFTMAX` items, beyond them over a drawn part that is corrected
for how often it is drawn (`sampled_softmax`). `MAX_ITEMS` take part, the most met ones.

TensorFlow is imported inside the functions here and nowhere else.
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.embeddings import encoder, sampled_softmax
from features.embeddings.behaviour import SequentialItemModel, chosen
from features.embeddings.encoder import SequenceEncoder

MAX_ITEMS: Final = 100_000
FULL_SOFTMAX: Final = 20_000
MIN_STEPS: Final = 1_000
"""Fewer steps than this teach attention nothing that the linear model does not know."""
EXPORT_TOLERANCE: Final = 1e-3
"""Largest difference between Keras and ONNX Runtime that still is rounding, in components of about 1."""
START_DEVIATION: Final = 0.05
_EXPORT_CHECKS: Final = 64


class EncoderExportError(RuntimeError):
    """The exported graph does not compute what the trained network computes."""


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """What is learned how; chosen on the validation items of MovieLens-1M.

    Attributes
    ----------
    dimensions, blocks, heads : of the network
    window : contents looked at
    dropout : share of the activations left out in training
    epochs : passes over the sequences
    batch_size : windows per step
    rate : largest learning rate of Adam
    seed : of weights, windows and their order
    """

    dimensions: int = 64
    blocks: int = 2
    heads: int = 2
    window: int = 100
    dropout: float = 0.2
    epochs: int = 8
    batch_size: int = 32
    rate: float = 2e-3
    seed: int = 7


def fit(
    user: NDArray[np.int64],
    row: NDArray[np.int64],
    n: int,
    *,
    start: SequentialItemModel | None = None,
    config: EncoderConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SequenceEncoder | None:
    """Learn from sequences of enjoyed contents.

    Parameters
    ----------
    user : int array (p,), whose sequence each entry belongs to; entries of a user stand together, oldest first
    row : int array (p,), rows of the snapshot
    n : number of contents of the snapshot
    start : a linear model of the same snapshot to start from; noise without it
    progress : called with (steps done, steps there are) now and then

    Returns
    -------
    None where there are fewer than 1,000 transitions

    Raises
    ------
    EncoderExportError : when the exported graph gives other vectors than the network it was made from
    """
    config = config or EncoderConfig()
    items, user, item = chosen(user, row, n, max_items=MAX_ITEMS)
    sequences = [part + 1 for part in np.split(item, np.flatnonzero(user[1:] != user[:-1]) + 1) if len(part) > 1]
    if sum(len(each) - 1 for each in sequences) < MIN_STEPS:
        return None
    keras, tf = _keras()
    keras.backend.clear_session()
    keras.utils.set_random_seed(config.seed)
    vectors = start_vectors(start, items, config.dimensions, np.random.default_rng(config.seed))
    network, embedding = _build(keras, np.append(np.zeros((1, config.dimensions), np.float32), vectors, 0), config)
    bias = _train(keras, tf, network, embedding, sequences, config, progress)
    graph = _export(network)
    fitted = encoder.of_graph(graph, items, np.asarray(embedding.embeddings)[1:], bias[1:], n)
    _check(network, fitted, sequences, config)
    return fitted


def start_vectors(
    start: SequentialItemModel | None, items: NDArray[np.int64], dimensions: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Vectors (m, dimensions) whose inner products are the likeness a linear model sees; noise where it knows nothing.

    Parameters
    ----------
    items : int64 array (m,), rows of the same snapshot as the model's
    """
    vectors = rng.normal(0.0, START_DEVIATION, (len(items), dimensions))
    if start is not None and len(start.items) > dimensions + 1:
        from scipy import sparse  # noqa: PLC0415  a web worker never fits
        from scipy.sparse.linalg import eigsh  # noqa: PLC0415

        size, kept = start.successor.shape
        total = np.zeros((size, kept), np.float32)
        for weight in (*start.weight, start.ease):
            deviation = float(weight.std())
            total += weight / (deviation if deviation > 0.0 else 1.0)
        place = np.repeat(np.arange(size), kept), start.successor.ravel()
        table = sparse.csr_matrix((total.ravel(), place), shape=(size, size))
        value, direction = eigsh((table + table.T) / 2.0, k=dimensions, which="LA", v0=np.ones(size))
        learned = direction * np.sqrt(np.maximum(value, 0.0))
        known = start.item_of_row[items]
        vectors[known >= 0] = learned[known[known >= 0]] * (START_DEVIATION / float(learned.std()))
    return vectors.astype(np.float32)


def windows(sequences: list[NDArray[np.int64]], window: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Rows of `window` + 1 places in random order, 0 where there is nothing; every step of a sequence is in one row.

    >>> rows = windows([np.array([1, 2, 3, 4])], 2, np.random.default_rng(0))
    >>> sorted((row[i].item(), row[i + 1].item()) for row in rows for i in range(2) if row[i])
    [(1, 2), (2, 3), (3, 4)]
    """
    rows = []
    for sequence in sequences:
        # Neighbours share one content, the last to be predicted in one and the first to be known in the next.
        last = len(sequence) - 1
        first_end = int(rng.integers(1, window + 1)) if last > window else last
        ends = range(first_end, last + window, window)
        for end in ends:
            part = sequence[max(0, end - window) : min(end, last) + 1]
            if len(part) > 1:
                rows.append(np.pad(part, (window + 1 - len(part), 0)))
    return np.array(rows, np.int32)[rng.permutation(len(rows))]


def _keras() -> tuple[Any, Any]:
    """Keras and TensorFlow, imported when first needed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tf2onnx").setLevel(logging.WARNING)
    import keras  # noqa: PLC0415 (see the module docstring)
    import tensorflow as tf  # noqa: PLC0415

    return keras, tf


def _build(keras: Any, vectors: NDArray[np.float32], config: EncoderConfig) -> tuple[Any, Any]:
    """The network, items (b, window) to the vector after each place (b, window, d), and its embedding layer."""
    layers, ops, d = keras.layers, keras.ops, config.dimensions
    items = keras.Input((config.window,), dtype="int32", name="items")
    embedding = layers.Embedding(len(vectors), d)
    embedding.build(None)
    embedding.embeddings.assign(vectors)
    there = ops.cast(items > 0, "float32")
    hidden = layers.Dropout(config.dropout)(embedding(items) * float(np.sqrt(d)))
    attention = _attention(keras)
    for _ in range(config.blocks):
        seen = attention(d, config.heads)([layers.LayerNormalization(epsilon=1e-6)(hidden), there])
        hidden = hidden + layers.Dropout(config.dropout)(seen)
        # Not GELU: its error function has no operator in the exported graph.
        inner = layers.Dense(2 * d, activation="silu")(layers.LayerNormalization(epsilon=1e-6)(hidden))
        hidden = hidden + layers.Dropout(config.dropout)(layers.Dense(d)(inner))
    return keras.Model(items, layers.LayerNormalization(epsilon=1e-6)(hidden)), embedding


def _attention(keras: Any) -> Any:
    """Causal self-attention with a learned bias per head and distance, which starts as a decay."""
    ops = keras.ops

    class RecencyAttention(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, dimensions: int, heads: int) -> None:
            super().__init__()
            self.heads, self.wide = heads, dimensions // heads
            self.project = keras.layers.Dense(3 * dimensions, use_bias=False)
            self.out = keras.layers.Dense(dimensions)

        def build(self, shapes: Any) -> None:
            length, dimensions = shapes[0][1], shapes[0][2]
            slopes = 2.0 ** -np.linspace(1.0, 8.0, self.heads)
            decay = (-slopes[:, None] * np.arange(length)).astype(np.float32)
            self.bias = self.add_weight(shape=decay.shape, initializer="zeros", name="bias")
            self.bias.assign(decay)
            place = np.arange(length)
            self.distance = np.maximum(place[:, None] - place, 0)
            self.causal = (place[:, None] >= place).astype(np.float32)
            self.project.build(shapes[0])
            self.out.build((*shapes[0][:2], dimensions))

        def call(self, inputs: Any) -> Any:
            hidden, there = inputs
            length = hidden.shape[1]
            query, key, value = (
                ops.transpose(ops.reshape(part, (-1, length, self.heads, self.wide)), (0, 2, 1, 3))
                for part in ops.split(self.project(hidden), 3, axis=-1)
            )
            score = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) / float(np.sqrt(self.wide))
            score = score + ops.take(self.bias, self.distance, axis=1)[None]
            allowed = self.causal[None, None] * there[:, None, None, :]
            # Finite, because a place with nothing before it would else be 0 / 0.
            share = ops.softmax(score - (1.0 - allowed) * 1e9)
            mixed = ops.transpose(ops.matmul(share, value), (0, 2, 1, 3))
            return self.out(ops.reshape(mixed, (-1, length, self.heads * self.wide)))

    return RecencyAttention


def _train(
    keras: Any,
    tf: Any,
    network: Any,
    embedding: Any,
    sequences: list[NDArray[np.int64]],
    config: EncoderConfig,
    progress: Callable[[int, int], None] | None,
) -> NDArray[np.float32]:
    """Train in place; returns the bias of each item, (m + 1,), with that of "nothing here" first."""
    rng = np.random.default_rng(config.seed)
    count = len(windows(sequences, config.window, np.random.default_rng(config.seed)))
    total = max(1, -(-count // config.batch_size)) * config.epochs
    rate = keras.optimizers.schedules.CosineDecay(
        0.1 * config.rate, total, alpha=0.02, warmup_target=config.rate, warmup_steps=min(500, max(1, total // 10))
    )
    bias = keras.Variable(np.zeros(embedding.input_dim, np.float32), name="item_bias")
    variables = [*network.trainable_variables, bias]
    optimizer = keras.optimizers.Adam(rate, beta_2=0.98)
    optimizer.build(variables)

    error = _error(tf, embedding.embeddings, bias, sequences)

    def learn(rows: Any) -> None:
        with tf.GradientTape() as tape:
            place = tf.where(rows[:, 1:] > 0)
            place = tf.boolean_mask(place, tf.gather_nd(rows[:, :-1], place) > 0)
            now = tf.gather_nd(network(rows[:, :-1], training=True), place)
            loss = error(now, tf.gather_nd(rows[:, 1:], place))
        gradients = tape.gradient(loss, [each.value for each in variables])
        optimizer.apply([tf.convert_to_tensor(each) for each in gradients], variables)

    step = tf.function(learn, input_signature=[tf.TensorSpec((None, config.window + 1), tf.int32)])
    done = 0
    for _ in range(config.epochs):
        rows = windows(sequences, config.window, rng)
        for first in range(0, len(rows), config.batch_size):
            step(tf.constant(rows[first : first + config.batch_size]))
            done += 1
            if progress is not None and done % 20 == 0:
                progress(min(done, total), total)
    return np.asarray(bias)


def _error(tf: Any, vectors: Any, bias: Any, sequences: list[NDArray[np.int64]]) -> Callable[[Any, Any], Any]:
    """Where sequences are (t, d) and what follows (t,) to the mean cross-entropy."""
    items = int(vectors.shape[0]) - 1
    if items > FULL_SOFTMAX:
        absence = tf.constant(sampled_softmax.log_absence(sequences, items))
        return lambda now, following: sampled_softmax.loss(
            tf, now, following, tf.convert_to_tensor(vectors), tf.convert_to_tensor(bias), absence
        )

    def full(now: Any, following: Any) -> Any:
        logits = tf.matmul(now, vectors, transpose_b=True) + bias
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(following, logits))

    return full


def _export(network: Any) -> bytes:
    """The network as an ONNX file that gives the vector after the last place only, (b, d)."""
    import keras  # noqa: PLC0415 (see the module docstring)

    last = keras.Model(network.input, network.output[:, -1])
    # The exporter wants a model that has been asked once.
    last(np.zeros((1, network.input_shape[1]), np.int32))
    with tempfile.TemporaryDirectory(prefix="recsys-export-") as folder, warnings.catch_warnings():
        # Keras's exporter asks numpy for names that numpy 2 warns about.
        warnings.simplefilter("ignore", FutureWarning)
        path = Path(folder) / "encoder.onnx"
        last.export(str(path), format="onnx", verbose=False)
        return path.read_bytes()


def _check(network: Any, fitted: SequenceEncoder, sequences: list[NDArray[np.int64]], config: EncoderConfig) -> None:
    """Compare Keras and ONNX Runtime on some sequences."""
    some = sequences[:_EXPORT_CHECKS]
    rows = [fitted.items[each - 1] for each in some]
    given = np.array(
        [np.pad(each[-config.window :], (max(0, config.window - len(each)), 0)) for each in some], np.int32
    )
    expected = np.asarray(network(given, training=False))[:, -1]
    difference = float(np.abs(fitted.user_vectors(rows) - expected).max())
    if not difference < EXPORT_TOLERANCE:
        raise EncoderExportError(
            f"the exported encoder differs by {difference:.2e}; less than {EXPORT_TOLERANCE:.0e} is rounding"
        )
