"""How moderation itself does, over the last days: time to hide, time to decide, how often wrongly, what waits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import Count, Min, Q

from dashboards.casework.log import AGREED, APPEAL, AUTO_HIDE, DECISIONS, DISAGREED, OVERTURN, UPHOLD
from dashboards.moderation_models import ModerationAction, ModerationCase, Report

HIDING: Final = (AUTO_HIDE, "hide", "remove")
"""What takes a reported subject away from everybody."""
# Seconds from the first report that no earlier decision had answered.
_SINCE_REPORT: Final = """
    SELECT a.kind, count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY s.waited),
           percentile_cont(0.9) WITHIN GROUP (ORDER BY s.waited), max(s.waited)
    FROM moderation_action a
    CROSS JOIN LATERAL (
        SELECT extract(epoch FROM a.at - min(r.at))::float8 AS waited FROM moderation_action r
        WHERE r.subject_kind = a.subject_kind AND r.subject_id = a.subject_id AND r.kind = 'report' AND r.id < a.id
            AND r.id > coalesce((
                SELECT max(d.id) FROM moderation_action d
                WHERE d.subject_kind = a.subject_kind AND d.subject_id = a.subject_id AND d.id < a.id
                    AND d.kind = ANY(%(settling)s) AND d.decision_id IS DISTINCT FROM a.decision_id), 0)
    ) s
    WHERE a.at >= %(start)s AND a.at < %(end)s AND a.kind = ANY(%(kinds)s) AND s.waited IS NOT NULL
    GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Wait:
    """How long one kind of decision came after the first report, in seconds."""

    kind: str
    title: str
    count: int
    median_s: float
    p90_s: float
    longest_s: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What the page of figures shows; a share of nothing is None. `by` is decisions by member of staff."""

    hides: tuple[Wait, ...]
    decisions: tuple[Wait, ...]
    open: int
    escalated: int
    oldest_h: float | None
    settled_reports: int
    report_precision_pct: float | None
    decided: int
    appealed_pct: float | None
    answered_appeals: int
    overturned_pct: float | None
    by: tuple[tuple[int, int], ...]


def figures(start: datetime, end: datetime) -> Figures:
    """Figures of what happened with `start <= at < end`, and of what waits now."""
    within = ModerationAction.objects.filter(at__gte=start, at__lt=end)
    made = within.filter(kind__in=DECISIONS, actor_id__isnull=False)
    decided = made.aggregate(all=Count("decision_id", distinct=True))["all"]
    appeals = within.filter(kind=APPEAL).count()
    restricting = made.filter(kind__in=[kind for kind, each in DECISIONS.items() if each.restricts])
    restricted = restricting.aggregate(all=Count("decision_id", distinct=True))["all"]
    overturned = within.filter(kind=OVERTURN).aggregate(all=Count("decision_id", distinct=True))["all"]
    answered = overturned + within.filter(kind=UPHOLD).count()
    reports = Report.objects.filter(reported_at__gte=start, reported_at__lt=end)
    outcome = reports.aggregate(
        agreed=Count("pk", filter=Q(outcome=AGREED)), not_=Count("pk", filter=Q(outcome=DISAGREED))
    )
    waiting = ModerationCase.objects.exclude(status="closed")
    oldest = waiting.aggregate(at=Min("opened_at"))["at"]
    by = made.values_list("actor_id").annotate(count=Count("decision_id", distinct=True)).order_by("-count", "actor_id")
    return Figures(
        hides=_waits(HIDING, start, end),
        decisions=_waits(tuple(DECISIONS), start, end),
        open=waiting.filter(status="open").count(),
        escalated=waiting.filter(status="escalated").count(),
        oldest_h=None if oldest is None else (end - oldest).total_seconds() / 3600.0,
        settled_reports=outcome["agreed"] + outcome["not_"],
        report_precision_pct=_percent(outcome["agreed"], outcome["agreed"] + outcome["not_"]),
        decided=decided,
        appealed_pct=_percent(appeals, restricted),
        answered_appeals=answered,
        overturned_pct=_percent(overturned, answered),
        by=tuple((actor, count) for actor, count in by if actor is not None),
    )


def _waits(kinds: tuple[str, ...], start: datetime, end: datetime) -> tuple[Wait, ...]:
    values: dict[str, Any] = {"start": start, "end": end, "kinds": list(kinds), "settling": list(DECISIONS)}
    with connection.cursor() as cursor:
        cursor.execute(_SINCE_REPORT, values)
        rows = cursor.fetchall()
    named = {AUTO_HIDE: "Hidden by reports", **{kind: each.title for kind, each in DECISIONS.items()}}
    return tuple(Wait(kind, named[kind], *rest) for kind, *rest in rows)


def _percent(part: int, whole: int) -> float | None:
    return 100.0 * part / whole if whole else None
