"""The analyst's API: every number of the boards as JSON or CSV, with its definition.

For server keys with the scope `metrics:read`, and for members of staff who may see the dashboards.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.authentication import SessionAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dashboards import behind, cohorts, ranges, series
from dashboards.api_serializers import (
    SERIES_HEADER,
    ActiveDaysAnswer,
    BehindAnswer,
    DefinitionsAnswer,
    MetricAnswer,
    RetentionAnswer,
    behind_json,
    definition_json,
    retention_json,
    series_json,
    series_rows,
)
from dashboards.cohorts import Mode
from dashboards.csv_text import Cell, csv_text
from dashboards.kpis import KPIS
from dashboards.query_params import (
    FORMATS,
    brackets_of,
    check_zone,
    day_of,
    dimension_of,
    grain_of,
    kpi_of,
    only_of,
    span_of,
)
from dashboards.stats.periods import Grain
from events.authentication import BearerAuthentication, require_scope
from events.errors import InvalidRequest, NotFound
from events.serializers import ErrorAnswer
from events.views import REFUSALS
from ranking.query_params import one_of, only, whole_number

VIEW_PERMISSION: Final = "dashboards.view_kpipoint"
PEOPLE_PERMISSION: Final = "events.view_userprofile"
CONTENT_PERMISSION: Final = "events.view_content"
MOST_COLUMNS: Final = 60
DEFAULT_COLUMNS: Final = 14
DEFAULT_BRACKETS: Final = "1,2-3,4-7,8-14"
WINDOWS: Final = ("7", "28")
FROM = OpenApiParameter("from", OpenApiTypes.DATE, description="First day; by default 30 days before `to`.")
TO = OpenApiParameter("to", OpenApiTypes.DATE, description="Last day, included; by default the newest measured one.")
ZONE = OpenApiParameter("tz", str, description="The project's reporting time zone; any other is refused.")
FORMAT = OpenApiParameter("format", str, enum=FORMATS, default="json")


class MayReadMetrics(require_scope("metrics:read")):  # type: ignore[misc]  # a class made by a function
    """A server key with the scope, or a member of staff who may see KPI points."""

    def has_permission(self, request: Request, view: Any) -> bool:
        user = request.user
        if request.auth is None and user is not None and user.is_active and user.is_staff:
            return bool(user.has_perm(VIEW_PERMISSION))
        return bool(super().has_permission(request, view))


class AnyFormat(BaseContentNegotiation):
    """Errors are JSON whatever `format` asks for; the views themselves write CSV."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        return next(iter(parsers))

    def select_renderer(self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None) -> Any:
        first = next(iter(renderers))
        return first, first.media_type


class MetricsView(APIView):
    """A door of the analyst's API."""

    authentication_classes = (BearerAuthentication, SessionAuthentication)
    permission_classes = (MayReadMetrics,)
    content_negotiation_class = AnyFormat

    def answer(
        self,
        request: Request,
        body: dict[str, Any],
        *,
        name: str,
        header: Sequence[str],
        rows: Iterable[Sequence[Cell]],
    ) -> Any:
        """JSON, or a CSV file of that name."""
        if one_of(request.query_params, "format", FORMATS, default="json") == "json":
            return Response(body)
        response = HttpResponse(csv_text(header, rows), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
        return response


def answers(shape: Any) -> dict[Any, Any]:
    """JSON of a shape, or CSV, or the usual refusals."""
    return {(200, "application/json"): shape, (200, "text/csv"): OpenApiTypes.STR, **REFUSALS}


class DefinitionsView(MetricsView):
    """What each metric is."""

    @extend_schema(
        summary="List the metrics", description="With definition, unit, SQL over the raw log, grains and breakdowns.",
        parameters=[FORMAT], responses=answers(DefinitionsAnswer),
    )  # fmt: skip
    def get(self, request: Request) -> Any:
        only(request.query_params, ("format",))
        metrics = [definition_json(kpi) for kpi in KPIS]
        header = ("key", "title", "unit", "section", "definition", "sql")
        rows = ([each[name] for name in header] for each in metrics)
        body = {"time_zone": settings.REPORTING_TIME_ZONE, "metrics": metrics}
        return self.answer(request, body, name="metrics", header=header, rows=rows)


class MetricView(MetricsView):
    """One metric over a range."""

    @extend_schema(
        summary="Get a metric",
        description="By hour, day, week or month of the reporting time zone; by the ten largest values of a breakdown "
        "and the rest of them, `(other)` and `(none)`; beside the range of the same length before. A point that is not "
        "`complete` is of a period that still runs, and is neither summed nor compared.",
        parameters=[
            FROM, TO, ZONE, FORMAT,
            OpenApiParameter("grain", str, enum=list(Grain), default=Grain.DAY),
            OpenApiParameter("breakdown", str, description="As listed by the definitions."),
            OpenApiParameter("compare", str, enum=["previous"], description="Adds the range before."),
            OpenApiParameter("filter", str, description="Instead of a breakdown: a dimension and the values of it that "
                             "count, any of them, such as `country:DE,FR`; by hour one value."),
        ],
        responses={**answers(MetricAnswer), 404: ErrorAnswer},
    )  # fmt: skip
    def get(self, request: Request, name: str) -> Any:
        params = request.query_params
        only(params, ("from", "to", "tz", "format", "grain", "breakdown", "compare", "filter"))
        kpi = kpi_of(name)
        check_zone(params)
        grain, now = grain_of(params, kpi), timezone.now()
        dimension, span = dimension_of(params, kpi), span_of(params, grain, now=now)
        compare = one_of(params, "compare", ("", "previous"), default="") == "previous"
        found = series.series(
            kpi, span.first, span.last, grain, now=now, dimension=dimension, compare=compare,
            only=only_of(params, kpi, grain),
        )  # fmt: skip
        return self.answer(
            request, series_json(found), name=f"{kpi.key}_{span.first}_{span.last}", header=SERIES_HEADER,
            rows=series_rows(found),
        )  # fmt: skip


class BehindView(MetricsView):
    """Who or what stands behind a point of a metric."""

    @extend_schema(
        summary="List what is behind a point",
        description=f"Up to {behind.MOST} users or contents of the period that begins on `day`. Names of users come "
        "for staff who may see profiles, names of contents for staff who may see contents; a key gets numbers only.",
        parameters=[
            OpenApiParameter("day", OpenApiTypes.DATE, required=True),
            OpenApiParameter("grain", str, enum=list(Grain), default=Grain.DAY), FORMAT,
        ],
        responses={**answers(BehindAnswer), 404: ErrorAnswer},
    )  # fmt: skip
    def get(self, request: Request, name: str) -> Any:
        params = request.query_params
        only(params, ("day", "grain", "format"))
        kpi = kpi_of(name)
        if not behind.can_show(kpi):
            raise NotFound(f"nothing is listed behind {kpi.key}", code="nothing_behind")
        if "day" not in params:
            raise InvalidRequest("day is missing: which point?", code="missing_parameter", field="day")
        day, grain = day_of(params["day"], "day"), grain_of(params, kpi)
        asked = behind.at(grain, kpi, day, now=timezone.now())
        found = behind.behind(kpi, asked)
        needed = PEOPLE_PERMISSION if found.kind == "users" else CONTENT_PERMISSION
        named = request.auth is None and request.user.has_perm(needed)
        body = behind_json(found, kpi, asked, named=named)
        rows = ([each["number"], each["name"], each["impressions"]] for each in body["items"])
        return self.answer(
            request, body, name=f"{kpi.key}_behind_{day}", header=("number", "name", "impressions"), rows=rows
        )


class RetentionView(MetricsView):
    """Cohorts and who of them came back."""

    @extend_schema(
        summary="Get a retention table",
        description="Cohorts of users by the calendar day, week or month of their first activity (`first_seen=1`), or "
        "of all who were active then (`first_seen=0`). `n_day`: active exactly n periods later; `unbounded`: then or "
        "later; `bracket`: at least once in a span of periods. Null where that time has not fully passed.",
        parameters=[
            FROM, TO, ZONE, FORMAT,
            OpenApiParameter("cohort", str, enum=[Grain.DAY, Grain.WEEK, Grain.MONTH], default=Grain.DAY),
            OpenApiParameter("mode", str, enum=list(Mode), default=Mode.N_DAY),
            OpenApiParameter("columns", int, description=f"Periods to show, 1 to {MOST_COLUMNS}.",
                             default=DEFAULT_COLUMNS),
            OpenApiParameter("brackets", str, description="With `mode=bracket`.", default=DEFAULT_BRACKETS),
            OpenApiParameter("first_seen", str, enum=["1", "0"], default="1"),
        ],
        responses=answers(RetentionAnswer),
    )  # fmt: skip
    def get(self, request: Request) -> Any:
        params = request.query_params
        only(params, ("from", "to", "tz", "format", "cohort", "mode", "columns", "brackets", "first_seen"))
        check_zone(params)
        grain = Grain(one_of(params, "cohort", ("day", "week", "month"), default="day"))
        mode = Mode(one_of(params, "mode", tuple(Mode), default=Mode.N_DAY))
        now = timezone.now()
        span = span_of(params, grain, now=now)
        table = cohorts.retention(
            span.first, span.last, grain, now=now, mode=mode,
            length=whole_number(params, "columns", default=DEFAULT_COLUMNS, most=MOST_COLUMNS),
            brackets=brackets_of(params.get("brackets", DEFAULT_BRACKETS)),
            first_seen=one_of(params, "first_seen", ("1", "0"), default="1") == "1",
        )  # fmt: skip
        rows: list[list[Cell]] = [[str(each.period.first), each.size, *each.shares] for each in table.cohorts]
        return self.answer(
            request, retention_json(table), name=f"retention_{span.first}_{span.last}",
            header=("cohort", "size", *table.columns), rows=[*rows, ["weighted", None, *table.weighted]],
        )  # fmt: skip


class ActiveDaysView(MetricsView):
    """On how many of the last days users were active."""

    @extend_schema(
        summary="Get the users by number of active days",
        parameters=[
            OpenApiParameter("day", OpenApiTypes.DATE, description="Last of the days; by default the newest measured."),
            OpenApiParameter("window", str, enum=WINDOWS, default="28"), ZONE, FORMAT,
        ],
        responses=answers(ActiveDaysAnswer),
    )  # fmt: skip
    def get(self, request: Request) -> Any:
        params = request.query_params
        only(params, ("day", "window", "tz", "format"))
        check_zone(params)
        window = int(one_of(params, "window", WINDOWS, default="28"))
        measured = ranges.span()
        if "day" in params:
            day = day_of(params["day"], "day")
        elif measured:
            day = measured[1]
        else:
            raise InvalidRequest("nothing has been measured yet, so `day` must be given", field="day")
        users = cohorts.days_active(day, window=window)
        body = {"day": day, "window": window, "time_zone": settings.REPORTING_TIME_ZONE, "users": users}
        rows = list(enumerate(users, start=1))
        return self.answer(request, body, name=f"active_days_{day}", header=("active_days", "users"), rows=rows)
