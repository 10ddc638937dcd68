"""Against `scipy.stats` and `scipy.optimize`, which say the same and weigh more."""

import numpy as np
import pytest
from scipy import optimize, stats

from dashboards.stats.trials.distributions import chi_square_sf, nct_cdf, norm_cdf, norm_ppf, root, t_ppf, t_sf
from dashboards.stats.trials.multiplicity import benjamini_hochberg


@pytest.mark.parametrize("df", [1.5, 8, 73.2, 1e6])
def test_student(df):
    for share in (1e-6, 0.025, 0.5, 0.975):
        assert t_ppf(share, df) == pytest.approx(stats.t.ppf(share, df), rel=1e-9, abs=1e-12)
    for t in (-3.0, 0.0, 1.96, 9.0):
        assert t_sf(t, df) == pytest.approx(stats.t.sf(t, df), rel=1e-9)


@pytest.mark.parametrize("z", [-6.0, -1.96, 0.0, 0.3, 5.0])
def test_normal(z):
    assert norm_cdf(z) == pytest.approx(stats.norm.cdf(z), rel=1e-12)
    assert norm_ppf(norm_cdf(z)) == pytest.approx(z, abs=1e-9)


def test_the_others():
    assert nct_cdf(1.96, 500.0, 2.8) == pytest.approx(stats.nct.cdf(1.96, 500.0, 2.8), rel=1e-7)
    assert chi_square_sf(10.83, 1) == pytest.approx(stats.chi2.sf(10.83, 1), rel=1e-12)


def test_false_discoveries():
    for seed in range(20):
        p_values = np.round(np.random.default_rng(seed).uniform(size=1 + seed) ** 2, 2).tolist()
        wanted = stats.false_discovery_control(p_values, method="bh")
        assert benjamini_hochberg(p_values) == pytest.approx(wanted.tolist(), rel=1e-12)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_root(sign):
    def function(x):
        return sign * (np.exp(x) - 7.0)

    assert root(function, -3.0, 9.0) == pytest.approx(optimize.brentq(function, -3.0, 9.0))
