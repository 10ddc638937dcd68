"""One include per app; the paths below them belong to the apps."""

from django.contrib import admin
from django.urls import include, path

from events.errors import bad_request, not_found, server_error
from recsys import second_factor

admin.site.site_header = admin.site.site_title = "recsys"
admin.site.index_title = "Administration"

urlpatterns = [
    path("", include("ranking.urls")),
    path("", include("dashboards.moderation_urls")),
    path("", include("events.urls")),
    path("", include("ranking.user_urls")),
    path("api/v1/", include("dashboards.api_urls")),
    path("dashboards/", include("dashboards.urls")),
    path("admin/second-factor/", second_factor.page, name="second-factor"),
    path("admin/", admin.site.urls),
]

# Below /api/ these answer as JSON, elsewhere as Django's own pages.
handler400 = bad_request
handler404 = not_found
handler500 = server_error
