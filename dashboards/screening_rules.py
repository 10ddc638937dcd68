"""Rules of the automatic check: the versions in force, new versions, and what a rule would have caught lately."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Max

from dashboards.casework.default_rules import DEFAULT_RULES
from dashboards.casework.policies import POLICIES
from dashboards.casework.rules import ACTIONS, PASS, Condition, Rule, parse
from dashboards.moderation_models import ModerationCase
from dashboards.screening_models import Screening, ScreeningRule
from events.errors import InvalidRequest

DRY_RUN_DAYS: Final = 7
MOST_SAMPLES: Final = 50
_PIECE: Final = 2_000


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a rule would have caught of the uploads of some days.

    Attributes
    ----------
    uploads : that were judged in that time, each by its newest verdict
    caught : of these, by this rule
    new : of these, passed by the rules that were in force
    agreed, disagreed : of these, what people decided meanwhile: that it breaks a rule, or that it does not
    samples : some of them, the newest first: content, when, the verdict it got, and the numbers the rule asks for
    """

    uploads: int
    caught: int
    new: int
    agreed: int
    disagreed: int
    samples: tuple[tuple[str, datetime, str, Mapping[str, float]], ...]


def rules_in_force() -> list[Rule]:
    """The newest version of each rule, of those that are on. A version that no longer parses raises, and holds all."""
    return [
        Rule(row.key, row.version, parse(row.conditions), row.action, row.policy)
        for row in newest_versions() if row.enabled
    ]  # fmt: skip


def newest_versions() -> list[ScreeningRule]:
    """The newest version of each rule, by key."""
    return list(ScreeningRule.objects.order_by("key", "-version").distinct("key"))


def write_rule(
    key: str, *, title: str, conditions: Any, action: str, policy: str, enabled: bool, note: str, by: int | None,
    now: datetime,
) -> ScreeningRule:  # fmt: skip
    """Write the next version of a rule, the first of a new one.

    Raises
    ------
    InvalidRequest : a condition, an action or a policy is none
    """
    try:
        parse(conditions)
    except ValueError as error:
        raise InvalidRequest(str(error), code="invalid_rule", field="conditions") from error
    if action not in ACTIONS:
        raise InvalidRequest(f"action must be one of {', '.join(ACTIONS)}; got {action!r}", code="invalid_rule")
    if policy not in POLICIES:
        raise InvalidRequest(f"policy must be one of {', '.join(POLICIES)}; got {policy!r}", code="invalid_rule")
    with transaction.atomic():
        # Two people who save at once: the second waits here, and then gets the next number.
        list(ScreeningRule.objects.select_for_update().filter(key=key))
        last = ScreeningRule.objects.filter(key=key).aggregate(version=Max("version"))["version"]
        return ScreeningRule.objects.create(
            key=key, version=(last or 0) + 1, title=title, conditions=conditions, action=action, policy=policy,
            enabled=enabled, note=note, made_by=by, made_at=now,
        )  # fmt: skip


def ensure_rules(*, now: datetime) -> int:
    """Write the built-in rules that are missing; returns how many. Those that exist stay as somebody made them."""
    known = set(ScreeningRule.objects.values_list("key", flat=True))
    missing = [rule for rule in DEFAULT_RULES if rule["key"] not in known]
    for rule in missing:
        write_rule(**{"enabled": True, "note": "", **rule}, by=None, now=now)
    return len(missing)


def dry_run(conditions: tuple[Condition, ...], *, now: datetime, days: int = DRY_RUN_DAYS) -> DryRun:
    """What a rule would have caught of the last days, by the numbers that were kept. Served by screening_at."""
    rule = Rule("dry-run", 0, conditions, ACTIONS[0], "other")
    rows = Screening.objects.filter(at__gt=now - timedelta(days=days), at__lte=now).order_by("-id")
    judged: set[str] = set()
    caught: list[tuple[str, datetime, str, Mapping[str, float]]] = []
    for content_id, at, verdict, signals in rows.values_list("content_id", "at", "verdict", "signals").iterator(_PIECE):
        if content_id in judged:
            continue
        judged.add(content_id)
        if all(condition.holds(signals) for condition in rule.conditions):
            asked = {each.signal: signals[each.signal] for each in conditions}
            caught.append((content_id, at, verdict, asked))
    verdicts = _verdicts([each[0] for each in caught])
    return DryRun(
        len(judged), len(caught), sum(each[2] == PASS for each in caught), verdicts.get("agreed", 0),
        verdicts.get("disagreed", 0), tuple(caught[:MOST_SAMPLES]),
    )  # fmt: skip


def _verdicts(content_ids: list[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for start in range(0, len(content_ids), _PIECE):
        some = content_ids[start : start + _PIECE]
        cases = ModerationCase.objects.filter(subject_kind="content", subject_id__in=some)
        for verdict in cases.exclude(verdict="").values_list("verdict", flat=True):
            counts[verdict] = counts.get(verdict, 0) + 1
    return counts
