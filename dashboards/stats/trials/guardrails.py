"""Whether an arm does harm: what must not get worse, judged at every look.

breached   it is certain that the metric is worse by more than the margin
safe       it is certain that it is not
open       neither
"""

from dataclasses import dataclass
from enum import StrEnum

from dashboards.stats.trials.moments import Moments
from dashboards.stats.trials.sequential import TUNED_FOR, watch
from dashboards.stats.trials.significance import ALPHA, Effect


class Harm(StrEnum):
    """What is known of it."""

    BREACHED = "breached"
    SAFE = "safe"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`effect` holds the interval; `harm` what follows from it."""

    effect: Effect
    harm: Harm


def judge(
    control: Moments,
    treatment: Moments,
    *,
    more_is_worse: bool,
    margin: float = 0.0,
    comparisons: int = 1,
    alpha: float = ALPHA,
    tuned_for: float = TUNED_FOR,
) -> Verdict:
    """One guardrail of one arm. Alpha is shared by all comparisons, so that all together stop a harmless experiment
    with at most that chance, however often somebody looks; raises as `sequential.watch` does.

    Parameters
    ----------
    margin : relative change for the worse that is put up with, at least 0
    """
    # Both bounds of an interval of 1 - 2 alpha: each is a one-sided bound of its own.
    effect = watch(control, treatment, alpha=2.0 * alpha / max(comparisons, 1), tuned_for=tuned_for)
    least, most = (effect.lower, effect.upper) if more_is_worse else (-effect.upper, -effect.lower)
    if least > margin:
        return Verdict(effect, Harm.BREACHED)
    return Verdict(effect, Harm.SAFE if most < margin else Harm.OPEN)
