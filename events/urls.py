"""Paths of the ingestion layer, the API description and the health checks."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from events import metrics, views

urlpatterns = [
    path("api/v1/events", views.EventsView.as_view(), name="events"),
    path("api/v1/events/beacon", views.BeaconView.as_view(), name="events-beacon"),
    path("api/v1/contents/<path:content_id>", views.ContentView.as_view(), name="content"),
    path("api/v1/users/<path:user_id>", views.UserView.as_view(), name="user"),
    path("api/v1/auth/client-token", views.ClientTokenView.as_view(), name="client-token"),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("livez", views.livez, name="livez"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", metrics.show, name="metrics"),
]
