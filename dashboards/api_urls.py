"""Paths of the analyst's API."""

from django.urls import path

from dashboards import alert_api, api_views
from dashboards import experiment_api as experiments

urlpatterns = [
    path("metrics/definitions", api_views.DefinitionsView.as_view(), name="metric-definitions"),
    path("metrics/<str:name>", api_views.MetricView.as_view(), name="metric"),
    path("metrics/<str:name>/behind", api_views.BehindView.as_view(), name="metric-behind"),
    path("retention", api_views.RetentionView.as_view(), name="retention"),
    path("experiments", experiments.ExperimentsView.as_view(), name="experiments"),
    path("experiments/plan", experiments.PlanView.as_view(), name="experiment-plan"),
    path("experiments/<slug:key>", experiments.ExperimentView.as_view(), name="experiment"),
    path("experiments/<slug:key>/results", experiments.ResultsView.as_view(), name="experiment-results"),
    path("experiments/<slug:key>/start", experiments.StartView.as_view(), name="experiment-start"),
    path("experiments/<slug:key>/stop", experiments.StopView.as_view(), name="experiment-stop"),
    path("experiments/<slug:key>/ship", experiments.ShipView.as_view(), name="experiment-ship"),
    path("experiments/<slug:key>/coverage", experiments.CoverageView.as_view(), name="experiment-coverage"),
    path("experiments/<slug:key>/phase", experiments.PhaseView.as_view(), name="experiment-phase"),
    path("experiments/<slug:key>/withdraw", experiments.WithdrawView.as_view(), name="experiment-withdraw"),
    path("active-days", api_views.ActiveDaysView.as_view(), name="active-days"),
    path("funnels", alert_api.FunnelView.as_view(), name="funnel"),
    path("live", alert_api.LiveView.as_view(), name="live-minutes"),
    path("system", alert_api.SystemView.as_view(), name="system-readings"),
    path("alerts/rules", alert_api.RulesView.as_view(), name="alert-rules"),
    path("alerts/incidents", alert_api.IncidentsView.as_view(), name="alert-incidents"),
    path("alerts/incidents/<int:key>/ack", alert_api.AckView.as_view(), name="alert-ack"),
]
