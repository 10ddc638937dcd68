"""What may happen to an experiment, and the log of what did: the only writer of both.

    draft --start--> running --stop--> stopped --ship--> shipped
      ^                 |  coverage may grow                |
      +---- new phase --+--------- (stopped) <--withdraw----+

Every change is one row of `ExperimentDecision`, in the same transaction: who, why, and the numbers of that moment.
Shipping an arm lets what it changes serve everybody but the holdout; a model it changes is promoted and its value
weights are published, so that later models and weights follow as they always do.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import QuerySet

from ranking import registry, value_weights
from ranking.experiment_models import Experiment, ExperimentDecision
from ranking.experiments import draft
from ranking.experiments.draft import Draft, InvalidExperiment
from ranking.experiments.overrides import MODEL, WEIGHTS
from ranking.ranker.bundle import BundleError

State = Experiment.State
_LOCK: Final = 0x7EC5_0018
"""Advisory lock: of two starts at once one sees the other, so that no two experiments change the same thing."""


class UnknownExperiment(LookupError):
    """No such experiment."""


class Refused(RuntimeError):
    """A step that must not be taken now; the sentence says why."""


def draft_of(row: Experiment) -> Draft:
    """The set-up of a stored experiment; its metrics were checked when it was stored."""
    metrics = [*row.goals, *(each["metric"] for each in row.guardrails)]
    document = {name: getattr(row, name) for name in _STATED} | {"key": row.key}
    return draft.parse(document, metrics=metrics)


def create(told: Draft, *, by: str, now: datetime) -> Experiment:
    """Store a new draft; raises Refused where the key is taken."""
    with transaction.atomic():
        _hold()
        if Experiment.objects.filter(pk=told.key).exists():
            raise Refused(f"there is an experiment {told.key} already; keys are never used again")
        row = Experiment.objects.create(key=told.key, owner=by, created_at=now, **_columns(told))
        _log(row, "create", by=by, reason=told.hypothesis or told.title, now=now)
    return row


def edit(told: Draft, *, by: str, now: datetime) -> Experiment:
    """Replace the set-up of a draft; once it ran, a new phase comes first."""

    def change(row: Experiment) -> None:
        _only(row, "edited", State.DRAFT)
        for name, value in _columns(told).items():
            setattr(row, name, value)

    return _change(told.key, change, "edit", by=by, reason="the draft was edited", now=now)


def start(key: str, *, by: str, reason: str, plan: Mapping[str, Any], now: datetime) -> Experiment:
    """Let a draft run.

    Raises
    ------
    Refused : where another running experiment changes the same without excluding it, a namespace is taken, or a model
        cannot be loaded
    """

    def change(row: Experiment) -> None:
        _only(row, "started", State.DRAFT)
        told = draft_of(row)
        if not any(arm.weight for arm in told.arms) or told.coverage == 0.0:
            raise Refused("a coverage of 0 reaches nobody")
        for other in Experiment.objects.filter(state=State.RUNNING).exclude(pk=key):
            _check_clash(told, draft_of(other))
        for arm in told.arms:
            if arm.overrides.model is not None:
                _check_model(arm.overrides.model)
        row.state, row.started_at, row.stopped_at, row.plan = State.RUNNING, now, None, dict(plan)

    return _change(key, change, "start", by=by, reason=reason, numbers=plan, now=now)


def grow(key: str, coverage: float, *, by: str, reason: str, now: datetime) -> Experiment:
    """Let more users take part; nobody who does changes arms. Fewer would lose users in the middle of their answers."""

    def change(row: Experiment) -> None:
        _only(row, "grown", State.RUNNING)
        if not row.coverage < coverage <= 1.0:
            raise Refused(f"coverage can only grow while it runs: from {row.coverage:g} to at most 1, not {coverage:g}")
        row.coverage = coverage

    return _change(key, change, "coverage", by=by, reason=reason, numbers={"coverage": coverage}, now=now)


def stop(
    key: str, *, by: str, reason: str, now: datetime, numbers: Mapping[str, Any] | None = None, kind: str = "stop"
) -> Experiment:
    """End a running experiment: the very next pages are control's."""

    def change(row: Experiment) -> None:
        _only(row, "stopped", State.RUNNING)
        row.state, row.stopped_at = State.STOPPED, now

    return _change(key, change, kind, by=by, reason=reason, numbers=numbers, now=now)


def new_phase(key: str, *, by: str, reason: str, now: datetime) -> Experiment:
    """Make a stopped experiment a draft again, whose users will be drawn anew."""

    def change(row: Experiment) -> None:
        _only(row, "given a new phase", State.STOPPED)
        row.state, row.phase, row.plan, row.started_at, row.stopped_at = State.DRAFT, row.phase + 1, {}, None, None

    return _change(key, change, "phase", by=by, reason=reason, now=now)


def ship(
    key: str, arm: str, *, by: str, reason: str, now: datetime, numbers: Mapping[str, Any] | None = None
) -> Experiment:
    """Let an arm serve everybody but the holdout.

    Raises
    ------
    Refused : for an arm that there is not, or a model that its gates refuse
    """

    def change(row: Experiment) -> None:
        _only(row, "shipped", State.RUNNING, State.STOPPED)
        told = next((each for each in draft_of(row).arms if each.key == arm), None)
        if told is None:
            raise Refused(f"experiment {key} has no arm {arm!r:.60}")
        if told.overrides.model is not None:
            try:
                registry.promote(told.overrides.model, now=now)
            except registry.RegistryError as error:
                raise Refused(f"the model of {arm} is not promoted: {error}") from None
        if WEIGHTS in told.overrides.parts:
            weights = told.overrides.policy(value_weights.current()).document()
            value_weights.publish(weights, by=by, reason=f"experiment {key} shipped {arm}: {reason}", now=now)
        row.state, row.winner, row.shipped_at = State.SHIPPED, arm, now
        row.stopped_at = row.stopped_at or now

    return _change(key, change, "ship", by=by, reason=reason, numbers={"arm": arm, **(numbers or {})}, now=now)


def withdraw(key: str, *, by: str, reason: str, now: datetime) -> Experiment:
    """Take back what an experiment shipped of the feed's configuration; models and weights have their own way back."""

    def change(row: Experiment) -> None:
        _only(row, "withdrawn", State.SHIPPED)
        row.state, row.winner, row.shipped_at = State.STOPPED, "", None

    return _change(key, change, "withdraw", by=by, reason=reason, now=now)


def _change(
    key: str, change: Callable[[Experiment], None], kind: str, *, by: str, reason: str, now: datetime,
    numbers: Mapping[str, Any] | None = None,
) -> Experiment:  # fmt: skip
    with transaction.atomic():
        _hold()
        row = Experiment.objects.select_for_update().filter(pk=key).first()
        if row is None:
            raise UnknownExperiment(f"there is no experiment {key[:60]!a}")
        change(row)
        row.revision += 1
        row.save()
        _log(row, kind, by=by, reason=reason, now=now, numbers=numbers)
    return row


def _log(
    row: Experiment, kind: str, *, by: str, reason: str, now: datetime, numbers: Mapping[str, Any] | None = None
) -> None:
    for what, text in (("name", by), ("reason", reason)):
        if not text.strip():
            raise Refused(f"a decision needs a {what}")
    ExperimentDecision.objects.create(
        experiment=row.key, phase=row.phase, kind=kind, by=by.strip(), reason=reason.strip(),
        numbers=dict(numbers or {}), at=now,
    )  # fmt: skip


_STATED: Final = (
    "title", "hypothesis", "arms", "coverage", "namespace", "namespace_from", "namespace_to", "chosen", "goals",
    "guardrails", "alpha", "tuned_for",
)  # fmt: skip


def _columns(told: Draft) -> dict[str, Any]:
    return {
        "title": told.title, "hypothesis": told.hypothesis, "arms": [arm.document() for arm in told.arms],
        "coverage": told.coverage, "namespace": told.namespace, "namespace_from": told.within[0],
        "namespace_to": told.within[1], "chosen": dict(told.chosen), "goals": list(told.goals),
        "guardrails": [{"metric": each.metric, "margin": each.margin} for each in told.guardrails],
        "alpha": told.alpha, "tuned_for": told.tuned_for,
    }  # fmt: skip


def _only(row: Experiment, what: str, *states: str) -> None:
    if row.state not in states:
        raise Refused(f"experiment {row.key} is {row.state}; it can be {what} only when {' or '.join(states)}")


def _check_clash(told: Draft, other: Draft) -> None:
    shared_space = bool(told.namespace) and told.namespace == other.namespace
    apart = shared_space and (told.within[1] <= other.within[0] or other.within[1] <= told.within[0])
    if shared_space and not apart:
        raise Refused(f"{other.key} has a part of namespace {told.namespace} from {other.within[0]:g} to "
                      f"{other.within[1]:g} already")  # fmt: skip
    both = sorted(told.parts & other.parts)
    if both and not apart:
        raise Refused(f"{other.key} is running and changes {', '.join(both)} too; give both parts of one namespace")


def _check_model(version: str) -> None:
    try:
        registry.load_version(version)
    except (registry.RegistryError, BundleError) as error:
        raise Refused(f"{MODEL} {version!r:.80} cannot serve: {error}") from None


def _hold() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def decisions_of(key: str) -> QuerySet[ExperimentDecision]:
    """The log of an experiment, newest first."""
    return ExperimentDecision.objects.filter(experiment=key).order_by("-id")


__all__ = [
    "Experiment", "InvalidExperiment", "Refused", "UnknownExperiment", "create", "decisions_of", "draft_of", "edit",
    "grow", "new_phase", "ship", "start", "stop", "withdraw",
]  # fmt: skip
