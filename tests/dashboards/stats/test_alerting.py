"""Conditions of alerts: quiet years stay quiet, planted falls are found, and values at a bound do not flap."""

import numpy as np
import pytest

from dashboards.stats.alerting import LEARNING_DAYS, MOST_ERRORS, Kind, State, Verdict, advance, judge

WEEKLY = 1000 * np.array([1.0, 0.95, 0.96, 1.0, 1.1, 1.3, 1.25])
YEAR = 364


def quiet(seed, *, days=YEAR + LEARNING_DAYS, noise=0.03):
    """Daily users with a week in them, slow growth and three percent of noise."""
    day = np.arange(days)
    drawn = np.random.default_rng(seed).standard_normal(days)
    return WEEKLY[day % 7] * (1 + 0.0005 * day) * (1 + noise * drawn)


def verdicts(values, kind, bound):
    for day in range(LEARNING_DAYS, len(values)):
        yield judge(kind, values[max(0, day - MOST_ERRORS - 43) : day + 1].tolist(), bound)


@pytest.mark.parametrize("seed", range(5))
def test_a_quiet_year_gives_at_most_two_false_alarms_of_both_rules_together(seed):
    values = quiet(seed)
    alarms = [each.breach for kind, bound in ((Kind.ANOMALY, 4.0), (Kind.WEEKDAY_CHANGE, 25.0))
              for each in verdicts(values, kind, bound)]  # fmt: skip
    assert len(alarms) == 2 * YEAR
    assert None not in alarms
    assert sum(alarms) <= 2


@pytest.mark.parametrize(("kind", "bound"), [(Kind.ANOMALY, 4.0), (Kind.WEEKDAY_CHANGE, 20.0)])
def test_every_fall_by_thirty_percent_is_found(kind, bound):
    found = 0
    for seed in range(50):
        values = quiet(seed, days=150)[: LEARNING_DAYS + 10 + seed]
        values[-1] *= 0.7
        found += bool(judge(kind, values.tolist(), bound).breach)
    assert found == 50


def test_a_young_log_is_learned_from_and_not_judged():
    values = quiet(1).tolist()[: LEARNING_DAYS - 1]
    values[-1] = 0.0
    verdict = judge(Kind.ANOMALY, values, 4.0)
    assert verdict.breach is None
    assert "learning: 55 of 56" in verdict.reason


def test_a_value_between_firing_and_calm_neither_fires_nor_ends():
    assert judge(Kind.ABOVE, [5.1], 5.0).breach is True
    between = judge(Kind.ABOVE, [4.8], 5.0)
    assert (between.breach, between.calm) == (False, False)
    assert advance(State.FIRING, between, breaches=0, needed=1) is State.FIRING
    assert advance(State.OK, between, breaches=0, needed=1) is State.OK
    assert judge(Kind.ABOVE, [4.4], 5.0).calm
    assert judge(Kind.BELOW, [4.9], 5.0).breach is True
    assert (judge(Kind.BELOW, [5.2], 5.0).calm, judge(Kind.BELOW, [5.6], 5.0).calm) == (False, True)


def test_what_cannot_be_judged_is_no_data_and_ends_no_alarm():
    unknown = judge(Kind.ABOVE, [None], 5.0)
    assert unknown.breach is None
    for state in State:
        expected = State.FIRING if state is State.FIRING else State.NO_DATA
        assert advance(state, unknown, breaches=3, needed=1) is expected
    breach, fine = judge(Kind.ABOVE, [6.0], 5.0), judge(Kind.ABOVE, [1.0], 5.0)
    assert advance(State.NO_DATA, breach, breaches=1, needed=2) is State.PENDING
    assert advance(State.NO_DATA, fine, breaches=0, needed=1) is State.OK


def hourly(seed, *, days=YEAR + LEARNING_DAYS):
    """Users by the hour over a quiet year: nights, evenings, weekends, and as much noise as counting people has."""
    rng = np.random.default_rng(seed)
    clock = np.array([4, 2, 1, 1, 1, 2, 5, 9, 12, 13, 13, 14, 16, 15, 14, 15, 17, 20, 24, 28, 30, 26, 17, 9]) * 12.0
    hour = np.arange(days * 24)
    return rng.poisson(clock[hour % 24] * WEEKLY[(hour // 24) % 7] / 1000).astype(float)


@pytest.mark.parametrize("seed", range(2))
def test_a_quiet_year_by_the_hour_fires_at_most_twice(seed):
    values = hourly(seed)
    fired = 0
    for kind, bound, needed, least in ((Kind.WEEKDAY_CHANGE, 50.0, 2, 100.0), (Kind.NO_DATA, 0.0, 2, 0.0)):
        state, breaches = State.OK, 0
        for end in range(LEARNING_DAYS * 24, len(values)):
            verdict = judge(kind, values[end - 169 : end + 1].tolist(), bound, week=168)
            if values[end] < least:
                verdict = Verdict(None, False, None, None, None, "few")
            breaches = breaches + 1 if verdict.breach else (0 if verdict.breach is False else breaches)
            before, state = state, advance(state, verdict, breaches=breaches, needed=needed)
            fired += state is State.FIRING and before is not State.FIRING
    assert fired <= 2


def test_hours_are_compared_with_the_same_hour_of_the_week():
    hourly = np.tile(np.where(np.arange(168) % 24 < 6, 0.0, 100.0), 12)
    assert judge(Kind.WEEKDAY_CHANGE, [*hourly, 0.0], 50.0, week=168).breach is None, "the night is always empty"
    noon = [*hourly[: 168 * 10 + 12], 40.0]
    verdict = judge(Kind.WEEKDAY_CHANGE, noon, 50.0, week=168)
    assert (verdict.breach, verdict.expected) == (True, 100.0)
    assert judge(Kind.NO_DATA, [*hourly, 0.0], 0.0, week=168).breach is None
    assert judge(Kind.NO_DATA, [*hourly[: 168 * 10 + 12], None], 0.0, week=168).breach is True
    assert judge(Kind.ANOMALY, noon, 4.0, week=168).breach is True
    assert "learning" in judge(Kind.ANOMALY, hourly[:500].tolist(), 4.0, week=168).reason


def test_some_days_in_a_row_make_it_fire_and_one_calm_day_ends_it():
    breach, calm = Verdict(True, False, 1.0, None, None, ""), Verdict(False, True, 1.0, None, None, "")
    states, breaches = [State.OK], 0
    for verdict in (breach, calm, breach, breach, breach, calm, calm):
        breaches = breaches + 1 if verdict.breach else 0
        states.append(advance(states[-1], verdict, breaches=breaches, needed=2))
    assert states[1:] == [
        State.PENDING, State.OK, State.PENDING, State.FIRING, State.FIRING, State.RESOLVED, State.OK,
    ]  # fmt: skip


def test_silence_is_an_alarm_only_where_something_used_to_come():
    assert judge(Kind.NO_DATA, [3.0, 2.0, None], 0.0).breach is True
    assert judge(Kind.NO_DATA, [3.0, 2.0, 1.0], 0.0).breach is False
    assert judge(Kind.NO_DATA, [None, 0.0, None], 0.0).breach is None
    assert judge(Kind.WEEKDAY_CHANGE, [1.0] * 7, 20.0).breach is None
