"""The table of KPIs, and the one function that fills days.

To add a KPI, add an entry to `KPIS`: its value on a day is computed from the `UserDay` rows of that day (and, for
retention, of a later one). Exact definitions beyond these daily ones belong to the analyst's step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Q, Sum

from dashboards.models import KpiFill, KpiPoint, UserDay
from dashboards.stats.daily import UserDays, session_durations, summarise_users
from events import queries, windows
from events.windows import Window

ROLLUP_LOCK = 7_204_001
"""Advisory lock: two schedulers never rebuild the same day at once."""
RETENTION_DAYS = (1, 7)
COHORT_KPIS = ("new_users", *(f"retention_d{days}" for days in RETENTION_DAYS))


_CAME_BACK = (
    "count(*) FILTER (WHERE EXISTS (SELECT FROM user_day later "
    "WHERE later.active AND later.user_id = first.user_id AND later.day = first.day + %s))"
)
# One parameter per retention day.
_COHORTS = f"""
    WITH first AS (SELECT user_id, min(day) AS day FROM user_day WHERE active GROUP BY user_id)
    SELECT first.day, count(*), {", ".join([_CAME_BACK] * len(RETENTION_DAYS))} FROM first GROUP BY first.day
"""  # noqa: S608 - constants only


@dataclass(frozen=True, slots=True)
class Kpi:
    """One KPI: its key, what it is called, its unit, and its definition in words."""

    key: str
    title: str
    unit: str
    definition: str


KPIS = (
    Kpi("dau", "Daily active users", "users", "Distinct users with at least one event other than an impression."),
    Kpi("new_users", "New users", "users", "Users whose first active day this is."),
    Kpi("watch_min_per_user", "Time spent per active user", "min", "Watched minutes of the day / active users."),
    Kpi("sessions_per_user", "Sessions per active user", "", "Sessions that start on the day / active users."),
    Kpi("session_mean_s", "Session duration, mean", "s", "Mean over sessions; a session of one event lasts 0 s."),
    Kpi("session_median_s", "Session duration, median", "s", "Median over the same sessions."),
    Kpi("ctr", "Click-through rate", "%", "Impressions with a view of at least 2 s or an engagement / impressions."),
    Kpi(
        "engagement_rate",
        "Engagement rate",
        "%",
        "Impressions with a like, comment, share, save or follow / impressions.",
    ),
    Kpi("completion_rate", "Completion rate", "%", "Complete views / views."),
    Kpi("skip_rate", "Skip rate", "%", "Skips / impressions."),
    Kpi("negative_rate", "Hides and reports", "%", "Hides and reports / impressions."),
    Kpi(
        "excluded_share", "Bots and staff", "%", "Events of bots and staff, which no other figure counts / all events."
    ),
    Kpi("retention_d1", "Day 1 retention", "%", "Share of the day's new users who are active one day later."),
    Kpi("retention_d7", "Day 7 retention", "%", "Share of the day's new users who are active seven days later."),
)


@dataclass(frozen=True, slots=True)
class KpiReport:
    """What a call of `measure_kpis` did."""

    days_rebuilt: tuple[date, ...]


def _bounds(day: date) -> tuple[datetime, datetime]:
    """Start and end of a day of the reporting time zone; 23 or 25 hours apart when the clocks change."""
    zone = ZoneInfo(settings.REPORTING_TIME_ZONE)
    return datetime.combine(day, time(), zone), datetime.combine(day + timedelta(days=1), time(), zone)


def _family() -> str:
    """The windows of the rollups; another time zone has other days, so all of its hours are open."""
    return f"kpi {settings.REPORTING_TIME_ZONE[-28:]}"


def _days_of(window: Window, zone: ZoneInfo) -> list[date]:
    """The days that an hour is part of: two where midnight lies within it."""
    last = window.end - timedelta(microseconds=1)
    return sorted({moment.astimezone(zone).date() for moment in (window.start, last)})


def measure_kpis(*, until: datetime, progress: Callable[[int, int], None] | None = None) -> KpiReport:
    """Bring every day up to `until` in line with the log: rebuild the days with open hours, each in one transaction.

    Running it again without new events rebuilds nothing, and another scheduler's hours are left to that one (see
    `events.windows`). A day is rebuilt as a whole, so all its open hours fail with one that cannot be read, and the
    other days go on. `progress(done, total)` is called after each day.
    """
    zone = ZoneInfo(settings.REPORTING_TIME_ZONE)
    opened = windows.open_windows(_family(), until=until)
    by_day = [(day, list(hours)) for day, hours in groupby(opened, key=lambda hour: _days_of(hour, zone)[0])]
    rebuilt: set[date] = set()

    def days_of(mine: Sequence[Window]) -> list[date]:
        return sorted({day for hour in mine for day in _days_of(hour, zone)})

    def work(mine: Sequence[Window]) -> None:
        for day in days_of(mine):
            _rebuild_day(day, until=until)

    for done, (_, hours) in enumerate(by_day, start=1):
        rebuilt.update(days_of(windows.work_off(_family(), hours, work, now=until, divisible=False)))
        if progress:
            progress(done, len(by_day))
    with transaction.atomic():
        _rebuild_cohorts(now=until)
    return KpiReport(days_rebuilt=tuple(sorted(rebuilt)))


def _rebuild_day(day: date, *, until: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ROLLUP_LOCK])
    start, end = _bounds(day)
    end = min(end, until)
    rows, log = queries.count_between(start, end), queries.interactions_between(start, end, people_only=True)
    users = summarise_users(log)
    UserDay.objects.filter(day=day).delete()
    fields = [name for name in UserDays.__dataclass_fields__ if name != "user_id"]
    columns = [getattr(users, name).tolist() for name in fields]
    UserDay.objects.bulk_create(
        [
            UserDay(day=day, user_id=user_id, **dict(zip(fields, values, strict=True)))
            for user_id, *values in zip(users.user_id.tolist(), *columns, strict=True)
        ],
        batch_size=2000,
    )
    # An event may have come between the two reads; its hour is open again, and no share is below nothing.
    excluded = {"excluded_share": _ratio(max(rows - len(log), 0), rows, 100.0)}
    _put(day, _daily_values(users, session_durations(log)) | excluded, now=until)
    # Gone until the cohorts are computed: if this process dies before, the next one sees that they are missing.
    KpiPoint.objects.filter(day=day, kpi__in=COHORT_KPIS).delete()
    KpiFill.objects.update_or_create(day=day, defaults={"log_rows": rows, "filled_at": until})


def _ratio(part: float, whole: float, scale: float = 1.0) -> float | None:
    """`scale * part / whole`, and no value at all over an empty whole: a rate of nothing is not 0."""
    return scale * part / whole if whole else None


def _daily_values(users: UserDays, durations: np.ndarray) -> dict[str, float | None]:
    active = int(users.active.sum())
    shown = int(users.impressions.sum())
    return {
        "dau": active,
        "watch_min_per_user": _ratio(float(users.watch_s.sum()) / 60.0, active),
        "sessions_per_user": _ratio(int(users.sessions.sum()), active),
        "session_mean_s": float(durations.mean()) if len(durations) else None,
        "session_median_s": float(np.median(durations)) if len(durations) else None,
        "ctr": _ratio(int(users.clicked.sum()), shown, 100.0),
        "engagement_rate": _ratio(int(users.engaged.sum()), shown, 100.0),
        "completion_rate": _ratio(int(users.completes.sum()), int(users.views.sum()), 100.0),
        "skip_rate": _ratio(int(users.skips.sum()), shown, 100.0),
        "negative_rate": _ratio(int(users.negatives.sum()), shown, 100.0),
    }


def _rebuild_cohorts(*, now: datetime) -> None:
    """New users and retention of every cohort: a rebuilt day may move the first day of any of its users."""
    with connection.cursor() as cursor:
        # Held by who rebuilds a day as well, so that no day is between its rows and its points.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ROLLUP_LOCK])
        computed = KpiPoint.objects.filter(kpi=COHORT_KPIS[0]).values("day")
        if not KpiFill.objects.exclude(day__in=computed).exists():
            return
        cursor.execute(_COHORTS, RETENTION_DAYS)
        cohorts = {day: (size, kept) for day, size, *kept in cursor.fetchall()}
    today = now.astimezone(ZoneInfo(settings.REPORTING_TIME_ZONE)).date()
    for day in KpiFill.objects.values_list("day", flat=True):
        size, kept = cohorts.get(day, (0, [0] * len(RETENTION_DAYS)))
        values: dict[str, float | None] = {"new_users": size}
        for after, count in zip(RETENTION_DAYS, kept, strict=True):
            # A day that has not fully passed cannot say who came back on it.
            passed = day + timedelta(days=after) < today
            values[f"retention_d{after}"] = _ratio(count, size, 100.0) if passed else None
        _put(day, values, now=now)


def _put(day: date, values: dict[str, float | None], *, now: datetime) -> None:
    KpiPoint.objects.bulk_create(
        [KpiPoint(kpi=key, day=day, value=value, computed_at=now) for key, value in values.items()],
        update_conflicts=True,
        unique_fields=["kpi", "day"],
        update_fields=["value", "computed_at"],
    )


def series(key: str, *, first: date, last: date) -> list[tuple[date, float | None]]:
    """The points of one KPI from `first` to `last`, both included; days without a point are None."""
    points = dict(KpiPoint.objects.filter(kpi=key, day__range=(first, last)).values_list("day", "value"))
    return [(day, points.get(day)) for day in (first + timedelta(days=n) for n in range((last - first).days + 1))]


def last_day() -> date | None:
    """The newest day that has points; None before the first fill."""
    return KpiFill.objects.order_by("-day").values_list("day", flat=True).first()


def totals(*, first: date, last: date) -> dict[str, float]:
    """Impressions, views and watched hours from `first` to `last`, and the users active in that time."""
    rows = UserDay.objects.filter(day__range=(first, last))
    sums = rows.aggregate(
        impressions=Sum("impressions", default=0),
        views=Sum("views", default=0),
        watch_s=Sum("watch_s", default=0.0),
        users=Count("user_id", distinct=True, filter=Q(active=True)),
    )
    return {**sums, "watch_h": sums.pop("watch_s") / 3600.0}
