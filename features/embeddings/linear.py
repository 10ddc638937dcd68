"""Linear item models in closed form, solved from the sums of `statistics`.

Next-item regression (in the family of session-aware linear models, SLIT of SLIST): histories of several channels side
by side predict the next content, with a ridge per channel.

    B = (H'H + diag(ridge))^-1 H'T

EASE (Steck 2019): each content from all others a user has, with a zero diagonal.

    P = (X'X + ridge I)^-1        E[i, j] = -P[i, j] / P[j, j], 0 on the diagonal

scipy is imported when something is solved, never in a web worker.
"""

import numpy as np
from numpy.typing import NDArray

from features.embeddings.statistics import SequenceStatistics


def next_item_weights(sums: SequenceStatistics, ridge: tuple[float, ...]) -> NDArray[np.float32]:
    """B by channel, float32 (K, m, m): row i says what follows content i.

    Parameters
    ----------
    ridge : one positive number per channel, in steps of the log

    >>> from features.embeddings.statistics import Channel
    >>> sums = SequenceStatistics(2, channels=(Channel(decay=0.5, lags=1),))
    >>> sums.add(np.zeros(5, int), np.array([0, 1, 0, 1, 0]))
    >>> next_item_weights(sums, (1e-6,)).round(3).tolist()
    [[[0.0, 1.0], [1.0, 0.0]]]
    """
    from scipy import linalg  # noqa: PLC0415

    count, size = len(sums.channels), sums.size
    gram = sums.gram()
    gram[np.diag_indices(count * size)] += np.repeat(np.array(ridge, np.float32), size)
    target = sums.target.reshape(count * size, size).astype(np.float32)
    solved = linalg.solve(gram, target, assume_a="pos", overwrite_a=True, overwrite_b=True, check_finite=False)
    return np.asarray(solved, np.float32).reshape(count, size, size)


def ease_weights(together: NDArray[np.floating], ridge: float) -> NDArray[np.float32]:
    """E, float32 (m, m), from co-occurrence counts (m, m).

    >>> e = ease_weights(np.array([[2.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 1.0]]), 2.0)
    >>> e.round(3).tolist()
    [[0.0, 0.5, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    from scipy import linalg  # noqa: PLC0415

    gram = together.astype(np.float32)
    gram[np.diag_indices(len(gram))] += np.float32(ridge)
    inverse = linalg.inv(gram, overwrite_a=True, check_finite=False)
    weights = -inverse / np.diag(inverse)
    # Exactly zero, and no negative zero where two contents never met.
    weights[np.diag_indices(len(weights))] = 0.0
    return np.asarray(weights + 0.0, np.float32)
