"""One order of the catalogue out of several: a weighted sum of channels, with weights found on a held-out day.

    score = sum over channels of weight * (x - mean) / deviation         both over the contents, for each user

A personal channel scores every content for a user (what follows what they enjoyed, what people meet who met the same);
a shared one is the same for all (log popularity of some window, the rate of long views). Standardised, a weight means
the same for every channel and every user, and one that knows nothing of a user adds nothing.

Weights are found by climbing: from the best personal channel, each step adds or takes away a little of one channel and
stays when the measure of the held-out day rises. A softmax regression on the same day was tried and orders the first
hundred worse: it fits probabilities, and the tail of a catalogue outweighs its head.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float32]
Measure = Callable[[Table], float]
"""Scores (users, n) of the held-out day to how good they are; higher is better."""

STEPS: Final = (0.15, -0.15, 0.4, -0.4, 1.0)
"""In deviations of the channel it starts from."""
LEAST_GAIN: Final = 1e-3
"""Relative. Less is what one day has by chance."""


@dataclass(frozen=True, slots=True)
class Fusion:
    """Weights by channel; a channel that is not named has none.

    >>> fused = Fusion({"taste": 1.0, "hot": 0.5})
    >>> fused.scores({"taste": np.array([0.0, 2.0]), "hot": np.array([3.0, 1.0])}).tolist()
    [-0.5, 0.5]
    """

    weights: Mapping[str, float]

    def scores(self, channels: Mapping[str, NDArray[np.floating]]) -> Table:
        """One score per content from its channels, each (n,) or (users, n); KeyError where one is missing."""
        parts = [weight * standardised(channels[name]) for name, weight in self.weights.items() if weight]
        if not parts:
            raise ValueError(f"a fusion needs a channel with a weight, got {dict(self.weights)}")
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return np.asarray(total, np.float32)


def standardised(values: NDArray[np.floating]) -> Table:
    """Less the mean, over the deviation, along the last axis; zeros where all are alike."""
    wide = np.asarray(values, np.float32)
    centred = wide - wide.mean(axis=-1, keepdims=True)
    deviation = centred.std(axis=-1, keepdims=True)
    return np.asarray(np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0.0))


def fit(
    personal: Mapping[str, Table],
    shared: Mapping[str, NDArray[np.floating]],
    measure: Measure,
    *,
    rounds: int = 3,
    progress: Callable[[int, int], None] | None = None,
) -> Fusion:
    """Find weights by climbing on a held-out day.

    Parameters
    ----------
    personal : (users, n) per channel, at least one
    shared : (n,) per channel
    measure : how good scores of these users are on that day
    rounds : passes over all channels at most; it stops earlier when a pass changes nothing
    progress : called with (passes done, most there can be)
    """
    if not personal:
        raise ValueError("a fusion starts from a personal channel, and there is none")
    channels = {name: standardised(values) for name, values in {**personal, **shared}.items()}
    start = max(personal, key=lambda name: measure(channels[name]))
    weights = dict.fromkeys(channels, 0.0) | {start: 1.0}
    current, best = channels[start].copy(), measure(channels[start])
    for done in range(rounds):
        before = dict(weights)
        for name in (each for each in channels if each != start):
            for step in STEPS:
                tried = current + np.float32(step) * channels[name]
                value = measure(tried)
                if value > best * (1.0 + LEAST_GAIN):
                    current, best = tried, value
                    weights[name] += step
                    break
        if progress is not None:
            progress(done + 1, rounds)
        if weights == before:
            break
    return Fusion({name: round(weight, 6) for name, weight in weights.items() if weight})
