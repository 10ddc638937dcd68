"""The vectors of the field's own engines, to the tolerance they are stated with.

Sources: GrowthBook's test suite (packages/stats), gbstats, tea-tasting 1.14.0, statsmodels.
"""

import math

import numpy as np
import pytest

from dashboards.stats.trials import multiplicity, power
from dashboards.stats.trials.moments import Moments, Sums, Unreadable, adjusted, mean_of, proportion, ratio_of, theta_of
from dashboards.stats.trials.sequential import half_width, watch
from dashboards.stats.trials.significance import chances, compare, log_lift
from dashboards.stats.trials.split_check import check_split


def sums(total: float, squares: float, n: int) -> Sums:
    return Sums(n, np.array([total]), np.array([[squares]]))


A = mean_of(sums(1396.87, 52377.9767, 3407))
A_3000 = mean_of(sums(1396.87, 52377.9767, 3000))
B = mean_of(sums(2422.7, 134698.29, 3461))


def close(effect, estimate, lower, upper, se, p):
    assert effect.estimate == pytest.approx(estimate, abs=1e-5)
    assert effect.lower == pytest.approx(lower, abs=1e-5)
    assert effect.upper == pytest.approx(upper, abs=1e-5)
    assert effect.se == pytest.approx(se, abs=1e-5)
    assert effect.p_value == pytest.approx(p, abs=1e-5)


def test_e5_1_lift_of_a_mean():
    close(compare(A, B), 0.70732, -0.03526, 1.44989, 0.37879, 0.06191)


def test_e5_2_absolute_difference_of_a_mean():
    close(compare(A, B, relative=False), 0.29, 0.04538, 0.53462, 0.12478, 0.02016)


def test_e5_3_lift_of_a_share():
    close(compare(proportion(14, 28), proportion(16, 30)), 0.06667, -0.47767, 0.61101, 0.2717, 0.80707)


def test_e5_4_sequential_lift():
    close(watch(A_3000, B, tuned_for=1000), 0.50336, -0.55844, 1.56516, 0.33341, 1.0)


def test_e5_5_sequential_lift_of_a_share():
    close(watch(proportion(1396, 3000), proportion(2422, 3461)), 0.50386, 0.40098, 0.60675, 0.03386, 0.0)


def test_e5_6_one_sided():
    close(compare(A_3000, B, side="greater"), 0.50336, -0.04514, math.inf, 0.33341, 0.06558)
    close(compare(A_3000, B, side="greater", relative=False), 0.23438, 0.02079, math.inf, 0.12983, 0.03554)
    close(compare(A_3000, B, side="less"), 0.50336, -math.inf, 1.05186, 0.33341, 0.93442)
    close(compare(A_3000, B, side="less", relative=False), 0.23438, -math.inf, 0.44796, 0.12983, 0.96446)


def test_e5_7_sequential_one_sided():
    found = watch(A_3000, B, side="greater", relative=False)
    assert found.lower == pytest.approx(-0.12657, abs=1e-5)
    assert found.upper == math.inf
    # The reference halves its way to the p-value, and stops once the bound is near zero.
    at_reference = half_width(found.se, 6461, 0.46316, 5000, one_sided=True, scaled_for=0.05)
    assert found.estimate - at_reference == pytest.approx(0.0, abs=5e-5)
    at_ours = half_width(found.se, 6461, found.p_value, 5000, one_sided=True, scaled_for=0.05)
    assert found.estimate - at_ours == pytest.approx(0.0, abs=1e-12)
    assert found.p_value == pytest.approx(0.46316, abs=2e-4)
    lift = watch(A_3000, B, side="greater")
    assert (lift.lower, lift.p_value) == (pytest.approx(-0.42356, abs=1e-5), 0.4999)
    assert watch(A_3000, B, side="less").upper == pytest.approx(1.43029, abs=1e-5)


def test_e5_8_without_variance_there_is_no_result_and_the_reason_is_said():
    with pytest.raises(Unreadable, match="zero or negative variance"):
        mean_of(sums(1396.87, 52377.9767, 2))
    with pytest.raises(Unreadable, match="1 users are too few"):
        mean_of(sums(3.0, 9.0, 1))
    with pytest.raises(Unreadable, match="zero or negative variance"):
        compare(proportion(0, 10), proportion(0, 12), relative=False)
    with pytest.raises(Unreadable, match="control is zero"):
        compare(Moments.unadjusted(10, 0.0, 1.0), Moments.unadjusted(10, 1.0, 1.0))


def four(n, post_m, post_d, pre_m, pre_d, mm, dd, pre_md, post_md, m_d, d_m):
    """Sums of the columns over, under, over before, under before."""
    (sm, qm), (sd, qd), (spm, qpm), (spd, qpd) = post_m, post_d, pre_m, pre_d
    products = [[qm, post_md, mm, m_d], [post_md, qd, d_m, dd], [mm, d_m, qpm, pre_md], [m_d, dd, pre_md, qpd]]
    return Sums(n, np.array([sm, sd, spm, spd]), np.array(products))


RATIO_A = four(
    100, (485.112236689623, 2715.484666118136), (679.9093275844917, 4939.424001640236),
    (192.59138069991536, 460.076026390857), (290.1398399750233, 920.9461385038898), mm=1113.6215759318352,
    dd=2130.9404074446747, pre_md=634.239482353647, post_md=3602.146836776702, m_d=1559.2878434944676,
    d_m=1460.3181079276983,
)  # fmt: skip
RATIO_B = four(
    100, (514.7757826608777, 2994.897482705013), (705.4090874383759, 5291.36604146392),
    (206.94157227402536, 514.2903702246757), (302.54389139107326, 994.4506208125663), mm=1237.0953021125997,
    dd=2292.081739775257, pre_md=698.4173425817908, post_md=3918.1561431600717, m_d=1701.0287270040265,
    d_m=1604.0759503266522,
)  # fmt: skip


def test_e5_9_a_ratio_adjusted_by_the_time_before():
    control, treatment = adjusted([RATIO_A, RATIO_B], "ratio")
    close(compare(control, treatment), -0.0007, -0.00841, 0.00700, 0.00391, 0.85771)
    close(watch(control, treatment), -0.0007, -0.02063, 0.01923, 0.00391, 1.0)


def test_e5_10_chances_under_a_flat_prior():
    effect = compare(proportion(49, 100), proportion(51, 100))
    told = chances(effect)
    assert effect.estimate == pytest.approx(0.04082, abs=1e-5)
    assert told.win == pytest.approx(0.60918, abs=1e-5)
    assert (told.risk_control, told.risk_treatment) == pytest.approx((0.0814, 0.04058), abs=1e-5)
    # The credible interval is normal, without degrees of freedom.
    half = 1.959963984540054 * effect.se
    assert (effect.estimate - half, effect.estimate + half) == pytest.approx((-0.24779, 0.32943), abs=1e-5)


CLICKS_A, SHOWN_A = np.array([1, 0, 2, 1, 3, 0, 1, 2]), np.array([10, 5, 12, 8, 20, 4, 9, 15])
CLICKS_B, SHOWN_B = np.array([2, 1, 2, 3, 1, 4, 0, 2]), np.array([11, 6, 9, 16, 7, 19, 5, 12])


def test_e6_ratio_by_the_delta_method():
    told = ratio_of(Sums.of(CLICKS_A, SHOWN_A))
    assert told.value == pytest.approx(0.1204819, abs=5e-8)
    assert math.sqrt(told.variance / told.n) == pytest.approx(0.0149007, abs=5e-8)
    naive = math.sqrt(told.value * (1 - told.value) / SHOWN_A.sum())
    assert naive == pytest.approx(0.0357309, abs=5e-8)


def test_e6_difference_of_ratios_as_tea_tasting_gives_it():
    a, b = ratio_of(Sums.of(CLICKS_A, SHOWN_A)), ratio_of(Sums.of(CLICKS_B, SHOWN_B))
    absolute, lift = compare(a, b, relative=False), log_lift(a, b)
    assert b.value == pytest.approx(0.1764706, abs=5e-8)
    assert (absolute.estimate, absolute.lower, absolute.upper) == pytest.approx(
        (0.0559887, 0.0102264, 0.1017509), abs=1e-7
    )
    assert absolute.p_value == pytest.approx(0.0200183, abs=1e-7)
    assert (lift.estimate, lift.lower, lift.upper) == pytest.approx((0.4647059, 0.0558187, 1.0319429), abs=5e-8)


def test_e7_cuped():
    y, x = np.array([1, 3, 2, 5, 4, 6, 8, 7]), np.array([1, 2, 2, 4, 3, 5, 7, 6])
    both = Sums.of(y, x)
    assert mean_of(both).variance == pytest.approx(6.0, abs=1e-12)
    assert theta_of([both], "mean") == pytest.approx(1.1428571, abs=5e-8)
    (told,) = adjusted([both], "mean")
    assert told.variance == pytest.approx(0.122449, abs=5e-7)
    assert 1 - told.variance / 6 == pytest.approx(0.9795918, abs=5e-8)


@pytest.mark.parametrize(
    ("counts", "weights", "p"),
    [
        ([1000, 1100], [0.5, 0.5], 0.0290963),
        ([5000, 5000], [0.5, 0.5], 1.0),
        ([310, 98, 92], [0.6, 0.2, 0.2], 0.6025006),
        ([8500, 1700], [0.85, 0.15], 2.428467e-06),
        ([821588, 815482], [0.5, 0.5], 1.821793e-06),
    ],
)
def test_e4_sample_ratio_mismatch(counts, weights, p):
    told = check_split(counts, weights)
    assert told.p_value == pytest.approx(p, abs=5e-8, rel=1e-6)
    assert told.blocks == (p < 0.001)


def test_e9_multiplicity():
    few = [0.01, 0.02, 0.03, 0.04, 0.05]
    assert multiplicity.holm(few) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert multiplicity.benjamini_hochberg(few) == pytest.approx([0.05] * 5)
    assert multiplicity.bonferroni(few) == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25])
    many = [.001, .008, .039, .041, .042, .06, .074, .205, .212, .216, .222, .251, .269, .275, .34, .341, .384, .569,
            .594, .696, .762, .94, .942, .975, .986]  # fmt: skip
    found = multiplicity.benjamini_hochberg(many)
    assert sum(p <= 0.05 for p in found) == 1
    assert found[:5] == pytest.approx([0.025, 0.1, 0.21, 0.21, 0.21])
    assert multiplicity.holm(many)[:3] == pytest.approx([0.025, 0.192, 0.897])
    # In whatever order they come.
    shuffled = np.random.default_rng(0).permutation(25)
    again = multiplicity.holm([many[place] for place in shuffled])
    assert again == pytest.approx([multiplicity.holm(many)[place] for place in shuffled])


def test_e10_power():
    assert power.users_per_arm(0.2) == pytest.approx(393.406, abs=5e-4)
    assert power.users_per_arm(0.02) == pytest.approx(39_245.26, abs=5e-3)
    assert power.users_for_shares(0.1, 0.11, arcsine=True) == pytest.approx(14_744.1, abs=0.05)
    assert power.users_for_shares(0.1, 0.11) == pytest.approx(14_748.05, abs=0.05)
    assert power.detectable(10_000, math.sqrt(0.1 * 0.9)) == pytest.approx(0.011886, abs=5e-7)
