"""HTTP doors of experiments for those who run and judge them: set-up, plan, steps, results, decisions.

Reading is for whoever may read metrics; changing for members of staff who may run experiments, and for server keys
with the scope `experiments:write`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response

from dashboards import experiment_decisions as decisions
from dashboards import experiment_results
from dashboards.api_views import MayReadMetrics
from dashboards.experiment_metrics import METRICS
from events.authentication import BearerAuthentication, require_scope
from events.bodies import JsonBody
from events.errors import Conflict, InvalidRequest, NotFound
from events.serializers import ErrorAnswer, StrictSerializer
from events.views import BODY_REFUSALS, REFUSALS, BodyView
from ranking import experiment_lifecycle as lifecycle
from ranking import experiment_queries
from ranking.experiment_lifecycle import Experiment, Refused, UnknownExperiment
from ranking.experiments.draft import Draft, InvalidExperiment
from ranking.query_params import only

RUN_PERMISSION: Final = "ranking.run_experiment"
_WRITES: Final = {**BODY_REFUSALS, 404: ErrorAnswer, 409: ErrorAnswer}
SET_UP: Final = OpenApiExample(
    "More fresh contents", request_only=True,
    value={
        "key": "more-fresh", "title": "More fresh contents", "hypothesis": "New clips bring people back.",
        "arms": [{"key": "control"}, {"key": "fresh", "overrides": {"for_you": {"fresh": 100}}}],
        "coverage": 0.5, "goals": ["watch_h", "retention_d1"],
        "guardrails": [{"metric": "negative_rate", "margin": 0.05}],
    },
)  # fmt: skip


class MayRunExperiments(require_scope("experiments:write")):  # type: ignore[misc]  # a class made by a function
    """A server key with the scope, or a member of staff who may run experiments; reading as for metrics."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.method in {"GET", "HEAD", "OPTIONS"}:
            return bool(MayReadMetrics().has_permission(request, view))
        user = request.user
        if request.auth is None and user is not None and user.is_active and user.is_staff:
            return bool(user.has_perm(RUN_PERMISSION))
        return bool(super().has_permission(request, view))


class ArmBody(StrictSerializer):
    """One arm; the first is control."""

    key = serializers.CharField()
    weight = serializers.FloatField(default=1.0)
    overrides = serializers.JSONField(default=dict, help_text="What it changes of the feed, by part.")
    payload = serializers.JSONField(required=False, allow_null=True, help_text="What it tells a client.")


class ExperimentBody(serializers.Serializer[Any]):
    """A set-up; `ranking.experiments.draft` checks it as a whole."""

    key = serializers.CharField(max_length=32)
    title = serializers.CharField(max_length=120)
    hypothesis = serializers.CharField(required=False, allow_blank=True)
    arms = ArmBody(many=True)
    coverage = serializers.FloatField(required=False, default=1.0)
    namespace = serializers.CharField(required=False, allow_blank=True)
    namespace_from = serializers.FloatField(required=False)
    namespace_to = serializers.FloatField(required=False)
    chosen = serializers.JSONField(required=False, help_text="User to arm, for staff; never counted.")
    goals = serializers.ListField(child=serializers.CharField(), help_text="One to three metrics.")
    guardrails = serializers.JSONField(required=False, help_text="[{metric, margin}]")
    alpha = serializers.FloatField(required=False)
    tuned_for = serializers.IntegerField(required=False)


class ReasonBody(StrictSerializer):
    """Why."""

    reason = serializers.CharField(max_length=2000)


class StartBody(ReasonBody):
    """Why, and the relative lift that should be found."""

    lift = serializers.FloatField(min_value=0.001, max_value=10.0, default=decisions.DEFAULT_LIFT)


class ShipBody(ReasonBody):
    """Why, and which arm."""

    arm = serializers.CharField(max_length=32)


class CoverageBody(ReasonBody):
    """Why, and how many."""

    coverage = serializers.FloatField(min_value=0.0, max_value=1.0)


class PlanBody(StrictSerializer):
    """What is to be found."""

    metric = serializers.ChoiceField(choices=sorted(METRICS))
    lift = serializers.FloatField(min_value=0.001, max_value=10.0, default=decisions.DEFAULT_LIFT)
    arms = serializers.IntegerField(min_value=2, max_value=8, default=2)
    coverage = serializers.FloatField(min_value=0.001, max_value=1.0, default=1.0)
    alpha = serializers.FloatField(min_value=0.0001, max_value=0.2, default=0.05)
    tuned_for = serializers.IntegerField(min_value=100, max_value=10_000_000, default=5000)


class PlanAnswer(serializers.Serializer[Any]):
    """Null where nothing was measured yet."""

    metric = serializers.CharField()
    lift = serializers.FloatField()
    alpha = serializers.FloatField()
    power = serializers.FloatField()
    mean = serializers.FloatField(allow_null=True, help_text="Per user over two weeks.")
    sd = serializers.FloatField(allow_null=True)
    daily_users = serializers.FloatField(allow_null=True)
    per_arm = serializers.IntegerField(allow_null=True, help_text="Users, when every look counts.")
    one_look_per_arm = serializers.IntegerField(allow_null=True, help_text="Users for a single look.")
    users = serializers.IntegerField(allow_null=True)
    days = serializers.IntegerField(allow_null=True)


class DecisionAnswer(serializers.Serializer[Any]):
    """One entry of the log."""

    kind = serializers.CharField()
    phase = serializers.IntegerField()
    by = serializers.CharField()
    reason = serializers.CharField()
    numbers = serializers.JSONField()
    at = serializers.DateTimeField()


class ExperimentAnswer(serializers.Serializer[Any]):
    """An experiment as it is."""

    key = serializers.CharField()
    title = serializers.CharField()
    hypothesis = serializers.CharField()
    owner = serializers.CharField()
    state = serializers.CharField(help_text="draft, running, stopped or shipped.")
    phase = serializers.IntegerField()
    arms = serializers.JSONField()
    coverage = serializers.FloatField()
    namespace = serializers.CharField(allow_blank=True)
    namespace_from = serializers.FloatField()
    namespace_to = serializers.FloatField()
    goals = serializers.JSONField()
    guardrails = serializers.JSONField()
    alpha = serializers.FloatField()
    tuned_for = serializers.IntegerField()
    plan = serializers.JSONField()
    winner = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    stopped_at = serializers.DateTimeField(allow_null=True)
    shipped_at = serializers.DateTimeField(allow_null=True)


class ExperimentsAnswer(serializers.Serializer[Any]):
    """All of them, newest first."""

    experiments = ExperimentAnswer(many=True)


class DetailAnswer(ExperimentAnswer):
    """With everything that was decided, newest first."""

    decisions = DecisionAnswer(many=True)


class ResultsAnswer(serializers.Serializer[Any]):
    """The newest reading; `blocked` says why it must not be read, and then there are no effects in it."""

    key = serializers.CharField()
    phase = serializers.IntegerField()
    blocked = serializers.CharField(allow_blank=True)
    reading = serializers.JSONField()


class _ExperimentView(BodyView):
    parser_classes = (JsonBody,)
    authentication_classes = (BearerAuthentication, SessionAuthentication)
    permission_classes = (MayRunExperiments,)

    def handle_exception(self, exc: Exception) -> Any:
        """What the services refuse, in the API's words."""
        if isinstance(exc, InvalidExperiment):
            exc = InvalidRequest(str(exc), code="invalid_experiment", field=exc.field)
        elif isinstance(exc, UnknownExperiment):
            exc = NotFound(str(exc), code="unknown_experiment")
        elif isinstance(exc, Refused):
            exc = Conflict(str(exc), code="refused")
        return super().handle_exception(exc)


def by_of(request: Request) -> str:
    """Who acts: a member of staff by name, or a key."""
    user = request.user
    return user.get_username() if user is not None and user.is_authenticated else "API key"


def detail(row: Experiment) -> dict[str, Any]:
    """An experiment with its log."""
    found: dict[str, Any] = dict(ExperimentAnswer(row).data)
    return found | {"decisions": DecisionAnswer(lifecycle.decisions_of(row.key), many=True).data}


def _draft(data: Any, **fixed: str) -> Draft:
    if not isinstance(data, Mapping):
        raise InvalidRequest("the body must be a JSON object", code="invalid_experiment")
    unknown = sorted(set(map(str, data)) - set(ExperimentBody().fields))
    if unknown:
        raise InvalidRequest(f"unknown fields {', '.join(unknown)[:200]}", code="unknown_field", field=unknown[0][:60])
    return decisions.parsed({**data, **fixed})


class ExperimentsView(_ExperimentView):
    """All experiments."""

    @extend_schema(
        operation_id="experiments_list", summary="List experiments", responses={200: ExperimentsAnswer, **REFUSALS}
    )
    def get(self, request: Request) -> Response:
        only(request.query_params, ())
        return Response({"experiments": ExperimentAnswer(experiment_queries.experiments(), many=True).data})

    @extend_schema(
        summary="Set up an experiment", description="As a draft: nothing is served by it until it is started.",
        request=ExperimentBody, responses={201: DetailAnswer, **_WRITES}, examples=[SET_UP],
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        row = lifecycle.create(_draft(request.data), by=by_of(request), now=timezone.now())
        return Response(detail(row), status=201)


class PlanView(_ExperimentView):
    """The power calculator."""

    @extend_schema(
        summary="Plan an experiment",
        description="How many users and days a lift takes, from what users did over the last two weeks. For readers.",
        request=PlanBody, responses={200: PlanAnswer, **BODY_REFUSALS},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        body = PlanBody(data=request.data)
        body.is_valid(raise_exception=True)
        told = dict(body.validated_data)
        return Response(decisions.plan_for(told.pop("metric"), told.pop("lift"), now=timezone.now(), **told))


class ExperimentView(_ExperimentView):
    """One experiment."""

    @extend_schema(summary="Read an experiment", responses={200: DetailAnswer, **REFUSALS, 404: ErrorAnswer})
    def get(self, request: Request, key: str) -> Response:
        only(request.query_params, ())
        return Response(detail(decisions.found(key)))

    @extend_schema(summary="Edit a draft", request=ExperimentBody, responses={200: DetailAnswer, **_WRITES})
    def put(self, request: Request, key: str) -> Response:
        row = lifecycle.edit(_draft(request.data, key=key), by=by_of(request), now=timezone.now())
        return Response(detail(row))


class ResultsView(_ExperimentView):
    """What an experiment says."""

    @extend_schema(
        summary="Read the results",
        description="As they were computed last, every few minutes while it runs. Intervals hold at every look. Where "
        "users are not split as planned, effects are left out and `blocked` says so.",
        responses={200: ResultsAnswer, **REFUSALS, 404: ErrorAnswer},
    )
    def get(self, request: Request, key: str) -> Response:
        only(request.query_params, ())
        row = decisions.found(key)
        reading = experiment_results.stored(key, row.phase)
        data = readable(reading.data) if reading else None
        return Response({"key": key, "phase": row.phase, "blocked": blocked(data), "reading": data})


def blocked(data: Mapping[str, Any] | None) -> str:
    """Why a reading must not be read; "" where it may."""
    if data is None or not data["split"]["blocks"]:
        return ""
    return f"users are not split as planned (p = {data['split']['p_value']:.2g})"


def readable(data: dict[str, Any]) -> dict[str, Any]:
    """A reading without what a split that is off makes meaningless."""
    if not data["split"]["blocks"]:
        return data
    return data | {"metrics": [], "guardrails": [], "timeline": [], "novelty": [], "segments": []}


def _step(summary: str, body_class: type[Any], act: Callable[..., Experiment]) -> type[_ExperimentView]:
    """A door that takes one step of the lifecycle."""

    class Step(_ExperimentView):
        @extend_schema(summary=summary, request=body_class, responses={200: DetailAnswer, **_WRITES})
        def post(self, request: Request, key: str) -> Response:
            body = body_class(data=request.data)
            body.is_valid(raise_exception=True)
            return Response(detail(act(key, by=by_of(request), now=timezone.now(), **body.validated_data)))

    return Step


StartView = _step("Start an experiment", StartBody, decisions.start)
StopView = _step("Stop an experiment", ReasonBody, decisions.stop)
ShipView = _step("Ship an arm", ShipBody, decisions.ship)
CoverageView = _step("Let more users take part", CoverageBody, lifecycle.grow)
PhaseView = _step("Begin a new phase", ReasonBody, lifecycle.new_phase)
WithdrawView = _step("Withdraw what was shipped", ReasonBody, lifecycle.withdraw)
