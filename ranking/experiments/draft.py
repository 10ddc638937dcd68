"""An experiment as it is set up: checked as a whole before anything is stored, every refusal naming the field."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ranking.experiments.allocation import Allocation
from ranking.experiments.overrides import ALL, EXPLORING, InvalidOverrides, Overrides, surfaces_of

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
RESERVED: Final = ("assignments", "exposures", "plan", "new")
MOST_ARMS: Final = 8
MOST_GOALS: Final = 3
"""Goals share alpha (Holm); with more of them each would need several times the users."""
MOST_GUARDRAILS: Final = 12
MOST_CHOSEN: Final = 200
TUNING: Final = (100, 10_000_000)


class InvalidExperiment(ValueError):
    """A set-up that must not be stored. `field` is where."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm: what it changes of the feed, and what a client-side test is told."""

    key: str
    weight: float
    overrides: Overrides
    payload: Any = None

    def document(self) -> dict[str, Any]:
        """As `arms_of` reads it."""
        overrides = dict(self.overrides.document)
        return {"key": self.key, "weight": self.weight, "overrides": overrides, "payload": self.payload}


@dataclass(frozen=True, slots=True)
class Guardrail:
    """What must not get worse by more than a relative margin."""

    metric: str
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything about an experiment that people decide before it starts."""

    key: str
    title: str
    hypothesis: str
    arms: tuple[Arm, ...]
    coverage: float
    namespace: str
    within: tuple[float, float]
    chosen: Mapping[str, str]
    goals: tuple[str, ...]
    guardrails: tuple[Guardrail, ...]
    alpha: float
    tuned_for: int

    @property
    def parts(self) -> frozenset[str]:
        """What any arm changes."""
        return frozenset().union(*(arm.overrides.parts for arm in self.arms))

    def allocation(self, phase: int) -> Allocation:
        """How it divides the users."""
        return Allocation(
            self.key, phase, tuple(arm.key for arm in self.arms), tuple(arm.weight for arm in self.arms), self.coverage,
            self.namespace, self.within, self.chosen,
        )  # fmt: skip


def can_act(parts: frozenset[str], *, surface: str, explores: bool) -> bool:
    """Whether any arm of an experiment could change a page of a surface, alike for all its arms."""
    if surface not in surfaces_of(parts):
        return False
    return explores or not parts <= EXPLORING


def parse(document: Mapping[str, Any], *, metrics: Sequence[str]) -> Draft:
    """A draft from what people typed.

    Parameters
    ----------
    metrics : names of what can be a goal or a guardrail

    Raises
    ------
    InvalidExperiment : naming the field and the value
    """
    key = _name("key", document.get("key"))
    if key in RESERVED:
        raise InvalidExperiment(f"key must not be one of {', '.join(RESERVED)}, which are doors of the API", "key")
    title = _text("title", document.get("title"), 120)
    if not title:
        raise InvalidExperiment("title must not be empty", "title")
    arms = arms_of(document.get("arms"))
    namespace = document.get("namespace") or ""
    within = (0.0, 1.0)
    if namespace:
        _name("namespace", namespace)
        within = (
            _share("namespace_from", document.get("namespace_from", 0.0)),
            _share("namespace_to", document.get("namespace_to", 1.0)),
        )
        if not within[0] < within[1]:
            raise InvalidExperiment(f"namespace_to must lie above {within[0]:g}, got {within[1]:g}", "namespace_to")
    alpha = _number("alpha", document.get("alpha", 0.05), 0.0001, 0.2)
    tuned_for = _number("tuned_for", document.get("tuned_for", 5000), *TUNING)
    return Draft(
        key, title, _text("hypothesis", document.get("hypothesis", ""), 2000), arms,
        _share("coverage", document.get("coverage", 1.0)), namespace, within,
        _chosen(document.get("chosen", {}), arms), _goals(document.get("goals"), metrics),
        _guardrails(document.get("guardrails", []), metrics), alpha, int(tuned_for),
    )  # fmt: skip


def arms_of(told: Any) -> tuple[Arm, ...]:
    """Arms from their documents, control first."""
    if not isinstance(told, list) or not 2 <= len(told) <= MOST_ARMS:
        raise InvalidExperiment(f"arms must be a list of 2 to {MOST_ARMS} arms, control first", "arms")
    arms = []
    for number, each in enumerate(told):
        field = f"arms[{number}]"
        if not isinstance(each, Mapping):
            raise InvalidExperiment(f"{field} must be an object, got {each!r:.80}", field)
        unknown = sorted(set(map(str, each)) - {"key", "weight", "overrides", "payload"})
        if unknown:
            raise InvalidExperiment(f"{field} has no {', '.join(unknown)}", field)
        try:
            overrides = Overrides.parse(each.get("overrides") or {})
        except InvalidOverrides as error:
            raise InvalidExperiment(f"{field}.overrides: {error}", f"{field}.overrides") from None
        weight = _number(f"{field}.weight", each.get("weight", 1.0), 0.0001, 1000.0)
        arms.append(Arm(_name(f"{field}.key", each.get("key")), weight, overrides, each.get("payload")))
    keys = [arm.key for arm in arms]
    if len(set(keys)) < len(keys):
        raise InvalidExperiment(f"arms must have different keys, got {', '.join(keys)}", "arms")
    return tuple(arms)


def _goals(told: Any, metrics: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(told, list) or not 1 <= len(told) <= MOST_GOALS:
        raise InvalidExperiment(f"goals must be a list of 1 to {MOST_GOALS} metrics, got {told!r:.80}", "goals")
    for each in told:
        if each not in metrics:
            raise InvalidExperiment(f"goals: there is no metric {each!r:.60} per user", "goals")
    return tuple(dict.fromkeys(told))


def _guardrails(told: Any, metrics: Sequence[str]) -> tuple[Guardrail, ...]:
    if not isinstance(told, list) or len(told) > MOST_GUARDRAILS:
        raise InvalidExperiment(f"guardrails must be a list of at most {MOST_GUARDRAILS}", "guardrails")
    found = []
    for number, each in enumerate(told):
        field = f"guardrails[{number}]"
        stated = {"metric": each} if isinstance(each, str) else each
        if not isinstance(stated, Mapping) or stated.get("metric") not in metrics:
            raise InvalidExperiment(f"{field}: there is no metric {each!r:.80} per user", field)
        found.append(Guardrail(stated["metric"], _number(f"{field}.margin", stated.get("margin", 0.0), 0.0, 1.0)))
    return tuple(found)


def _chosen(told: Any, arms: Sequence[Arm]) -> dict[str, str]:
    if not isinstance(told, Mapping) or len(told) > MOST_CHOSEN:
        raise InvalidExperiment(f"chosen must map at most {MOST_CHOSEN} users to arms", "chosen")
    keys = {arm.key for arm in arms}
    for user, arm in told.items():
        if arm not in keys:
            raise InvalidExperiment(f"chosen: {user!r:.60} is to be in {arm!r:.60}, which is no arm", "chosen")
    return dict(told)


def _name(field: str, told: Any) -> str:
    if not isinstance(told, str) or not NAME.fullmatch(told) or told == ALL:
        message = f"{field} must be 1 to 32 of a-z, 0-9, - and _, and begin with a letter or digit; got {told!r:.60}"
        raise InvalidExperiment(message, field)
    return told


def _text(field: str, told: Any, most: int) -> str:
    if not isinstance(told, str) or len(told) > most or "\x00" in told:
        raise InvalidExperiment(f"{field} must be a text of at most {most} characters, got {told!r:.60}", field)
    return told.strip()


def _share(field: str, told: Any) -> float:
    return _number(field, told, 0.0, 1.0)


def _number(field: str, told: Any, low: float, high: float) -> float:
    fits = isinstance(told, int | float) and not isinstance(told, bool) and math.isfinite(told)
    if not fits or not low <= told <= high:
        raise InvalidExperiment(f"{field} must be a number from {low:g} to {high:g}, got {told!r:.60}", field)
    return float(told)
