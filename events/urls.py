"""Paths of the ingestion layer, the API description and the health checks.

Ids may hold slashes, and a path arrives decoded, so `/contents/a/similar` could be two things. What ends like a route
below an id is that route, and of one word that comes twice the last counts: `/contents/a/similar/similar` is what is
similar to `a/similar`, `/users/a/follows/b/follows/c` is whether `a/follows/b` follows `c`. Where several words fit,
the one higher in this list does. An id that is or ends like a route is named in the query instead, as in
`/contents?content_id=a/similar` and `/users?user_id=a/preferences`; what a route cannot say of a creator or content
with such an id, an event (`follow`, `hide`) or a preference (`blocked_creators`, `muted_creators`) can.
"""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from events import batch_views, metrics, user_views, views

urlpatterns = [
    path("api/v1/events", views.EventsView.as_view(), name="events"),
    path("api/v1/events/beacon", views.BeaconView.as_view(), name="events-beacon"),
    path("api/v1/contents/batch", batch_views.ContentBatchView.as_view(), name="content-batch"),
    path("api/v1/contents/<path:content_id>", views.ContentView.as_view(), name="content"),
    path("api/v1/contents", views.NamedContentView.as_view(), name="named-content"),
    path("api/v1/users/<path:user_id>/preferences", user_views.PreferencesView.as_view(), name="preferences"),
    path("api/v1/users/<path:user_id>/interests", user_views.InterestsView.as_view(), name="interests"),
    path(
        "api/v1/users/<path:user_id>/follows/<path:creator_id>",
        user_views.RelatedView.as_view(relation="follows"),
        name="follows",
    ),
    path(
        "api/v1/users/<path:user_id>/blocks/<path:creator_id>",
        user_views.ShunnedView.as_view(how="blocks"),
        name="blocks",
    ),
    path(
        "api/v1/users/<path:user_id>/mutes/<path:creator_id>",
        user_views.ShunnedView.as_view(how="mutes"),
        name="mutes",
    ),
    path(
        "api/v1/users/<path:user_id>/hidden/<path:content_id>",
        user_views.RelatedView.as_view(relation="hidden"),
        name="hidden",
    ),
    path("api/v1/users/batch", batch_views.UserBatchView.as_view(), name="user-batch"),
    path("api/v1/auth/client-token", views.ClientTokenView.as_view(), name="client-token"),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("livez", views.livez, name="livez"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", metrics.show, name="metrics"),
]
