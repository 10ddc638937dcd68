"""Who makes a change, for the history that triggers write: told to the database for each request of staff that writes.

Set for the session and reset afterwards, as a request may hold several transactions. Behind PgBouncer, where sessions
are shared, nothing is told: the history then has no names rather than wrong ones.
"""

from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_TELL: Final = "SELECT set_config('recsys.actor', %s, false)"


class Actor:
    """Tells the database which member of staff a request is of."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        shared = settings.DATABASES["default"].get("DISABLE_SERVER_SIDE_CURSORS", False)
        if request.method in SAFE or settings.SESSION_COOKIE_NAME not in request.COOKIES or shared:
            return self.get_response(request)
        if not (request.user.is_authenticated and request.user.is_staff):
            return self.get_response(request)
        _tell(f"staff {request.user.pk}")
        try:
            return self.get_response(request)
        finally:
            _forget()


def _tell(actor: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_TELL, [actor])


def _forget() -> None:
    """Take the name back; a connection that cannot is given up, and the name with it."""
    try:
        _tell("")
    except Error:
        if not connection.in_atomic_block:
            connection.close()
