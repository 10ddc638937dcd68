"""Routes that forgot to say who may use them."""

from django.http import HttpResponse
from django.urls import path

urlpatterns = [
    path("secret", lambda request: HttpResponse("secret"), name="secret"),
    path("api/secret", lambda request: HttpResponse("secret"), name="api-secret"),
]
