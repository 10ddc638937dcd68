"""The difference of two arms for whoever looks whenever they like, and stops when they have seen enough.

An asymptotic confidence sequence (Waudby-Smith and others 2021): with chance 1 - alpha the truth lies in *every* one of
the intervals, so the first that leaves out zero may be believed.

    half width = se sqrt(2 (N rho^2 + 1) / (N rho^2) ln(sqrt(N rho^2 + 1) / alpha))
    rho        = sqrt((-2 ln alpha + ln(1 - 2 ln alpha)) / N*)

On one side alpha counts twice in rho, and the logarithm is ln(1 + sqrt(N rho^2 + 1) / (2 alpha)).

N* says at how many users it is tightest. It is fixed with the experiment: an interval tuned to what was seen is none.
"""

import math
from typing import Final

from dashboards.stats.trials.distributions import norm_ppf
from dashboards.stats.trials.moments import Moments
from dashboards.stats.trials.significance import ALPHA, Difference, Effect, Side, difference

TUNED_FOR: Final = 5_000
_MOST_ONE_SIDED: Final = 0.4999


def rho_of(alpha: float, tuned_for: float) -> float:
    """The mixture's scale."""
    told = -2.0 * math.log(alpha)
    return math.sqrt((told + math.log(told + 1.0)) / tuned_for)


def half_width(
    se: float, n: float, alpha: float, tuned_for: float, *, one_sided: bool = False, scaled_for: float | None = None
) -> float:
    """Half of an interval, or the distance of a one-sided bound, for a standard error and users of both arms.

    `scaled_for` is the alpha that sets the scale, where it is not the same.
    """
    grown = _grown(n, scaled_for or alpha, tuned_for, one_sided=one_sided)
    root = math.sqrt(grown)
    term = math.log(1.0 + root / (2.0 * alpha)) if one_sided else math.log(root / alpha)
    return se * math.sqrt(2.0 * grown / (grown - 1.0) * term)


def _grown(n: float, alpha: float, tuned_for: float, *, one_sided: bool) -> float:
    """N rho^2 + 1."""
    return n * rho_of(2.0 * alpha if one_sided else alpha, tuned_for) ** 2 + 1.0


def watch(
    control: Moments,
    treatment: Moments,
    *,
    relative: bool = True,
    alpha: float = ALPHA,
    tuned_for: float = TUNED_FOR,
    side: Side = "two-sided",
) -> Effect:
    """The effect with an interval and a p-value that hold at every look; raises as `difference` does."""
    found = difference(control, treatment, relative=relative)
    half = half_width(found.se, found.n, alpha, tuned_for, one_sided=side != "two-sided")
    lower = -math.inf if side == "less" else found.estimate - half
    upper = math.inf if side == "greater" else found.estimate + half
    p = _p(found, alpha, tuned_for, side)
    return Effect(found.estimate, found.se, lower, upper, p, relative)


def _p(found: Difference, alpha: float, tuned_for: float, side: Side) -> float:
    """The least alpha whose interval, with the scale as it is, leaves out zero: one over the mixture's e-value.

    On one side at most a half, where the bound says nothing.
    """
    grown = _grown(found.n, alpha, tuned_for, one_sided=side != "two-sided")
    z = found.estimate / found.se
    told = (grown - 1.0) * z**2 / (2.0 * grown)
    if side == "two-sided":
        return min(math.exp(0.5 * math.log(grown) - told), 1.0)
    towards = z if side == "greater" else -z
    if towards <= 0.0 or told == 0.0:
        return _MOST_ONE_SIDED
    # exp(-told) / (1 - exp(-told)) is 1 / (exp(told) - 1) without its overflow.
    return min(0.5 * math.sqrt(grown) * math.exp(-told) / -math.expm1(-told), _MOST_ONE_SIDED)


def price(n: float, *, alpha: float = ALPHA, tuned_for: float = TUNED_FOR) -> float:
    """How many times wider than an interval for one look, at so many users of both arms."""
    return half_width(1.0, n, alpha, tuned_for) / norm_ppf(1.0 - alpha / 2.0)
