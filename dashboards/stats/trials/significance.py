"""The difference of two arms at one moment that was chosen before: Welch's t with Satterthwaite's degrees of freedom.

Who looks again and again needs `sequential`: twenty looks at this interval find an effect in a quarter of all
experiments without one.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

from dashboards.stats.trials.distributions import norm_cdf, t_ppf, t_sf
from dashboards.stats.trials.moments import NO_VARIANCE, Moments, Unreadable

Side = Literal["two-sided", "greater", "less"]
ALPHA: Final = 0.05


@dataclass(frozen=True, slots=True)
class Effect:
    """Treatment against control: `estimate` in `lower` to `upper`. Relative: 0.1 is ten per cent more than control."""

    estimate: float
    se: float
    lower: float
    upper: float
    p_value: float
    relative: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """An estimate with its standard error, and the degrees of freedom of the absolute difference."""

    estimate: float
    se: float
    df: float
    n: int


def difference(control: Moments, treatment: Moments, *, relative: bool) -> Difference:
    """The absolute difference d, or the relative one with the delta method's error. With m the plain value of control:

    var(d / m) = var_T / (n_T m^2) + (var_C / m^2 + 2 d cov_C / m^3 + d^2 plain_C / m^4) / n_C

    Without adjustment the latter is var_C m_T^2 / (n_C m^4).

    Raises
    ------
    Unreadable : without variance, or for a lift over a control of zero
    """
    of_control, of_treatment = control.variance / control.n, treatment.variance / treatment.n
    variance = of_control + of_treatment
    if not variance > 0.0:
        raise Unreadable(NO_VARIANCE)
    parts = of_control**2 / max(control.n - 1, 1) + of_treatment**2 / max(treatment.n - 1, 1)
    df, n = variance**2 / parts, control.n + treatment.n
    if not relative:
        return Difference(treatment.value - control.value, math.sqrt(variance), df, n)
    base = control.plain
    if base == 0.0:
        raise Unreadable("control is zero, so there is nothing to be more than")
    lift = (treatment.value - control.value) / base
    of_base = control.variance + 2.0 * lift * control.covariance + lift**2 * control.plain_variance
    return Difference(lift, math.sqrt((of_treatment + of_base / control.n) / base**2), df, n)


def compare(
    control: Moments, treatment: Moments, *, relative: bool = True, alpha: float = ALPHA, side: Side = "two-sided"
) -> Effect:
    """The effect with its interval of 1 - alpha, and the p-value of no effect; raises as `difference` does."""
    found = difference(control, treatment, relative=relative)
    t = found.estimate / found.se
    if side == "two-sided":
        half = t_ppf(1.0 - alpha / 2.0, found.df) * found.se
        lower, upper, p = found.estimate - half, found.estimate + half, 2.0 * t_sf(abs(t), found.df)
    else:
        half = t_ppf(1.0 - alpha, found.df) * found.se
        lower, upper = (
            (found.estimate - half, math.inf) if side == "greater" else (-math.inf, found.estimate + half)
        )  # fmt: skip
        p = t_sf(t if side == "greater" else -t, found.df)
    return Effect(found.estimate, found.se, lower, upper, p, relative)


def log_lift(control: Moments, treatment: Moments, *, alpha: float = ALPHA) -> Effect:
    """The lift with an interval that is symmetric in its logarithm: right for small arms, and never below -100 %.

    Raises
    ------
    Unreadable : without variance, or where a value is not above zero
    """
    if control.plain <= 0.0 or treatment.plain <= 0.0:
        raise Unreadable("a ratio of arms needs both above zero")
    plain = difference(control, treatment, relative=False)
    ratio = treatment.plain / control.plain
    logs = [Moments.unadjusted(each.n, math.log(each.plain), each.plain_variance / each.plain**2)
            for each in (control, treatment)]  # fmt: skip
    of_logs = difference(*logs, relative=False)
    se, half = of_logs.se, t_ppf(1.0 - alpha / 2.0, of_logs.df) * of_logs.se
    p = 2.0 * t_sf(abs(plain.estimate / plain.se), plain.df)
    return Effect(ratio - 1.0, se * ratio, ratio * math.exp(-half) - 1.0, ratio * math.exp(half) - 1.0, p, True)


@dataclass(frozen=True, slots=True)
class Chances:
    """What a flat prior makes of an effect: chance that treatment is better, and what either choice may cost.

    `risk_control` is the expected loss of staying with control, `risk_treatment` that of going with treatment.
    """

    win: float
    risk_control: float
    risk_treatment: float


def chances(effect: Effect) -> Chances:
    """Of an effect whose posterior is normal around the estimate; more counts as better."""
    z = effect.estimate / effect.se
    gain = effect.estimate * norm_cdf(z) + effect.se * math.exp(-z * z / 2.0) / math.sqrt(2.0 * math.pi)
    return Chances(norm_cdf(z), gain, gain - effect.estimate)
