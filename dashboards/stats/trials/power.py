"""How many users an experiment needs, what it can find with those it has, and for how many days it has to run."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from dashboards.stats.trials.distributions import nct_cdf, norm_ppf, root, t_ppf
from dashboards.stats.trials.sequential import TUNED_FOR, half_width
from dashboards.stats.trials.significance import ALPHA

POWER = 0.8
_MOST_USERS = 1e12


def power_of(effect_size: float, n: float, *, alpha: float = ALPHA) -> float:
    """Chance that a two-sided t test of two arms of n users finds a difference of so many standard deviations."""
    df, shift = 2.0 * n - 2.0, abs(effect_size) * math.sqrt(n / 2.0)
    critical = t_ppf(1.0 - alpha / 2.0, df)
    return 1.0 - nct_cdf(critical, df, shift) + nct_cdf(-critical, df, shift)


def users_per_arm(effect_size: float, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """Users of one of two arms for a difference of so many standard deviations, at one look.

    >>> round(users_per_arm(0.2), 3)
    393.406
    """
    # The normal answer is close, and the noncentral t is not defined everywhere around it.
    near = 2.0 * ((_z(1.0 - alpha / 2.0) + _z(power)) / effect_size) ** 2
    return _root(lambda n: power_of(effect_size, n, alpha=alpha) - power, max(0.5 * near, 1.5), 2.0 * near + 10.0)


def users_for_shares(
    base: float, other: float, *, alpha: float = ALPHA, power: float = POWER, arcsine: bool = False
) -> float:
    """Users of one of two arms to tell two shares apart, by the unpooled z test or by the arcsine transform."""
    z = _z(1.0 - alpha / 2.0) + _z(power)
    if arcsine:
        size = 2.0 * math.asin(math.sqrt(other)) - 2.0 * math.asin(math.sqrt(base))
        return 2.0 * (z / size) ** 2
    return z**2 * (base * (1.0 - base) + other * (1.0 - other)) / (other - base) ** 2


def detectable(n: float, sd: float, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """The least absolute difference that two arms of n users find at one look, for a standard deviation per user.

    >>> round(detectable(10_000, 0.3), 6)
    0.011886
    """
    return (_z(1.0 - alpha / 2.0) + _z(power)) * sd * math.sqrt(2.0 / n)


def detectable_any_time(
    n: float, sd: float, *, alpha: float = ALPHA, power: float = POWER, tuned_for: float = TUNED_FOR
) -> float:
    """The same for who looks at every moment up to then: the interval is wider, the noise the same.

    Looking earlier only adds chances, so the power is at least what was asked for.
    """
    se = sd * math.sqrt(2.0 / n)
    return half_width(se, 2.0 * n, alpha, tuned_for) + _z(power) * se


def users_any_time(
    difference: float, sd: float, *, alpha: float = ALPHA, power: float = POWER, tuned_for: float = TUNED_FOR
) -> float:
    """Users of one of two arms for an absolute difference, when every look counts."""

    def short(n: float) -> float:
        return detectable_any_time(n, sd, alpha=alpha, power=power, tuned_for=tuned_for) - abs(difference)

    return _root(short, 2.0, _MOST_USERS)


@dataclass(frozen=True, slots=True)
class Plan:
    """What an experiment needs: users per arm and in all arms, and days from its start at so many new ones a day."""

    per_arm: int
    users: int
    days: int | None
    one_look_per_arm: int


def plan(
    mean: float,
    sd: float,
    lift: float,
    *,
    arms: int,
    daily_users: float,
    coverage: float = 1.0,
    alpha: float = ALPHA,
    power: float = POWER,
    tuned_for: float = TUNED_FOR,
) -> Plan:
    """Users and days to find a relative lift of a mean over every treatment arm, each against control.

    Parameters
    ----------
    daily_users : users who come for the first time to an experiment that covers everybody, per day
    alpha : of the whole experiment; it is shared by the comparisons
    """
    if mean == 0.0 or sd <= 0.0 or lift == 0.0:
        raise ValueError(f"a plan needs a mean, a spread and a lift that are not 0; got {mean}, {sd}, {lift}")
    each = alpha / max(arms - 1, 1)
    wanted = abs(mean * lift)
    per_arm = math.ceil(users_any_time(wanted, sd, alpha=each, power=power, tuned_for=tuned_for))
    once = math.ceil(users_per_arm(wanted / sd, alpha=each, power=power))
    daily = daily_users * coverage
    return Plan(per_arm, per_arm * arms, math.ceil(per_arm * arms / daily) if daily > 0.0 else None, once)


def days_left(needed: int, exposed: int, daily: float) -> int | None:
    """Days until an experiment has its users, at so many new ones a day; None where none come.

    >>> days_left(1000, 400, 100.0), days_left(1000, 1000, 0.0), days_left(1000, 400, 0.0)
    (6, 0, None)
    """
    if exposed >= needed:
        return 0
    return math.ceil((needed - exposed) / daily) if daily > 0.0 else None


def _z(share: float) -> float:
    return norm_ppf(share)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return root(function, low, high)
