"""Pages of alerts: what fires, every rule with what it last said, an incident with its chart and timeline."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from dashboards import alerts, charts, signals
from dashboards.alert_models import AlertIncident, AlertRule, AlertSilence
from dashboards.kpis import BY_KEY
from dashboards.stats.alerting import Kind
from dashboards.views import board_page, context_of, state_of

SEE: Final = "dashboards.view_alertincident"
ACK: Final = "dashboards.ack_alertincident"
SILENCE: Final = "dashboards.add_alertsilence"
MOST_PAST: Final = 30
HOURS: Final = (1, 4, 24, 72, 168)
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def needs(permission: str) -> Callable[[View[P]], View[P]]:
    """A page of the dashboards that asks for one more permission."""

    def guard(view: View[P]) -> View[P]:
        @board_page
        @wraps(view)
        def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not request.user.has_perm(permission):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return checked

    return guard


def watched(rule: AlertRule) -> tuple[str, str]:
    """Title and unit of what a rule watches."""
    found = BY_KEY.get(rule.kpi) or signals.BY_KEY.get(rule.kpi)
    return (found.title, found.unit) if found else (rule.kpi, "")


def condition(rule: AlertRule, unit: str) -> str:
    """What makes a rule fire, in words."""
    bound = f"{abs(rule.bound):g}"
    with_unit = f"{bound} {unit}".strip()
    words = {
        Kind.ABOVE: f"above {with_unit}", Kind.BELOW: f"below {with_unit}",
        Kind.WEEKDAY_CHANGE: f"{'fell' if rule.bound >= 0 else 'rose'} by {bound} % in a week",
        Kind.ANOMALY: f"unusual for the weekday, z {bound}", Kind.NO_DATA: "nothing came, where something used to",
    }[Kind(rule.kind)]  # fmt: skip
    words += f", {rule.in_row} in a row" if rule.in_row > 1 else ""
    words += f", from {rule.least_users} users on" if rule.least_users else ""
    return words + (f"; quiet while “{rule.quiet_under.name}” fires" if rule.quiet_under else "")


@needs(SEE)
def alerts_page(request: HttpRequest) -> HttpResponse:
    """Open incidents first, then every rule, then what is over."""
    incidents = AlertIncident.objects.select_related("rule").order_by("-fired_at")
    rules = []
    for rule in AlertRule.objects.select_related("quiet_under").order_by("name"):
        title, unit = watched(rule)
        rules.append((rule, title, condition(rule, unit)))
    context = context_of(
        state_of(request), board="alerts", open=incidents.filter(resolved_at=None), rules=rules,
        past=incidents.exclude(resolved_at=None)[:MOST_PAST],
        silences=AlertSilence.objects.filter(end__gt=timezone.now()).select_related("rule").order_by("end"),
    )  # fmt: skip
    return render(request, "dashboards/alerts.html", context)


def _incident(key: int) -> AlertIncident:
    found = AlertIncident.objects.select_related("rule").filter(pk=key).first()
    if found is None:
        raise Http404(f"there is no incident {key}")
    return found


@needs(SEE)
def incident_page(request: HttpRequest, key: int) -> HttpResponse:
    """One incident: what it was about, its chart as it fired, everything that happened since."""
    incident = _incident(key)
    title, unit = watched(incident.rule)
    context: dict[str, Any] = context_of(
        state_of(request), board="alerts", incident=incident, shown={"title": title, "unit": unit}, hours=HOURS,
        chart=charts.trail([(period, value) for period, value in incident.chart], unit=unit),
        timeline=incident.timeline.all(), is_kpi=incident.rule.kpi in BY_KEY,
        may_ack=request.user.has_perm(ACK) and incident.resolved_at is None and incident.acked_at is None,
        may_silence=request.user.has_perm(SILENCE),
    )  # fmt: skip
    return render(request, "dashboards/incident.html", context)


@needs(ACK)
@require_POST
def acknowledge(request: HttpRequest, key: int) -> HttpResponse:
    """Say that one is at it."""
    incident = _incident(key)
    note = request.POST.get("note", "")[:200]
    if alerts.acknowledge([incident.pk], by=request.user.get_username(), note=note, now=timezone.now()):
        messages.success(request, "Acknowledged: it is not told again.")
    else:
        messages.warning(request, "It was acknowledged or over already.")
    return redirect("dashboards:incident", key=incident.pk)


@needs(SILENCE)
@require_POST
def silence(request: HttpRequest, key: int) -> HttpResponse:
    """Keep the messages of the incident's rule back for some hours."""
    incident = _incident(key)
    raw = request.POST.get("hours", "")
    if raw not in map(str, HOURS):
        messages.error(request, f"a silence lasts {', '.join(map(str, HOURS))} hours; got {raw[:20]!r}")
    else:
        now = timezone.now()
        AlertSilence.objects.create(
            rule=incident.rule, start=now, end=now + timedelta(hours=int(raw)), author=request.user.get_username(),
            comment=request.POST.get("note", "")[:200],
        )  # fmt: skip
        messages.success(request, f"{incident.rule} is silent for {raw} hours.")
    return redirect("dashboards:incident", key=incident.pk)
