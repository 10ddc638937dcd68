"""Paths of the analyst's API."""

from django.urls import path

from dashboards import api_views

urlpatterns = [
    path("metrics/definitions", api_views.DefinitionsView.as_view(), name="metric-definitions"),
    path("metrics/<str:name>", api_views.MetricView.as_view(), name="metric"),
    path("retention", api_views.RetentionView.as_view(), name="retention"),
    path("active-days", api_views.ActiveDaysView.as_view(), name="active-days"),
]
