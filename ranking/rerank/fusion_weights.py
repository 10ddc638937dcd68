"""Fitting the weights of the hybrid: how much each signal tells beside the model, on a held-out day.

The source design blends two scores with one alpha that somebody chose. Here every signal's weight is multiplied by a
factor of its own, all found together as those that best explain which held-out exposures became long views:

    P(long view) = sigmoid(a + g (w_model z(value) + sum_i f_i w_i signal_i)),   1/2 <= f_i <= 2

`g` and `a` only bring scores and chances to one scale and are thrown away. Factors stay within two because the log is
of pages that these very signals chose: what they could still tell of what was never shown, it does not say, and a
signal that is switched off leaves no evidence by which it could come back.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ranking.rerank.hybrid import MOST_FACTOR, FusionWeights

_LOG_MOST: Final = float(np.log(MOST_FACTOR))

Floats = NDArray[np.float64]


def fit_factors(
    value: Floats, signals: Mapping[str, Floats], label: NDArray[np.int8], *, base: FusionWeights
) -> dict[str, float]:
    """Factors on the weights of the signals, by name.

    Parameters
    ----------
    value : float64 array (n,), the model's value, standardised
    signals : name of a weight to float64 array (n,), before any weight
    label : int8 array (n,), whether it was a long view; both answers must be there
    base : the weights that the factors multiply

    Raises
    ------
    ValueError : without examples of both answers
    """
    if not 0 < label.sum() < len(label):
        raise ValueError(f"factors need both answers, got {int(label.sum())} of {len(label)} positive")
    names = list(signals)
    weighed = np.stack([getattr(base, name) * signals[name] for name in names], axis=1)
    fixed = base.model * value

    def loss(parameters: Floats) -> tuple[float, Floats]:
        shift, scale, factor = parameters[0], np.exp(parameters[1]), np.exp(parameters[2:])
        fused = fixed + weighed @ factor
        logit = shift + scale * fused
        off = 0.5 * (1.0 + np.tanh(0.5 * logit)) - label
        # Normal priors around 1: what the examples say nothing of stays as it is.
        prior, loose = parameters[2:] / _LOG_MOST, parameters[1]
        total = (np.logaddexp(0.0, logit) - label * logit).sum() + 0.5 * (prior**2).sum() + 0.5 * loose**2
        slope = np.concatenate(
            [[off.sum(), scale * (off @ fused) + loose], scale * factor * (off @ weighed) + prior / _LOG_MOST]
        )
        return float(total), slope

    bounds = [(None, None), (-10.0, 10.0), *[(-_LOG_MOST, _LOG_MOST)] * len(names)]
    found = minimize(loss, np.zeros(2 + len(names)), jac=True, bounds=bounds, method="L-BFGS-B")
    return {name: float(factor) for name, factor in zip(names, np.exp(found.x[2:]), strict=True)}


def fused(value: Floats, signals: Mapping[str, Floats], weights: FusionWeights) -> Floats:
    """The hybrid score (n,) of standardised values and signals."""
    total = weights.model * value
    for name, signal in signals.items():
        total = total + getattr(weights, name) * signal
    return np.asarray(total)
