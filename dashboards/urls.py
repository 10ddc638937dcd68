"""Pages of the dashboards."""

from django.urls import path

from dashboards import alert_views, funnel_views, views
from dashboards import experiment_pages as experiments

app_name = "dashboards"

urlpatterns = [
    path("", views.board, name="overview"),
    path("board/<str:name>", views.board, name="board"),
    path("metric/<str:key>", views.metric, name="metric"),
    path("metric/<str:key>/chart.svg", views.chart_svg, name="chart-svg"),
    path("metric/<str:key>/behind/<str:day>", views.drill, name="behind"),
    path("retention", views.retention, name="retention-table"),
    path("funnel", funnel_views.funnel, name="funnel"),
    path("views", funnel_views.views_page, name="views"),
    path("views/save", funnel_views.save_view, name="view-save"),
    path("views/<int:key>/forget", funnel_views.forget_view, name="view-forget"),
    path("live", views.live_page, name="live"),
    path("live/part", views.live_part, name="live-part"),
    path("alerts", alert_views.alerts_page, name="alerts"),
    path("alerts/<int:key>", alert_views.incident_page, name="incident"),
    path("alerts/<int:key>/ack", alert_views.acknowledge, name="incident-ack"),
    path("alerts/<int:key>/silence", alert_views.silence, name="incident-silence"),
    path("experiments", experiments.listing, name="experiments"),
    path("experiments/new", experiments.set_up, name="experiment-new"),
    path("experiments/<slug:key>", experiments.one, name="experiment"),
    path("experiments/<slug:key>/step", experiments.step, name="experiment-step"),
    path("system", views.system_page, name="system"),
]
