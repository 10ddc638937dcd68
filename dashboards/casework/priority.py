"""What a moderator sees first, as a number from 0 to 100 and the parts it is the sum of.

    severe        70 + 30 * points     child safety, self-harm, threats, terrorism: no crowd outranks them
    hidden        40 + 30 * points     what was hidden without a human is judged soon
    all the rest       40 * points

`points` in [0, 1) is a weighted mean of severity, weighted reporters, reach, the score of the automatic check and the
author's strikes, each of which saturates: a thousand reports are not a thousand times as urgent as one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dashboards.casework.policies import POLICIES, SEVERE

SEVERE_FROM, HIDDEN_FROM = 70.0, 40.0
WEIGHTS: Final[Mapping[str, float]] = {
    "severity": 0.4, "reporters": 0.25, "reach": 0.15, "model": 0.1, "author": 0.1,
}  # fmt: skip
HALF_REPORTERS: Final = 3.0
"""So many fully trusted reporters say as much as all reporters of the world together say twice."""
MOST_VIEWERS: Final = 1_000_000
MOST_STRIKES: Final = 3


@dataclass(frozen=True, slots=True)
class Tally:
    """The reports of a subject that nobody has settled yet.

    Attributes
    ----------
    reports : how many, one per reporter
    weight : sum of the reporters' weights
    reasons : reports by policy
    viewers : people the subject was shown to, when it was reported last
    strikes : of its author, when it was reported last
    """

    reports: int = 0
    weight: float = 0.0
    reasons: Mapping[str, int] = field(default_factory=dict)
    viewers: int = 0
    strikes: int = 0


def severity_of(policies: Mapping[str, int]) -> int:
    """The highest severity among the reasons; 0 without any.

    >>> severity_of({"spam": 900, "hate": 1})
    3
    """
    return max((POLICIES[policy].severity for policy in policies), default=0)


def priority(
    tally: Tally, *, held: bool, appealed: Mapping[str, int] | None = None, flags: Mapping[str, float] | None = None
) -> dict[str, float]:
    """The parts of a priority; their sum is the priority itself, in [0, 100).

    Parameters
    ----------
    held : it was hidden without a human, who now has to look at it
    appealed : policies of the decisions that were appealed against, which count like reasons of reports
    flags : policy to score in [0, 1], of what the automatic check found

    >>> crowd = priority(Tally(1000, 250.0, {"spam": 1000}, 10**6), held=True)
    >>> one = priority(Tally(1, 0.3, {"child_safety": 1}), held=False)
    >>> sum(crowd.values()) < 70 <= sum(one.values())
    True
    """
    severity = severity_of({**tally.reasons, **(appealed or {}), **dict.fromkeys(flags or {}, 1)})
    start, span = (SEVERE_FROM, 30.0) if severity == SEVERE else (HIDDEN_FROM, 30.0) if held else (0.0, 40.0)
    # The factor keeps the sum below the next band, also where everything saturates.
    scale = span * 0.999
    shares = {
        "severity": severity / SEVERE,
        "reporters": 1.0 - 2.0 ** (-tally.weight / HALF_REPORTERS),
        "reach": min(math.log1p(tally.viewers) / math.log1p(MOST_VIEWERS), 1.0),
        "model": max((flags or {}).values(), default=0.0),
        "author": min(tally.strikes / MOST_STRIKES, 1.0),
    }
    return {"band": start, **{name: round(scale * WEIGHTS[name] * share, 3) for name, share in shares.items()}}
