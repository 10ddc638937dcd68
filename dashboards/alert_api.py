"""Alerts, real time, the system and funnels for notebooks: what the pages show, as JSON or CSV."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response

from dashboards import alerts, funnels, live, signals
from dashboards.alert_models import AlertIncident, AlertRule
from dashboards.alert_serializers import (
    AckBody,
    FunnelAnswer,
    IncidentAnswer,
    IncidentsAnswer,
    LiveAnswer,
    RulesAnswer,
    SystemAnswer,
    group_json,
    incident_json,
    rule_json,
)
from dashboards.api_views import FORMAT, FROM, TO, ZONE, MetricsView, answers
from dashboards.funnels import DEFAULT_STEPS, MOST_DAYS
from dashboards.moderation_staff_api import require_staff
from dashboards.query_params import check_zone, span_of, steps_of
from dashboards.stats.periods import Grain
from events.bodies import JsonBody
from events.errors import NotFound
from events.serializers import ErrorAnswer
from events.views import BODY_REFUSALS, BodyView
from ranking.query_params import one_of, only, whole_number

ACK: Final = "dashboards.ack_alertincident"
MOST_LISTED: Final = 200
MOST_HOURS: Final = 24 * 35
STATES: Final = ("open", "over", "all")


class RulesView(MetricsView):
    """The rules of alerts."""

    @extend_schema(summary="List the rules of alerts", parameters=[FORMAT], responses=answers(RulesAnswer))
    def get(self, request: Request) -> Any:
        only(request.query_params, ("format",))
        rules = [rule_json(rule) for rule in AlertRule.objects.select_related("quiet_under").order_by("name")]
        header = ("name", "watches", "grain", "condition", "bound", "severity", "enabled", "state", "said")
        rows = ([each[name] for name in header] for each in rules)
        return self.answer(request, {"rules": rules}, name="alert_rules", header=header, rows=rows)


class IncidentsView(MetricsView):
    """Incidents."""

    @extend_schema(
        summary="List the incidents", description=f"The newest {MOST_LISTED}, with their timelines.",
        parameters=[OpenApiParameter("state", str, enum=STATES, default="open"), FORMAT],
        responses=answers(IncidentsAnswer),
    )  # fmt: skip
    def get(self, request: Request) -> Any:
        params = request.query_params
        only(params, ("state", "format"))
        state = one_of(params, "state", STATES, default="open")
        rows = AlertIncident.objects.select_related("rule").prefetch_related("timeline").order_by("-fired_at")
        if state != "all":
            rows = rows.filter(resolved_at__isnull=state == "open")
        incidents = [incident_json(each) for each in rows[:MOST_LISTED]]
        header = ("id", "rule", "watches", "severity", "first_period", "last_period", "value", "expected", "reason",
                  "acked_by")  # fmt: skip
        table = ([each[name] for name in header] for each in incidents)
        return self.answer(request, {"incidents": incidents}, name="incidents", header=header, rows=table)


class AckView(BodyView):
    """Say that somebody is at it; for staff who may."""

    parser_classes = (JsonBody,)
    authentication_classes = (SessionAuthentication,)
    permission_classes = (require_staff(ACK),)

    @extend_schema(
        summary="Acknowledge an incident", request=AckBody,
        responses={200: IncidentAnswer, **BODY_REFUSALS, 404: ErrorAnswer},
    )  # fmt: skip
    def post(self, request: Request, key: int) -> Response:
        note = AckBody(data=request.data)
        note.is_valid(raise_exception=True)
        if not AlertIncident.objects.filter(pk=key).exists():
            raise NotFound(f"there is no incident {key}", code="unknown_incident")
        said = note.validated_data.get("note", "")
        alerts.acknowledge([key], by=request.user.get_username(), note=said, now=timezone.now())
        return Response(incident_json(AlertIncident.objects.select_related("rule").get(pk=key)))


class LiveView(MetricsView):
    """Real time."""

    @extend_schema(summary="Get the last thirty minutes", parameters=[FORMAT], responses=answers(LiveAnswer))
    def get(self, request: Request) -> Any:
        only(request.query_params, ("format",))
        header = ("start", "events", "views", "impressions", "users")
        minutes = [{name: getattr(each, name) for name in header} for each in live.minutes(timezone.now())]
        rows = ([each["start"].isoformat(), *(each[name] for name in header[1:])] for each in minutes)
        return self.answer(request, {"minutes": minutes}, name="live", header=header, rows=rows)


class SystemView(MetricsView):
    """The system's own figures."""

    @extend_schema(
        summary="Get the readings of the system",
        parameters=[
            OpenApiParameter("hours", int, description=f"How far back, 1 to {MOST_HOURS}.", default=24), FORMAT,
        ],
        responses=answers(SystemAnswer),
    )  # fmt: skip
    def get(self, request: Request) -> Any:
        params = request.query_params
        only(params, ("hours", "format"))
        hours, now = whole_number(params, "hours", default=24, most=MOST_HOURS), timezone.now()
        found = signals.readings(now - timedelta(hours=hours), now)
        keys = [signal.key for signal in signals.SIGNALS]
        body = {
            "signals": [asdict(each) for each in signals.SIGNALS],
            "readings": [{"at": each.at, "values": {key: each.values.get(key) for key in keys}} for each in found],
        }
        rows = ([each.at.isoformat(), *(each.values.get(key) for key in keys)] for each in found)
        return self.answer(request, body, name="system", header=("at", *keys), rows=rows)


class FunnelView(MetricsView):
    """How far users come through some steps."""

    @extend_schema(
        summary="Get a funnel",
        description=f"Users who begin in the range (at most {MOST_DAYS} days), step after step in order, the last at "
        "most `within` hours after the first. Counted from the log; of several beginnings of a user the one that "
        "led furthest counts, and one event serves one step.",
        parameters=[
            FROM, TO, ZONE, FORMAT,
            OpenApiParameter("steps", str, description="Event types, in order.", default=",".join(DEFAULT_STEPS)),
            OpenApiParameter("within", int, description="Hours from the first step, 1 to 720.", default=24),
            OpenApiParameter("breakdown", str, enum=["country"]),
        ],
        responses=answers(FunnelAnswer),
    )  # fmt: skip
    def get(self, request: Request) -> Any:
        params = request.query_params
        only(params, ("from", "to", "tz", "format", "steps", "within", "breakdown"))
        check_zone(params)
        steps = steps_of(params.get("steps", ",".join(DEFAULT_STEPS)))
        within = whole_number(params, "within", default=24, most=720)
        by_country = one_of(params, "breakdown", ("", "country"), default="") == "country"
        span = span_of(params, Grain.DAY, now=timezone.now(), most_days=MOST_DAYS)
        found = funnels.table(span.first, span.last, steps, within=timedelta(hours=within), by_country=by_country)
        groups = [group_json(each, steps) for each in found.groups]
        body = {
            "first": span.first, "last": span.last, "time_zone": settings.REPORTING_TIME_ZONE, "within_hours": within,
            "groups": groups,
        }  # fmt: skip
        header = ("group", "step", "users", "of_first_pct", "of_previous_pct", "median_s")
        rows = ([group["group"], *(step[name] for name in header[1:])] for group in groups for step in group["steps"])
        return self.answer(request, body, name=f"funnel_{span.first}_{span.last}", header=header, rows=rows)
