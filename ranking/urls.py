"""Paths of the recommendation engine: the feed, the doors beside it, and the demo player at `/`.

They come before the paths of `events.urls`, which says what happens to ids that end like a route.
"""

from django.urls import path

from ranking import api_views, experiment_api, player_views, user_api, views

urlpatterns = [
    path("", player_views.player, name="player"),
    path("player/token", player_views.player_token, name="player-token"),
    path("api/v1/feed", views.FeedView.as_view(), name="feed"),
    path("api/v1/feed/next", views.FeedNextView.as_view(), name="feed-next"),
    path("api/v1/users/merge", user_api.MergeView.as_view(), name="merge-users"),
    path("api/v1/experiments/assignments", experiment_api.AssignmentsView.as_view(), name="experiment-assignments"),
    path("api/v1/experiments/exposures", experiment_api.ExposuresView.as_view(), name="experiment-exposures"),
    path("api/v1/rank", api_views.RankView.as_view(), name="rank"),
    path("api/v1/trending", api_views.TrendingView.as_view(), name="trending"),
    path("api/v1/categories", api_views.CategoriesView.as_view(), name="categories"),
    path("api/v1/contents/<path:content_id>/similar", api_views.SimilarView.as_view(), name="similar"),
    path("api/v1/contents/<path:content_id>/stats", api_views.ContentStatsView.as_view(), name="content-stats"),
    path("api/v1/users/<path:user_id>/history", user_api.UserHistoryView.as_view(), name="user-history"),
    path(
        "api/v1/users/<path:user_id>/suggested-creators",
        api_views.SuggestedCreatorsView.as_view(),
        name="suggested-creators",
    ),
]
