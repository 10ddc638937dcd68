"""Calibration by two numbers per head: p = sigmoid(slope * logit + intercept) (Platt, 1999).

A straight line in the logit keeps the order of a head, so its AUC cannot change, and two numbers can be learned where a
rare head has a few dozen positives; isotonic steps need thousands and tie what lies between them.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STEPS = 30
_RIDGE = 1e-6
"""Keeps the Hessian invertible where all logits are equal."""


def sigmoid(logit: Floats) -> Floats:
    """1 / (1 + exp(-logit)), without overflow.

    >>> sigmoid(np.array([0.0, 1000.0, -1000.0])).tolist()
    [0.5, 1.0, 0.0]
    """
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logit)))


def fit_line(logit: Floats, label: NDArray[np.float32]) -> tuple[float, float]:
    """Slope and intercept of least log loss, by Newton's method from (1, 0).

    Targets are pulled in from 0 and 1 as Platt does, (positives + 1) / (positives + 2) and 1 / (negatives + 2), so that
    separable examples give a finite line.

    Parameters
    ----------
    logit, label : arrays (n,), labels 0 or 1, both present

    >>> logit = np.array([-2.0, -1.0, 1.0, 2.0] * 50)
    >>> slope, intercept = fit_line(2 * logit, np.array([0, 0, 1, 1] * 50, np.float32))
    >>> bool(slope > 0), round(abs(intercept), 6)
    (True, 0.0)
    """
    positives = float(label.sum())
    negatives = len(label) - positives
    if positives == 0 or negatives == 0:
        raise ValueError(f"a line needs both answers, got {positives:.0f} of {len(label)} positive")
    target = np.where(label == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    line = np.array([1.0, 0.0])
    best = _loss(line, logit, target)
    for _ in range(_STEPS):
        chance = sigmoid(line[0] * logit + line[1])
        off, weight = chance - target, np.maximum(chance * (1.0 - chance), 1e-9)
        gradient = np.array([off @ logit, off.sum()])
        hessian = np.array([[weight @ logit**2, weight @ logit], [weight @ logit, weight.sum()]])
        step = np.linalg.solve(hessian + _RIDGE * np.eye(2), gradient)
        # Newton overshoots where the curve is flat; halving until it helps keeps the descent.
        for _ in range(_STEPS):
            loss = _loss(line - step, logit, target)
            if loss <= best:
                break
            step = step / 2
        line, gained = line - step, best - loss
        best = loss
        if gained < 1e-9 * len(label):
            break
    return float(line[0]), float(line[1])


def fit_weights(logits: Floats, label: NDArray[np.float32]) -> Floats:
    """Weights >= 0 of several logits with which their sum, and an intercept, has the least log loss; float64 (k,).

    Newton's method on all of them, which is the answer where nothing comes out negative; else on every choice of fewer,
    of those without a negative weight the best: the loss is convex, so the optimum is one of them.

    Parameters
    ----------
    logits : (n, k)
    label : (n,), 0 or 1, both present

    >>> good = np.array([-2.0, -1.0, 1.0, 2.0] * 50)
    >>> weights = fit_weights(np.stack([good, -(good**3)], axis=1), np.array([0, 1, 0, 1] * 50, np.float32))
    >>> bool(weights[0] > 0), float(weights[1])
    (True, 0.0)
    """
    weights, best, size = np.zeros(logits.shape[1]), np.inf, logits.shape[1]
    for kept in itertools.chain.from_iterable(itertools.combinations(range(size), k) for k in range(size, 0, -1)):
        found, loss = _newton(logits[:, kept], label)
        if (found > 0.0).all() and loss < best:
            best, weights = loss, np.zeros(size)
            weights[list(kept)] = found
            if len(kept) == size:
                break
    return weights


def _newton(logits: Floats, label: NDArray[np.float32]) -> tuple[Floats, float]:
    """Weights of logistic regression with an intercept, which is left out of what comes back, and the loss."""
    wide = np.column_stack([logits, np.ones(len(logits))])
    line = np.append(np.full(logits.shape[1], 1.0 / logits.shape[1]), 0.0)
    best = _many_loss(line, wide, label)
    for _ in range(_STEPS):
        chance = sigmoid(wide @ line)
        weight = np.maximum(chance * (1.0 - chance), 1e-9)
        hessian = (wide * weight[:, None]).T @ wide + _RIDGE * np.eye(len(line))
        step = np.linalg.solve(hessian, wide.T @ (chance - label))
        for _ in range(_STEPS):
            loss = _many_loss(line - step, wide, label)
            if loss <= best:
                break
            step = step / 2
        line, gained = line - step, best - loss
        best = loss
        if gained < 1e-9 * len(label):
            break
    return np.asarray(line[:-1]), float(best)


def shift_to(logit: Floats, mean: float) -> float:
    """The intercept with which sigmoid(logit + intercept) has this mean, by bisection.

    >>> round(shift_to(np.zeros(3), 0.25), 4)  # log(1 / 3)
    -1.0986
    """
    low, high = -50.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        if sigmoid(logit + middle).mean() < mean:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _many_loss(line: Floats, wide: Floats, label: NDArray[np.float32]) -> float:
    z = wide @ line
    return float((np.logaddexp(0.0, z) - label * z).sum())


def _loss(line: NDArray[np.float64], logit: Floats, target: Floats) -> float:
    z = line[0] * logit + line[1]
    return float((np.logaddexp(0.0, z) - target * z).sum())
