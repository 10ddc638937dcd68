"""Keep, list and forget saved views. A view is only an address: whoever opens it needs the permission of its page."""

from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.urls import Resolver404, resolve

from dashboards.view_models import SavedView
from events.errors import InvalidRequest

BELOW: Final = "/dashboards/"
MOST: Final = 100
"""Per person."""


def of(user: Any) -> QuerySet[SavedView]:
    """One's own views and the shared ones, by name."""
    return SavedView.objects.filter(Q(owner_id=user.pk) | Q(shared=True)).select_related("owner").order_by("name", "pk")


def keep(user: User, name: str, address: str, *, shared: bool, now: datetime) -> SavedView:
    """Keep an address under a name; the same name of the same person is replaced."""
    name = name.strip()
    if not 0 < len(name) <= 60:
        raise InvalidRequest(f"a view needs a name of 1 to 60 characters; got {len(name)}", field="name")
    path, _, query = address.partition("?")
    query = urlencode([pair for pair in parse_qsl(query) if pair[0] != "page"])
    try:
        known = path.startswith(BELOW) and len(path) <= 120 and len(query) <= 500 and bool(resolve(path))
    except Resolver404:
        known = False
    if not known:
        raise InvalidRequest(f"only pages of the dashboards are kept; got {address[:60]!r}", field="address")
    mine = SavedView.objects.filter(owner=user)
    if mine.exclude(name=name).count() >= MOST:
        raise InvalidRequest(f"at most {MOST} views are kept for one person; remove one first", field="name")
    found, _ = SavedView.objects.update_or_create(
        owner=user, name=name, defaults={"path": path, "query": query, "shared": shared, "made_at": now}
    )
    return found


def forget(user: Any, key: int) -> bool:
    """Remove one's own view; whether there was one."""
    deleted, _ = SavedView.objects.filter(owner_id=user.pk, pk=key).delete()
    return bool(deleted)
