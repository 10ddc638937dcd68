"""One include per app; the paths below them belong to the apps."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("ranking.urls")),
    path("", include("events.urls")),
    path("dashboards/", include("dashboards.urls")),
    path("admin/", admin.site.urls),
]
