"""What is believed about contents and not yet known, as draws for Thompson sampling.

Two posteriors that add up: one rate per content (Beta, conjugate to watched or not), and one linear layer shared by
all (Gaussian, updated per event). Draws are in standard deviations of the score, so that they can be added to it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.stages import Ids

Floats = NDArray[np.float64]
RANK_SPARE = 1e-10
"""Added to a covariance, as a share of its trace, so that it can be decomposed whatever its rank."""


class Posterior(Protocol):
    """A belief about the worth of contents beyond their score."""

    @property
    def independent(self) -> bool:
        """Whether the draws of different rows have nothing in common."""

    def spread(self, rows: Ids) -> Floats:
        """Standard deviation of the draws for each of n rows: finite float64 array (n,)."""

    def draw(self, rng: np.random.Generator, rows: Ids, count: int) -> Floats:
        """`count` independent draws for each of n rows: finite float64 array (count, n)."""


@dataclass(slots=True)
class BetaPosteriors:
    """Rate of satisfied watches per content: Beta(strength * prior + successes, strength * (1 - prior) + failures).

    Attributes
    ----------
    successes, trials : float64 arrays, one entry per row of the catalogue, 0 <= successes <= trials
    prior : the rate of a content nobody has seen, in (0, 1)
    strength : how many trials the prior is worth
    scale : standard deviations of the score per unit of rate; a new content's draw spreads by scale times the
        prior's own deviation, and a content with a thousand trials hardly moves
    """

    successes: Floats
    trials: Floats
    prior: float
    strength: float = 4.0
    scale: float = 4.0
    independent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0.0 < self.prior < 1.0:
            raise ValueError(f"prior must lie in (0, 1), got {self.prior}")
        if not self.strength > 0.0:
            raise ValueError(f"strength must be positive, got {self.strength}")

    def observe(self, rows: Ids, successes: Floats) -> None:
        """Count one trial per row, a row named twice twice; `successes` in [0, 1]."""
        np.add.at(self.trials, rows, 1.0)
        np.add.at(self.successes, rows, successes)

    def mean(self, rows: Ids) -> Floats:
        """The expected rates, in (0, 1).

        >>> BetaPosteriors(np.array([3.0]), np.array([4.0]), prior=0.5).mean(np.array([0])).tolist()
        [0.625]
        """
        return (self.strength * self.prior + self.successes[rows]) / (self.strength + self.trials[rows])

    def spread(self, rows: Ids) -> Floats:
        """Standard deviation of the draws."""
        mean = self.mean(rows)
        return self.scale * np.sqrt(mean * (1.0 - mean) / (self.strength + self.trials[rows] + 1.0))

    def draw(self, rng: np.random.Generator, rows: Ids, count: int) -> Floats:
        """Deviations of the rate from its mean: the mean is the ranker's business, and would count twice."""
        mean, weight = self.mean(rows), self.strength + self.trials[rows]
        return self.scale * (rng.beta(mean * weight, (1.0 - mean) * weight, size=(count, len(rows))) - mean)


@dataclass(slots=True)
class BayesianLinear:
    """Bayesian linear regression y = w x + noise, w ~ N(0, noise^2 / ridge I), updated one event at a time.

    P, the inverse of (ridge I + X'X), follows each event by the Sherman-Morrison formula in O(dims^2): with
    g = P x / (1 + x' P x), P loses g (P x)' and w gains g (y - w x). Same numbers as solving from scratch; the draws
    are w ~ N(mean, noise^2 P) (Agrawal and Goyal, 2013).
    """

    dims: int
    ridge: float = 1.0
    noise: float = 1.0
    mean: Floats = field(init=False)
    inverse: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.ridge > 0.0 or not self.noise > 0.0:
            raise ValueError(f"ridge and noise must be positive, got {self.ridge} and {self.noise}")
        self.mean = np.zeros(self.dims)
        self.inverse = np.eye(self.dims) / self.ridge

    def observe(self, features: Floats, outcome: float) -> None:
        """Learn from one event: features (dims,), outcome in any unit.

        >>> model = BayesianLinear(1)
        >>> model.observe(np.array([1.0]), 1.0)
        >>> model.mean.tolist(), model.inverse.tolist()
        ([0.5], [[0.5]])
        """
        spread = self.inverse @ features
        gain = spread / (1.0 + features @ spread)
        self.mean = self.mean + gain * (outcome - self.mean @ features)
        self.inverse = self.inverse - np.outer(gain, spread)

    def draw_weights(self, rng: np.random.Generator, count: int) -> Floats:
        """Draws of w: float64 array (count, dims)."""
        # Updates leave rounding of either sign in the off-diagonal; Cholesky reads the lower half only.
        root = np.linalg.cholesky(self.inverse)
        return np.asarray(self.mean + self.noise * rng.standard_normal((count, self.dims)) @ root.T)


@dataclass(frozen=True, slots=True)
class LinearPosterior:
    """`BayesianLinear` over the last layer of a ranker: `features` gives (n, dims) for rows, in this request."""

    model: BayesianLinear
    features: Callable[[Ids], Floats]
    scale: float = 1.0
    independent: ClassVar[bool] = False

    def spread(self, rows: Ids) -> Floats:
        """Standard deviation of the drawn predictions, sqrt(x' P x) times noise and `scale`."""
        features = self.features(rows)
        variance = np.einsum("ij,ij->i", features @ self.model.inverse, features)
        return np.asarray(self.scale * self.model.noise * np.sqrt(np.maximum(variance, 0.0)))

    def draw(self, rng: np.random.Generator, rows: Ids, count: int) -> Floats:
        """Drawn predictions, times `scale`.

        Of few rows they are drawn as such, N(X mean, noise^2 X P X'), which costs less than drawing the weights.
        """
        features = self.features(rows)
        if len(rows) >= self.model.dims:
            return np.asarray(self.scale * self.model.draw_weights(rng, count) @ features.T)
        covariance = features @ self.model.inverse @ features.T
        # Rows that are alike have no rank of their own.
        spare = RANK_SPARE * float(np.trace(covariance)) + np.finfo(np.float64).tiny
        root = np.linalg.cholesky(covariance + spare * np.eye(len(rows)))
        noise = self.model.noise * rng.standard_normal((count, len(rows))) @ root.T
        return np.asarray(self.scale * (features @ self.model.mean + noise))
