"""What the feature store holds, readable by people; nothing here is edited by hand.

Beside the rows of its tables: a page per content, a page per user, and the trends. The page of a content needs the
permission to view contents. That of a user shows what the user did, so it needs the one to view users and the one to
view events; who the user is stays in the profile.
"""

from collections.abc import Callable
from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from events.admin_base import ROW_PAGES, ReadOnlyAdmin
from events.queries import content_cards
from features import pages, trends
from features.charts import band_chart, series_rows
from features.extraction.definitions import COUNTER_SET, COUNTERS
from features.extraction.trends import BAR, LEAST_PEOPLE
from features.models import ContentFeatures, ContentWindow, Embedding, Trend

TRENDS_SHOWN: Final = 20
WATCHED_SHOWN: Final = 8

ROW_PAGES["events.content"] = "Features", lambda row: pages.content_url(row.pk)
ROW_PAGES["events.userprofile"] = "Features", lambda row: pages.user_url(row.pk)


@admin.register(ContentFeatures)
class ContentFeaturesAdmin(ReadOnlyAdmin):
    """Counter states, named signal by signal; and the pages of contents and users."""

    list_display = ("content_id", "as_of", "window_start", "feature_set")
    search_fields = ("=content_id",)
    ordering = ("-id",)
    exclude = ("vector",)
    readonly_fields = ("counters",)

    def get_urls(self) -> list[URLPattern]:
        """The pages, before that of a row takes their names for an id."""
        view = self.admin_site.admin_view
        return [
            path("content/", view(self.content_view), name="features_content_page"),
            path("user/", view(self.user_view), name="features_user_page"),
            *super().get_urls(),
        ]

    def content_view(self, request: HttpRequest) -> HttpResponse:
        """All that is known of one content."""
        return self._page(request, "content", pages.content_page, ("events.view_content",))

    def user_view(self, request: HttpRequest) -> HttpResponse:
        """What explains the feed of one user."""
        return self._page(request, "user", pages.user_page, ("events.view_userprofile", "events.view_event"))

    def _page(
        self, request: HttpRequest, what: str, make: Callable[..., Any], permissions: tuple[str, ...]
    ) -> HttpResponse:
        if not request.user.has_perms(permissions):
            raise PermissionDenied
        asked = request.GET.get("id", "")
        page = make(asked, now=timezone.now())
        context = {
            **self.admin_site.each_context(request),
            "title": f"Features of the {what} {asked}",
            "what": what,
            "asked": asked,
            "page": page,
        }
        if page is None:
            return TemplateResponse(request, "admin/features/unknown.html", context, status=404)
        return TemplateResponse(request, f"admin/features/{what}.html", context)

    @admin.display(description="counters (decayed sums)")
    def counters(self, row: ContentFeatures) -> str:
        """`signal half-life: value`, one per line."""
        if row.feature_set != COUNTER_SET:
            return "of another feature set"
        pairs = zip(COUNTERS, row.vector, strict=True)
        return "\n".join(f"{signal} {label}: {value:.2f}" for (signal, label), value in pairs)


@admin.register(Embedding)
class EmbeddingAdmin(ReadOnlyAdmin):
    """Stored vectors."""

    list_display = ("content_id", "as_of", "encoder", "dimensions")
    search_fields = ("=content_id",)
    ordering = ("-id",)

    @admin.display
    def dimensions(self, row: Embedding) -> int:
        """Length of the vector."""
        return len(row.vector)


@admin.register(ContentWindow)
class ContentWindowAdmin(ReadOnlyAdmin):
    """Hours of the log that are taken in."""

    list_display = ("window_start", "events", "folded", "counter_set")
    ordering = ("-window_start",)


@admin.register(Trend)
class TrendAdmin(ReadOnlyAdmin):
    """What rises right now, with the series that shows why, and what comes nearest to rising."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """All kinds on one page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            **(extra_context or {}),
            "title": "Trends",
            "opts": self.opts,
            "kinds": [_shown(kind) for kind in trends.KINDS],
            "newest": trends.newest_hour(),
            "bar": BAR,
            "least_people": LEAST_PEOPLE,
        }
        return TemplateResponse(request, "admin/features/trends.html", context)


def _shown(kind: str) -> dict[str, Any]:
    """One kind: what trends, each with its chart and table, and what is watched."""
    listed = trends.watched(kind, TRENDS_SHOWN + WATCHED_SHOWN)
    rising = [trend for trend in listed if trend.trending][:TRENDS_SHOWN]
    others = [trend for trend in listed if not trend.trending and trend.z > 0][:WATCHED_SHOWN]
    series = trends.series_of(kind, [trend.name for trend in rising])
    cards = content_cards([trend.name for trend in listed]) if kind == "content" else {}
    drawn = [
        {"trend": trend, "tile": _tile(cards, trend.name), "chart": band_chart(of_it), "series": series_rows(of_it)}
        for trend, of_it in zip(rising, series, strict=True)
    ]
    return {
        "name": kind,
        "plural": {"category": "categories"}.get(kind, f"{kind}s"),
        "rising": drawn,
        "watched": [{"trend": trend, "tile": _tile(cards, trend.name)} for trend in others],
    }


def _tile(cards: Any, name: str) -> pages.Tile | None:
    return pages.tile(cards[name]) if name in cards else None
