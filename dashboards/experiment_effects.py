"""Effects of arms on metrics as plain values, each with its interval, its p-value and what it is to be taken for."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from dashboards.experiment_metrics import LONG_TAILED, METRICS, Metric
from dashboards.stats.measures import MEASURES
from dashboards.stats.trials import guardrails, multiplicity
from dashboards.stats.trials.guardrails import Harm
from dashboards.stats.trials.moments import Moments, Unreadable
from dashboards.stats.trials.sequential import watch
from dashboards.stats.trials.significance import chances, compare
from dashboards.stats.trials.tally import Columns, Units, columns_of, moments_of
from ranking.experiments.draft import Draft

ROLES: Final = ("goal", "guardrail", "secondary")
LEAST_WITHOUT: Final = "too few users or nothing happened"


@dataclass(frozen=True, slots=True)
class Judged:
    """Every metric and every guardrail, as documents."""

    metrics: list[dict[str, Any]]
    guardrails: list[dict[str, Any]]


@cache
def _rows(names: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(MEASURES.index(name) for name in names)


def columns(metric: Metric, units: Units) -> Columns:
    """The columns of a metric."""
    return columns_of(
        units, _rows(metric.over), _rows(metric.under), after=metric.after, active=MEASURES.index("users"),
        complement=metric.complement, long_tail=bool(LONG_TAILED & set(metric.over)),
    )  # fmt: skip


def simple_effect(metric: Metric, units: Units, told: Draft) -> list[dict[str, Any] | None]:
    """The lift of every arm but control, with its interval; None where there is none to be read."""
    found = columns(metric, units)
    moments, _, _ = moments_of(found, len(told.arms))
    control, *others = moments
    return [_effect(control, other, told) for other in others]


def judge_metrics(units: Units, told: Draft) -> Judged:
    """Every metric in every arm: goals corrected for their number (Holm), others for exploring (Benjamini-Hochberg),
    guardrails as they are."""
    named = {each.metric: each for each in told.guardrails}
    metrics, guards = [], []
    for key, metric in METRICS.items():
        role = "goal" if key in told.goals else "guardrail" if key in named else "secondary"
        moments, is_adjusted, said = moments_of(columns(metric, units), len(told.arms))
        control, *others = moments
        metrics.append({
            "key": key, "title": metric.title, "unit": metric.unit, "role": role, "adjusted": is_adjusted,
            "more_is_worse": metric.more_is_worse,
            "arms": [
                {"arm": arm.key, "users": 0 if found is None else found.n,
                 "value": None if found is None else found.plain * metric.scale, "said": reason,
                 "effect": None if place == 0 else _effect(control, found, told)}
                for place, (arm, found, reason) in enumerate(zip(told.arms, moments, said, strict=True))
            ],
        })  # fmt: skip
        if key in named:
            guards += _guards(metric, control, others, told, named[key].margin)
    _correct([each for each in metrics if each["role"] == "goal"], multiplicity.holm)
    _correct([each for each in metrics if each["role"] == "secondary"], multiplicity.benjamini_hochberg)
    metrics.sort(key=lambda each: ROLES.index(each["role"]))
    return Judged(metrics, guards)


def _effect(control: Moments | None, treatment: Moments | None, told: Draft) -> dict[str, Any] | None:
    if control is None or treatment is None:
        return None
    try:
        found = watch(control, treatment, alpha=told.alpha, tuned_for=told.tuned_for)
        once = compare(control, treatment, alpha=told.alpha)
    except Unreadable:
        return None
    return {
        "estimate": found.estimate, "lower": found.lower, "upper": found.upper, "p_value": found.p_value,
        "p_adjusted": None, "once": {"lower": once.lower, "upper": once.upper, "p_value": once.p_value},
        "chance_more": chances(found).win,
    }  # fmt: skip


def _guards(
    metric: Metric, control: Moments | None, others: Sequence[Moments | None], told: Draft, margin: float
) -> list[dict[str, Any]]:
    """The verdict on every arm but control."""
    comparisons = len(told.guardrails) * len(others)
    found = []
    for arm, treatment in zip(told.arms[1:], others, strict=True):
        document = {"metric": metric.key, "title": metric.title, "arm": arm.key, "margin": margin, "harm": Harm.OPEN,
                    "estimate": None, "least": None, "most": None}  # fmt: skip
        if control is not None and treatment is not None:
            try:
                verdict = guardrails.judge(
                    control, treatment, more_is_worse=metric.more_is_worse, margin=margin, comparisons=comparisons,
                    alpha=told.alpha, tuned_for=told.tuned_for,
                )  # fmt: skip
            except Unreadable:
                pass
            else:
                document |= {"harm": verdict.harm, "estimate": verdict.effect.estimate, "least": verdict.effect.lower,
                             "most": verdict.effect.upper}  # fmt: skip
        found.append(document)
    return found


def _correct(metrics: list[dict[str, Any]], method: Any) -> None:
    """Write the corrected p-values of a family of comparisons."""
    effects = [arm["effect"] for metric in metrics for arm in metric["arms"] if arm["effect"]]
    for effect, p in zip(effects, method([each["p_value"] for each in effects]), strict=True):
        effect["p_adjusted"] = p
