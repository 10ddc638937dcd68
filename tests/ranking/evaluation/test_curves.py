"""Calibration and lift against arithmetic written out."""

import numpy as np
import pytest

from ranking.evaluation.curves import calibration_curve, lift_curve

LABELS = np.array([0, 0, 1, 0, 1, 1], np.int8)
CHANCES = np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.8])


def test_bins_hold_equally_many_and_say_what_was_expected_and_what_came():
    low, high = calibration_curve(LABELS, CHANCES, bins=2)
    assert (low.examples, high.examples) == (3, 3)
    assert low.expected == pytest.approx((0.1 + 0.2 + 0.3) / 3)
    assert (low.observed, high.observed) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_order_of_the_examples_does_not_matter():
    mixed = np.array([3, 0, 5, 2, 1, 4])
    assert calibration_curve(LABELS[mixed], CHANCES[mixed], bins=3) == calibration_curve(LABELS, CHANCES, bins=3)
    assert lift_curve(LABELS[mixed], CHANCES[mixed]) == lift_curve(LABELS, CHANCES)


def test_lift_is_how_much_denser_the_positives_are_on_top():
    first, second, third = lift_curve(LABELS, CHANCES, steps=3)
    assert (first.captured, first.lift) == (pytest.approx(2 / 3), pytest.approx(2 / 3 / (2 / 6)))
    # The best four hold all three positives.
    assert (second.captured, second.lift) == (1.0, pytest.approx(1.0 / (4 / 6)))
    assert (third.top_pct, third.captured, third.lift) == (100.0, 1.0, 1.0)


def test_without_examples_or_positives_there_is_no_curve():
    assert calibration_curve(LABELS[:0], CHANCES[:0]) == []
    assert lift_curve(np.zeros(4, np.int8), np.arange(4.0)) == []
    assert len(calibration_curve(LABELS, CHANCES, bins=50)) == 6
