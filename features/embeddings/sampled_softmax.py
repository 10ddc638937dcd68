"""Softmax over a drawn part of a large catalogue, corrected for what is drawn how often.

Candidates of a step are all contents that are to be predicted in it, and some drawn evenly from the catalogue: from the
batch alone popular contents would be all that a rare one is ever told apart from, evenly drawn ones alone are too easy.
Each candidate that is not the one to be predicted counts for 1 over its chance to be among them,

    Z = exp(s_target) + sum over the other candidates c of exp(s_c) / chance(c),
    chance(c) = 1 - (1 - share(c)) ** targets * (1 - 1 / m) ** drawn

which in the mean is the sum over the whole catalogue (Horvitz and Thompson, 1952); the target itself is always there
and is not corrected. A catalogue that is among the candidates as a whole gives the full softmax.

Not here: TensorFlow, which the caller hands in.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

DRAWN: Final = 1_024
"""Contents drawn evenly for a step."""


def log_absence(sequences: list[NDArray[np.int64]], items: int) -> NDArray[np.float32]:
    """log(1 - share) of each item among all steps, float32 (items + 1,); place 0 means "nothing here".

    >>> np.exp(log_absence([np.array([1, 2]), np.array([2, 2])], 3)).round(2).tolist()
    [1.0, 0.75, 0.25, 1.0]
    """
    met = np.bincount(np.concatenate(sequences), minlength=items + 1)
    # Nothing may be in every batch for sure, or its logarithm would have no end.
    return np.log1p(-np.minimum(met / max(int(met.sum()), 1), 1.0 - 1e-6)).astype(np.float32)


def loss(tf: Any, now: Any, following: Any, vectors: Any, bias: Any, absence: Any, *, drawn: int | None = None) -> Any:
    """Mean cross-entropy of what follows.

    Parameters
    ----------
    tf : TensorFlow
    now : float tensor (t, d), where sequences are
    following : int32 tensor (t,), the items that follow, from 1
    vectors, bias : float tensors (m + 1, d) and (m + 1,), of the items; the first is no item
    absence : float tensor (m + 1,), of `log_absence`
    drawn : `DRAWN` by default
    """
    items, drawn = int(vectors.shape[0]) - 1, drawn or DRAWN
    some = tf.random.uniform((drawn,), 1, items + 1, tf.int32)
    candidates, place = tf.unique(tf.concat([following, some], 0))
    place = place[: tf.size(following)]
    targets = tf.cast(tf.size(following), tf.float32)
    missed = targets * tf.gather(absence, candidates) + drawn * float(np.log1p(-1.0 / items))
    log_chance = tf.math.log(-tf.math.expm1(missed))
    scores = tf.matmul(now, tf.gather(vectors, candidates), transpose_b=True) + tf.gather(bias, candidates) - log_chance
    own = tf.stack([tf.range(tf.size(following)), place], 1)
    scores = tf.tensor_scatter_nd_add(scores, own, tf.gather(log_chance, place))
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(place, scores))
