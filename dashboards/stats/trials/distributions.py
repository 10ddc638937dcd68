"""Quantiles and tails of the distributions that trials need, by `scipy.special`: `scipy.stats` and `scipy.optimize` do
the same by the same functions, and would be a sixth of what a web worker holds."""

from collections.abc import Callable


def norm_ppf(share: float) -> float:
    """Quantile of the standard normal distribution."""
    from scipy import special  # noqa: PLC0415  few ask, and every web worker would hold it

    return float(special.ndtri(share))


def norm_cdf(z: float) -> float:
    """Share of the standard normal distribution below z."""
    from scipy import special  # noqa: PLC0415  as above

    return float(special.ndtr(z))


def t_ppf(share: float, df: float) -> float:
    """Quantile of Student's t."""
    from scipy import special  # noqa: PLC0415  as above

    return float(special.stdtrit(df, share))


def t_sf(t: float, df: float) -> float:
    """Share of Student's t above t."""
    from scipy import special  # noqa: PLC0415  as above

    return float(special.stdtr(df, -t))


def nct_cdf(t: float, df: float, shift: float) -> float:
    """Share of the noncentral t below t."""
    from scipy import special  # noqa: PLC0415  as above

    return float(special.nctdtr(df, shift, t))


def chi_square_sf(statistic: float, df: int) -> float:
    """Share of the chi-square distribution above a statistic."""
    from scipy import special  # noqa: PLC0415  as above

    return float(special.chdtrc(df, statistic))


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that changes its sign between two places is zero, by bisection down to neighbouring floats."""
    rising = function(low) < 0.0
    while low < (middle := (low + high) / 2.0) < high:
        low, high = (middle, high) if (function(middle) < 0.0) == rising else (low, middle)
    return (low + high) / 2.0
