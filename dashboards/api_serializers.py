"""Shapes of the analyst's API."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from rest_framework import serializers

from dashboards import ranges
from dashboards.behind import Behind
from dashboards.cohorts import Mode, RetentionTable
from dashboards.csv_text import Cell
from dashboards.kpis import SECTIONS, Kpi
from dashboards.ranges import Range
from dashboards.series import Group, KpiSeries
from dashboards.stats.periods import Grain


class DefinitionAnswer(serializers.Serializer[Any]):
    """What a metric is."""

    key = serializers.CharField()
    title = serializers.CharField()
    unit = serializers.CharField(allow_blank=True)
    section = serializers.ChoiceField(choices=list(SECTIONS))
    definition = serializers.CharField()
    sql = serializers.CharField(help_text="The same number for one period, from the raw log.")
    grains = serializers.ListField(child=serializers.ChoiceField(choices=list(Grain)))
    breakdowns = serializers.ListField(child=serializers.CharField())


class DefinitionsAnswer(serializers.Serializer[Any]):
    """Every metric."""

    time_zone = serializers.CharField()
    metrics = DefinitionAnswer(many=True)


class PointAnswer(serializers.Serializer[Any]):
    """A metric in one period."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    day = serializers.DateField(help_text="First day of the period, in the reporting time zone.")
    value = serializers.FloatField(allow_null=True)
    complete = serializers.BooleanField(help_text="The period is over.")
    provisional = serializers.BooleanField(help_text="Over for less than 72 hours: late events may change it.")
    suppressed = serializers.BooleanField(help_text="Fewer than five users stand behind it.")


class GroupAnswer(serializers.Serializer[Any]):
    """The points of everybody (`all`), or of one value of the breakdown; `(other)` and `(none)` are the rest."""

    group = serializers.CharField()
    value = serializers.FloatField(
        allow_null=True,
        help_text="Over all complete periods: rates and sums from their parts, else the mean of the periods.",
    )
    points = PointAnswer(many=True)


class MetricAnswer(serializers.Serializer[Any]):
    """A metric over a range."""

    metric = serializers.CharField()
    title = serializers.CharField()
    unit = serializers.CharField(allow_blank=True)
    grain = serializers.ChoiceField(choices=list(Grain))
    time_zone = serializers.CharField()
    first = serializers.DateField()
    last = serializers.DateField()
    breakdown = serializers.CharField(allow_null=True)
    computed_at = serializers.DateTimeField(allow_null=True)
    groups = GroupAnswer(many=True)
    before = GroupAnswer(many=True)
    change_pct = serializers.FloatField(allow_null=True)


class BehindOneAnswer(serializers.Serializer[Any]):
    """A user or a content; without a name for who may not see it."""

    number = serializers.IntegerField(help_text="The same as long as it is known at all; no id.")
    name = serializers.CharField(allow_null=True)
    impressions = serializers.IntegerField(allow_null=True)


class BehindAnswer(serializers.Serializer[Any]):
    """What stands behind a point."""

    metric = serializers.CharField()
    day = serializers.DateField()
    grain = serializers.ChoiceField(choices=list(Grain))
    kind = serializers.ChoiceField(choices=["users", "contents"])
    total = serializers.IntegerField()
    items = BehindOneAnswer(many=True)


class CohortAnswer(serializers.Serializer[Any]):
    """Users who began in one period."""

    day = serializers.DateField()
    size = serializers.IntegerField()
    returned = serializers.ListField(child=serializers.IntegerField(allow_null=True))
    shares = serializers.ListField(child=serializers.FloatField(allow_null=True))


class RetentionAnswer(serializers.Serializer[Any]):
    """A cohort table; null where the time has not passed."""

    cohort = serializers.ChoiceField(choices=[Grain.DAY, Grain.WEEK, Grain.MONTH])
    mode = serializers.ChoiceField(choices=list(Mode))
    first_seen = serializers.BooleanField()
    time_zone = serializers.CharField()
    columns = serializers.ListField(child=serializers.CharField())
    cohorts = CohortAnswer(many=True)
    weighted = serializers.ListField(child=serializers.FloatField(allow_null=True))


class ActiveDaysAnswer(serializers.Serializer[Any]):
    """How many users were active on 1, 2, ... of the days that end with `day`."""

    day = serializers.DateField()
    window = serializers.IntegerField()
    time_zone = serializers.CharField()
    users = serializers.ListField(child=serializers.IntegerField())


def definition_json(kpi: Kpi) -> dict[str, Any]:
    """A `DefinitionAnswer`."""
    return {
        "key": kpi.key, "title": kpi.title, "unit": kpi.unit, "section": kpi.section, "definition": kpi.definition,
        "sql": kpi.sql, "grains": list(kpi.grains), "breakdowns": list(kpi.dimensions),
    }  # fmt: skip


def behind_json(found: Behind, kpi: Kpi, asked: Range, *, named: bool) -> dict[str, Any]:
    """A `BehindAnswer`."""
    items = [
        {"number": number, "name": name if named else None, "impressions": impressions}
        for number, name, impressions in found.names
    ]
    return {
        "metric": kpi.key, "day": asked.first, "grain": asked.grain, "kind": found.kind, "total": found.total,
        "items": items,
    }  # fmt: skip


def series_json(found: KpiSeries) -> dict[str, Any]:
    """A `MetricAnswer`."""
    return {
        "metric": found.kpi.key, "title": found.kpi.title, "unit": found.kpi.unit, "grain": found.grain,
        "time_zone": settings.REPORTING_TIME_ZONE, "first": found.first, "last": found.last,
        "breakdown": found.dimension, "computed_at": ranges.computed_at(),
        "groups": [_group_json(group) for group in found.groups],
        "before": [_group_json(group) for group in found.before], "change_pct": found.change_pct,
    }  # fmt: skip


def _group_json(group: Group) -> dict[str, Any]:
    points = [
        {
            "start": point.period.start, "end": point.period.end, "day": point.period.first, "value": point.value,
            "complete": point.complete, "provisional": point.provisional, "suppressed": point.suppressed,
        }
        for point in group.points
    ]  # fmt: skip
    return {"group": group.name, "value": group.value, "points": points}


def series_rows(found: KpiSeries) -> Iterator[list[Cell]]:
    """The points as rows of a CSV: metric, group, start, end, value, unit, complete, provisional."""
    for group in found.groups:
        for point in group.points:
            yield [
                found.kpi.key, group.name, point.period.start.isoformat(), point.period.end.isoformat(), point.value,
                found.kpi.unit, point.complete, point.provisional,
            ]  # fmt: skip


SERIES_HEADER = ("metric", "group", "start", "end", "value", "unit", "complete", "provisional")


def retention_json(table: RetentionTable) -> dict[str, Any]:
    """A `RetentionAnswer`."""
    cohorts = [
        {"day": each.period.first, "size": each.size, "returned": each.returned, "shares": each.shares}
        for each in table.cohorts
    ]
    return {
        "cohort": table.grain, "mode": table.mode, "first_seen": table.first_seen,
        "time_zone": settings.REPORTING_TIME_ZONE, "columns": table.columns, "cohorts": cohorts,
        "weighted": table.weighted,
    }  # fmt: skip
