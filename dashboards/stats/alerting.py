"""When a KPI is worth waking somebody: conditions on complete periods, and the life of an alert.

Pure: values in, verdicts out. Only periods that are over are judged; what cannot be judged (too young a log, too small
a sample) is neither good nor bad: a rule then has no data, and one that fires does not end because of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

WEEK: Final = 7
SAME_WEEKDAYS: Final = 6
LEARNING_DAYS: Final = 56
"""An anomaly is judged from eight weeks of values on."""
MOST_ERRORS: Final = 120
Z_FIRES: Final = 4.0
CALM: Final = 0.9
"""What fires beyond a bound ends below this share of it, so that a value at the bound does not flap."""
LEAST_MAD: Final = 0.005
"""A series without any noise still moves by half a percent."""


class Kind(StrEnum):
    """What a rule looks at."""

    ABOVE = "above"
    BELOW = "below"
    WEEKDAY_CHANGE = "weekday_change"
    ANOMALY = "anomaly"
    NO_DATA = "no_data"


class State(StrEnum):
    """Where an alert is in its life."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one period says: `breach` None where it cannot be judged; `calm` means that a firing alert may end."""

    breach: bool | None
    calm: bool
    value: float | None
    expected: float | None
    score: float | None
    reason: str


def judge(kind: Kind, values: Sequence[float | None], bound: float, *, week: int = WEEK) -> Verdict:
    """Judge the last of some consecutive complete periods.

    Parameters
    ----------
    values : oldest first; None where a period has no value
    bound : of ABOVE and BELOW the value; of WEEKDAY_CHANGE the fall against the same day of last week in percent
        (a rise where it is negative); of ANOMALY the robust z from which it fires, in either direction; of NO_DATA
        unused
    week : periods in a week: 7 days, 168 hours
    """
    value = values[-1] if values else None
    if kind is Kind.NO_DATA:
        return _no_data(values, week)
    if value is None:
        return Verdict(None, False, None, None, None, "no value")
    if kind is Kind.ABOVE:
        return Verdict(value > bound, value < CALM * bound, value, bound, None, f"{value:g} against at most {bound:g}")
    if kind is Kind.BELOW:
        calm = value > bound / CALM
        return Verdict(value < bound, calm, value, bound, None, f"{value:g} against at least {bound:g}")
    if kind is Kind.WEEKDAY_CHANGE:
        return _weekday_change(values, value, bound, week)
    return _anomaly(values, value, bound, week)


def _no_data(values: Sequence[float | None], week: int) -> Verdict:
    # Hours of the night are empty every week: what counts is the same hour.
    before = values[-1 - week : -1] if week == WEEK else values[-1 - week : -week]
    if not any(before):
        return Verdict(None, False, None, None, None, "nothing came in the week before either")
    silent = not values[-1]
    return Verdict(silent, not silent, values[-1], None, None, "nothing came" if silent else "something came")


def _weekday_change(values: Sequence[float | None], value: float, bound: float, week: int) -> Verdict:
    then = values[-1 - week] if len(values) > week else None
    if not then:
        return Verdict(None, False, value, None, None, "no value on the same day last week")
    change = 100.0 * (value - then) / then
    fall = -change if bound >= 0 else change
    return Verdict(fall > abs(bound), fall < CALM * abs(bound), value, then, change, f"{change:+.1f} % in a week")


def history(week: int) -> int:
    """How many periods a verdict looks at."""
    return max(MOST_ERRORS, 2 * week) + SAME_WEEKDAYS * week + 1


def errors(values: Sequence[float | None], week: int = WEEK) -> list[float]:
    """Of each period with six same weekdays before it: how far it lies from their median, as a share of it."""
    found = []
    for place in range(SAME_WEEKDAYS * week, len(values)):
        error = _error(values, place, week)
        if error is not None:
            found.append(error)
    return found


def _median_before(values: Sequence[float | None], place: int, week: int) -> float | None:
    known = [value for n in range(1, SAME_WEEKDAYS + 1) if (value := values[place - n * week]) is not None]
    return float(np.median(known)) if len(known) == SAME_WEEKDAYS else None


def _error(values: Sequence[float | None], place: int, week: int) -> float | None:
    value, median = values[place], _median_before(values, place, week)
    return None if value is None or not median else value / median - 1.0


def _anomaly(values: Sequence[float | None], value: float, bound: float, week: int) -> Verdict:
    """The last period against the median of six same weekdays (and hours), scaled by how far others lay from theirs.

    Robust z after Iglewicz and Hoaglin (1993): 0.6745 (e - median) / MAD of the errors.
    """
    learning = LEARNING_DAYS // WEEK * week
    if len(values) < learning:
        unit = "days" if week == WEEK else "hours"
        return Verdict(None, False, value, None, None, f"learning: {len(values)} of {learning} {unit}")
    expected, error = _median_before(values, len(values) - 1, week), _error(values, len(values) - 1, week)
    before = np.array(errors(values[:-1], week)[-max(MOST_ERRORS, 2 * week) :])
    if expected is None or error is None or len(before) < week:
        return Verdict(None, False, value, expected, None, "too many periods without a value")
    middle = float(np.median(before))
    spread = max(float(np.median(np.abs(before - middle))), LEAST_MAD)
    z = 0.6745 * (error - middle) / spread
    usual = expected * (1.0 + middle)
    reason = f"{value:g} where {usual:.4g} is usual on that weekday, z {z:+.1f}"
    return Verdict(abs(z) > bound, abs(z) < CALM * bound, value, usual, z, reason)


def advance(state: State, verdict: Verdict, *, breaches: int, needed: int) -> State:
    """The state after a verdict.

    Parameters
    ----------
    breaches : periods in a row that breached, this one included
    needed : so many make it fire

    Examples
    --------
    >>> breach = Verdict(True, False, 1.0, None, None, "")
    >>> advance(State.OK, breach, breaches=1, needed=2), advance(State.PENDING, breach, breaches=2, needed=2)
    (<State.PENDING: 'pending'>, <State.FIRING: 'firing'>)
    """
    if verdict.breach is None:
        # Unknown is not well; what fires goes on, because nothing says that it is over.
        return State.FIRING if state is State.FIRING else State.NO_DATA
    if verdict.breach:
        if state is State.FIRING or breaches >= needed:
            return State.FIRING
        return State.PENDING
    if state is State.FIRING:
        return State.RESOLVED if verdict.calm else State.FIRING
    return State.OK


def is_number(value: float) -> bool:
    """Whether a bound can be compared with at all."""
    return math.isfinite(value)
