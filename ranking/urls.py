"""Paths of the recommendation engine: the feed, and the demo player at `/`."""

from django.urls import path

from ranking import player_views, views

urlpatterns = [
    path("", player_views.player, name="player"),
    path("player/token", player_views.player_token, name="player-token"),
    path("api/v1/feed", views.FeedView.as_view(), name="feed"),
]
