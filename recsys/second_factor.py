"""The second factor of staff: set it up once, and give a code at every log-in.

Whoever has one must use it; who must have one is a matter of roles (`SECOND_FACTOR_ROLES`). `middleware.Gate` lets
nobody past who still owes a code. A lost telephone is an admin's matter: they delete the device, and the next log-in
sets up a new one.
"""

from typing import Final

import django_otp
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods
from django_otp.plugins.otp_totp.models import TOTPDevice

EVERYBODY: Final = "*"
DEVICE_NAME: Final = "authenticator"


def owes_code(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether somebody is logged in as staff and has yet to give a code."""
    if not isinstance(user, User) or not user.is_staff or user.is_verified():  # type: ignore[attr-defined]
        return False
    return must_have(user) or TOTPDevice.objects.filter(user=user, confirmed=True).exists()


def must_have(user: User) -> bool:
    """Whether a role of this user asks for a second factor."""
    roles = settings.SECOND_FACTOR_ROLES
    if not roles:
        return False
    if EVERYBODY in roles or (user.is_superuser and "admin" in roles):
        return True
    return user.groups.filter(name__in=roles).exists()


@never_cache
@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Give a code; before the first one, with the key that the telephone has to know."""
    user = request.user
    if not user.is_authenticated or not user.is_staff:
        return redirect_to_login(request.get_full_path(), reverse(settings.LOGIN_URL))
    confirmed = TOTPDevice.objects.filter(user=user, confirmed=True).first()
    if user.is_verified():  # type: ignore[attr-defined]
        return redirect(_next(request))
    device = confirmed or TOTPDevice.objects.get_or_create(
        user=user, confirmed=False, defaults={"name": DEVICE_NAME}
    )[0]  # fmt: skip
    error = ""
    if request.method == "POST":
        error = _given(request, device)
        if not error:
            return HttpResponseRedirect(_next(request))
    context = {
        **admin.site.each_context(request), "title": "Second factor", "error": error, "new": confirmed is None,
        "key": _readable(device) if confirmed is None else "", "address": device.config_url, "next": _next(request),
        "must": must_have(user),
    }  # fmt: skip
    return TemplateResponse(request, "admin/second_factor.html", context, status=400 if error else 200)


def _given(request: HttpRequest, device: TOTPDevice) -> str:
    """Check the code of a form; "" where it was right, and the session knows it."""
    code = request.POST.get("code", "").replace(" ", "")
    allowed, _ = device.verify_is_allowed()
    if not allowed:
        return "Too many wrong codes: wait a moment."
    if not (code.isascii() and code.isdigit() and len(code) <= 8 and device.verify_token(int(code))):
        return "The code is wrong, or too old."
    if not device.confirmed:
        device.confirmed = True
        device.save(update_fields=["confirmed"])
    django_otp.login(request, device)
    return ""


def _readable(device: TOTPDevice) -> str:
    """The key in base 32, as people type it, in groups of four."""
    from base64 import b32encode  # noqa: PLC0415  only this page spells it

    text = b32encode(device.bin_key).decode().rstrip("=")
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else reverse("admin:index")
