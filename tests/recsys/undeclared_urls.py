"""Routes that do not say who may use them, and one that need not, as it lies in an area."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def answer(request: HttpRequest) -> HttpResponse:
    return HttpResponse("secret")


urlpatterns = [
    path("secret", answer, name="secret"),
    path("api/secret", answer, name="api-secret"),
    path("dashboards/", include(([path("any-page", answer, name="any-page")], "dashboards"))),
    path("admin/login/", answer, name="login"),
]
