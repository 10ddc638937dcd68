"""The figures of moderation: what was decided, how soon, how often wrongly; the transparency report as a table."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from django.db import connection

COLUMNS: Final = (
    "month", "subject", "action", "policy", "automated", "count", "taken_back", "appealed", "overturned",
    "median_hours_from_report",
)  # fmt: skip
# A decision answers the newest report before it that no earlier decision of the subject had answered.
_REPORT: Final = """
    SELECT to_char(date_trunc('month', a.at, 'UTC') AT TIME ZONE 'UTC', 'YYYY-MM') AS month, a.subject_kind, a.kind,
           a.policy, a.actor_id IS NULL AS automated, count(*),
           count(*) FILTER (WHERE back.kind IN ('undo', 'overturn')),
           count(*) FILTER (WHERE EXISTS (
               SELECT FROM moderation_action p WHERE p.decision_id = a.decision_id AND p.kind = 'appeal')),
           count(*) FILTER (WHERE back.kind = 'overturn'),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM a.at - asked.at) / 3600.0)
    FROM moderation_action a
    LEFT JOIN moderation_action back ON back.about = a.id
    LEFT JOIN LATERAL (
        SELECT min(r.at) AS at FROM moderation_action r
        WHERE r.subject_kind = a.subject_kind AND r.subject_id = a.subject_id AND r.kind = 'report' AND r.id < a.id
            AND r.id > coalesce((
                SELECT max(s.id) FROM moderation_action s
                WHERE s.subject_kind = a.subject_kind AND s.subject_id = a.subject_id AND s.id < a.id
                    AND s.kind <> ALL(%(quiet)s) AND s.decision_id IS DISTINCT FROM a.decision_id), 0)
    ) asked ON true
    WHERE a.at >= %(start)s AND a.at < %(end)s AND a.kind <> ALL(%(quiet)s)
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
"""
_NO_DECISION: Final = ("report", "flag", "appeal", "uphold", "undo", "overturn", "expire")


def transparency(start: datetime, end: datetime) -> Iterator[tuple[Any, ...]]:
    """Decisions with `start <= at < end`, counted by month (UTC), subject, action, policy and who made them.

    Rows have the columns of `COLUMNS`. They name nobody: neither authors nor reporters nor staff.
    """
    with connection.cursor() as cursor:
        cursor.execute(_REPORT, {"start": start, "end": end, "quiet": list(_NO_DECISION)})
        rows = cursor.fetchall()
    for *row, hours in rows:
        yield (*row, None if hours is None else round(float(hours), 3))
