"""The address of whoever logs in, as django-axes stores it."""

from ipaddress import ip_address

from django.http import HttpRequest

from events.authentication import address_of


def of(request: HttpRequest) -> str | None:
    """The address as far as proxies are trusted; None where there is none, as over a socket of this machine."""
    try:
        return str(ip_address(address_of(request)))
    except ValueError:
        return None
