"""Paths of one user as a whole. They come after all others below `/users/`, which a path with slashes would swallow."""

from django.urls import path

from ranking import user_api

urlpatterns = [
    path("api/v1/users", user_api.NamedErasableUserView.as_view(), name="named-user"),
    path("api/v1/users/<path:user_id>", user_api.ErasableUserView.as_view(), name="user"),
]
