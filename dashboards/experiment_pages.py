"""Pages of experiments: the list, a set-up with a power calculator, and one experiment with all it says."""

import json
from collections.abc import Mapping
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from dashboards import experiment_charts as charts
from dashboards import experiment_decisions as decisions
from dashboards import experiment_results
from dashboards.experiment_api import RUN_PERMISSION, blocked, readable
from dashboards.experiment_metrics import DEFAULT_GOALS, DEFAULT_GUARDRAILS, METRICS
from dashboards.views import board_page, context_of, state_of
from ranking import experiment_lifecycle as lifecycle
from ranking import experiment_queries
from ranking.experiment_lifecycle import Experiment, Refused, UnknownExperiment
from ranking.experiments.draft import InvalidExperiment
from ranking.experiments.overrides import PARTS

BOARD: Final = "experiments"
MOST_ROWS: Final = 3
"""Treatment arms that the form has room for; the API takes more."""
EXAMPLE: Final = '{"for_you": {"fresh": 100}}'


@board_page
def listing(request: HttpRequest) -> HttpResponse:
    """All experiments, newest first."""
    rows = []
    for each in experiment_queries.experiments():
        reading = experiment_results.stored(each.key, each.phase)
        data = reading.data if reading else None
        rows.append({"row": each, "exposed": sum(data["exposed"]) if data else None, "blocked": blocked(data)})
    return render(
        request,
        "dashboards/experiments.html",
        context_of(state_of(request), board=BOARD, rows=rows, may_run=_may(request)),
    )


@board_page
@require_http_methods(["GET", "POST"])
def set_up(request: HttpRequest) -> HttpResponse:
    """A new draft, or what it would take."""
    if not _may(request):
        raise PermissionDenied
    typed = _typed(request)
    error, plan = "", None
    if request.method == "POST":
        try:
            told = decisions.parsed(_document(typed))
            if request.POST.get("do") == "create":
                lifecycle.create(told, by=request.user.get_username(), now=timezone.now())
                return redirect("dashboards:experiment", key=told.key)
            plan = decisions.plan_for(
                told.goals[0], float(typed["lift"]) / 100.0, arms=len(told.arms), coverage=told.coverage,
                alpha=told.alpha, tuned_for=told.tuned_for, now=timezone.now(),
            )  # fmt: skip
        except (InvalidExperiment, Refused) as refused:
            error = str(refused)
    context = context_of(
        state_of(request),
        board=BOARD,
        typed=typed,
        error=error,
        plan=plan,
        metrics=METRICS.values(),
        parts=PARTS,
        example=EXAMPLE,
    )
    return render(request, "dashboards/experiment_form.html", context, status=400 if error else 200)


@board_page
def one(request: HttpRequest, key: str) -> HttpResponse:
    """What an experiment says, how healthy it is, and what was decided."""
    row = experiment_queries.experiment(key)
    if row is None:
        raise Http404(f"there is no experiment {key[:60]!a}")
    reading = experiment_results.stored(key, row.phase)
    data = reading.data if reading else None
    context = context_of(
        state_of(request), board=BOARD, row=row, may_run=_may(request), blocked=blocked(data), data=data,
        shown=_shown(row, readable(data)) if data else None, decisions=lifecycle.decisions_of(key),
        arms=[{**arm, "changes": json.dumps(arm["overrides"], indent=1)} for arm in row.arms],
    )  # fmt: skip
    return render(request, "dashboards/experiment.html", context)


@board_page
@require_POST
def step(request: HttpRequest, key: str) -> HttpResponse:
    """One step of the lifecycle, as a button of the page says."""
    if not _may(request):
        raise PermissionDenied
    told: dict[str, Any] = {"by": request.user.get_username(), "reason": request.POST.get("reason", ""),
                            "now": timezone.now()}  # fmt: skip
    name = request.POST.get("do", "")
    try:
        if name == "start":
            decisions.start(key, lift=_percent(request, "lift", 5.0), **told)
        elif name == "stop":
            decisions.stop(key, **told)
        elif name == "ship":
            decisions.ship(key, request.POST.get("arm", ""), **told)
        elif name == "coverage":
            lifecycle.grow(key, _percent(request, "coverage", 0.0), **told)
        elif name == "phase":
            lifecycle.new_phase(key, **told)
        elif name == "withdraw":
            lifecycle.withdraw(key, **told)
        elif name == "read":
            experiment_results.read(decisions.found(key), now=told["now"])
        else:
            messages.error(request, f"There is no step {name[:40]!a}.")
    except UnknownExperiment as error:
        raise Http404(str(error)) from None
    except Refused as error:
        messages.error(request, f"Not done: {error}.")
    return redirect("dashboards:experiment", key=key)


def _may(request: HttpRequest) -> bool:
    return bool(request.user.has_perm(RUN_PERMISSION))


def _percent(request: HttpRequest, name: str, default: float) -> float:
    """A percentage as a share; what is no number is the default, which the services judge."""
    try:
        return float(request.POST.get(name, "")) / 100.0
    except ValueError:
        return default / 100.0


def _typed(request: HttpRequest) -> dict[str, Any]:
    """The form as it was typed, or as it begins."""
    post = request.POST
    if request.method != "POST":
        rows = [
            {"key": "control", "weight": "1", "overrides": ""},
            {"key": "treatment", "weight": "1", "overrides": ""},
        ]
        rows += [{"key": "", "weight": "1", "overrides": ""} for _ in range(MOST_ROWS - 1)]
        return {"key": "", "title": "", "hypothesis": "", "coverage": "100", "namespace": "", "namespace_from": "0",
                "namespace_to": "100", "lift": "5", "goals": list(DEFAULT_GOALS),
                "guardrails": list(DEFAULT_GUARDRAILS), "margin": "0", "arms": rows}  # fmt: skip
    names = ("key", "title", "hypothesis", "coverage", "namespace", "namespace_from", "namespace_to", "lift", "margin")
    rows = [
        {"key": key, "weight": weight, "overrides": overrides}
        for key, weight, overrides in zip(
            post.getlist("arm_key"), post.getlist("arm_weight"), post.getlist("arm_overrides"), strict=False
        )
    ]
    return {name: post.get(name, "") for name in names} | {
        "goals": post.getlist("goals"), "guardrails": post.getlist("guardrails"), "arms": rows,
    }  # fmt: skip


def _document(typed: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed as the API takes it; raises InvalidExperiment."""
    arms = []
    for number, each in enumerate(typed["arms"]):
        if not each["key"].strip():
            continue
        field = f"arms[{number}].overrides"
        try:
            overrides = json.loads(each["overrides"] or "{}")
        except ValueError as error:
            raise InvalidExperiment(f"{field}: {error}", field) from None
        weight = _number(f"arms[{number}].weight", each["weight"])
        arms.append({"key": each["key"].strip(), "weight": weight, "overrides": overrides})
    margin = _number("margin", typed["margin"]) / 100.0
    _number("lift", typed["lift"])
    return {
        "key": typed["key"].strip(), "title": typed["title"], "hypothesis": typed["hypothesis"], "arms": arms,
        "coverage": _number("coverage", typed["coverage"]) / 100.0, "namespace": typed["namespace"].strip(),
        "namespace_from": _number("namespace_from", typed["namespace_from"]) / 100.0,
        "namespace_to": _number("namespace_to", typed["namespace_to"]) / 100.0, "goals": typed["goals"],
        "guardrails": [{"metric": metric, "margin": margin} for metric in typed["guardrails"]],
    }  # fmt: skip


def _number(field: str, raw: str) -> float:
    try:
        return float(raw)
    except ValueError:
        raise InvalidExperiment(f"{field} must be a number, got {raw[:40]!r}", field) from None


def _shown(row: Experiment, data: Mapping[str, Any]) -> dict[str, Any]:
    """A reading with its charts."""
    arms = data["arms"]
    effects = [arm["effect"] for metric in data["metrics"] for arm in metric["arms"]]
    reach = charts.widest([each for each in effects if each and each["upper"] - each["lower"] < 1.0])
    metrics = [
        {**metric, "arms": [{**arm, "bar": charts.bar(arm["effect"], reach)} for arm in metric["arms"]]}
        for metric in data["metrics"]
    ]
    goals = [
        {"title": METRICS[goal].title, "chart": charts.timeline(data["timeline"], goal, arms)} for goal in row.goals
    ]
    segments = [{**each, "goals": [(METRICS[goal].title, told) for goal, told in each["effects"].items()]}
                for each in data["segments"]]  # fmt: skip
    return {
        "goals": [each for each in goals if each["chart"]],
        "metrics": [each for each in metrics if each["role"] != "secondary"],
        "secondary": [each for each in metrics if each["role"] == "secondary"],
        "guardrails": data["guardrails"], "segments": segments, "novelty": data["novelty"],
        "treatments": arms[1:], "reach": reach,
        "timeline": [{**each, "told": [(METRICS[key].title, told) for key, told in each["effects"].items()
                                       if key in row.goals]} for each in reversed(data["timeline"])],
    }  # fmt: skip
