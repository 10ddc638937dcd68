"""Pages of the dashboards."""

from django.urls import path

from dashboards import experiment_pages as experiments
from dashboards import views

app_name = "dashboards"

urlpatterns = [
    path("", views.board, name="overview"),
    path("board/<str:name>", views.board, name="board"),
    path("metric/<str:key>", views.metric, name="metric"),
    path("metric/<str:key>/chart.svg", views.chart_svg, name="chart-svg"),
    path("metric/<str:key>/behind/<str:day>", views.drill, name="behind"),
    path("retention", views.retention, name="retention-table"),
    path("live", views.live_page, name="live"),
    path("live/part", views.live_part, name="live-part"),
    path("experiments", experiments.listing, name="experiments"),
    path("experiments/new", experiments.set_up, name="experiment-new"),
    path("experiments/<slug:key>", experiments.one, name="experiment"),
    path("experiments/<slug:key>/step", experiments.step, name="experiment-step"),
    path("system", views.system_page, name="system"),
]
