"""Admin pages of the recommendation engine: what was served, and the feed of a user as it would be now.

Nothing can be edited here: the log of what was served is append-only. Model versions and the weights of the value model
have modules of their own, `model_admin` and `value_admin`.
"""

from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events.authentication import valid_id
from events.errors import InvalidRequest
from ranking import model_admin, value_admin
from ranking.feed_page import feed_page, feed_url
from ranking.models import Served

__all__ = ["ServedAdmin", "model_admin", "value_admin"]

if TYPE_CHECKING:
    ServingAdmin = admin.ModelAdmin[Served]
    AnyPaginator = Paginator[Any]
else:  # Django's classes take their parameter in the type stubs only
    ServingAdmin = admin.ModelAdmin
    AnyPaginator = Paginator


COUNTED_ROWS: Final = 10_000
FEED_SURFACES: Final = ("for_you", "following", "trending", "latest")
"""Surfaces that need nothing but a user."""


class BoundedPaginator(AnyPaginator):
    """Pages over the first 10,000 rows of any list: counting all of a table of millions takes seconds."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:COUNTED_ROWS].count())


class _ReadOnly:
    """No adding, no deleting; viewing and actions stay with Django's permissions."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Served)
class ServedAdmin(_ReadOnly, ServingAdmin):
    list_display = (
        "served_at", "user_id", "position", "content_id", "source", "score", "propensity", "model_version", "feed",
    )  # fmt: skip
    search_fields = ("=user_id",)
    search_help_text = "Exact user id"
    ordering = ("-id",)
    list_per_page = 50
    paginator = BoundedPaginator
    show_full_result_count = False
    exclude = ("features",)

    def get_urls(self) -> list[URLPattern]:
        """The feed of a user, before the page of a row takes its name for an id."""
        page = path("feed/", self.admin_site.admin_view(self.feed_view), name="ranking_feed_page")
        return [page, *super().get_urls()]

    def feed_view(self, request: HttpRequest) -> HttpResponse:
        """The page that a user would get now, and why. It tells what they did, so it needs all three permissions."""
        if not request.user.has_perms(("ranking.view_served", "events.view_userprofile", "events.view_event")):
            raise PermissionDenied
        asked, surface = request.GET.get("id", ""), request.GET.get("surface", "for_you")
        context = {
            **self.admin_site.each_context(request),
            "title": f"Feed of {asked}" if asked else "Feed of a user",
            "opts": self.opts,
            "asked": asked,
            "surface": surface,
            "surfaces": FEED_SURFACES,
        }
        try:
            user_id = valid_id(asked, field="id")
            if surface not in FEED_SURFACES:
                raise InvalidRequest(f"surface must be one of {', '.join(FEED_SURFACES)}; got {surface[:40]!a}")
            context["page"] = feed_page(user_id, surface, now=timezone.now())
        except InvalidRequest as error:
            context["problem"] = error.message if asked else ""
            return TemplateResponse(request, "admin/ranking/feed.html", context, status=400 if asked else 200)
        return TemplateResponse(request, "admin/ranking/feed.html", context)

    @admin.display(description="feed")
    def feed(self, row: Served) -> SafeString:
        """A link to the feed of the user of a row."""
        return format_html('<a href="{}" aria-label="Feed of {}">Feed now</a>', feed_url(row.user_id), row.user_id)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
