"""Admin pages of the recommendation engine: model versions with their evidence, and what was served.

Nothing can be edited here: versions change through the registry, and the log of what was served is append-only. The
weights of the value model have their own module, `value_admin`.
"""

import json
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from events.authentication import valid_id
from events.errors import InvalidRequest
from ranking import registry, value_admin
from ranking.feed_page import feed_page, feed_url
from ranking.models import ModelVersion, Served
from ranking.ranker.bundle import BundleError

__all__ = ["ModelVersionAdmin", "ServedAdmin", "value_admin"]

if TYPE_CHECKING:
    VersionAdmin = admin.ModelAdmin[ModelVersion]
    ServingAdmin = admin.ModelAdmin[Served]
    AnyPaginator = Paginator[Any]
else:  # Django's classes take their parameter in the type stubs only
    VersionAdmin = ServingAdmin = admin.ModelAdmin
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


@admin.register(ModelVersion)
class ModelVersionAdmin(_ReadOnly, VersionAdmin):
    list_display = ("version", "state", "auc", "gauc", "calibration_error", "examples", "trained_until", "promoted_at")
    list_filter = ("state", "kind", "feature_set")
    search_fields = ("version",)
    ordering = ("-created_at",)
    actions = ("promote", "roll_back")
    fields = readonly_fields = (
        "version", "state", "kind", "feature_set", "trained_until", "created_at", "promoted_at", "rolled_back_at",
        "heads", "evidence", "settings_of_training", "artefacts",
    )  # fmt: skip

    @admin.display(description="AUC (95 % interval)")
    def auc(self, row: ModelVersion) -> str:
        test = row.metrics.get("test") or {}
        interval = test.get("auc_interval")
        if test.get("auc") is None or interval is None:
            return "-"
        return f"{test['auc']:.4f} ({interval['low']:.4f} to {interval['high']:.4f})"

    @admin.display(description="AUC in sessions")
    def gauc(self, row: ModelVersion) -> str:
        return _figure(row, "gauc")

    @admin.display(description="calibration error")
    def calibration_error(self, row: ModelVersion) -> str:
        return _figure(row, "ece")

    @admin.display(description="training / test examples")
    def examples(self, row: ModelVersion) -> str:
        return f"{row.metrics.get('train_examples', '-')} / {(row.metrics.get('test') or {}).get('examples', '-')}"

    @admin.display(description="heads on the test examples")
    def heads(self, row: ModelVersion) -> str:
        told = row.metrics.get("heads") or {}
        if not told:
            return "-"
        lines = ((head, *_head_figures(judged)) for head, judged in told.items())
        table = format_html_join(
            "", "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", lines
        )
        names = ("head", "positives", "AUC (95 % interval)", "log loss", "calibration error", "learned")
        head = format_html_join("", "<th>{}</th>", ((name,) for name in names))
        return format_html("<table><tr>{}</tr>{}</table>", head, table)

    @admin.display(description="metrics")
    def evidence(self, row: ModelVersion) -> SafeString:
        return _pretty(row.metrics)

    @admin.display(description="training config")
    def settings_of_training(self, row: ModelVersion) -> SafeString:
        return _pretty(row.config)

    @admin.action(description="Promote: let the chosen version serve", permissions=["change"])
    def promote(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> None:
        rows = list(chosen[:2])
        if len(rows) != 1:
            self.message_user(request, "Choose exactly one version to promote.", messages.ERROR)
            return
        try:
            report = registry.promote(rows[0].version, now=timezone.now())
        except (registry.RegistryError, BundleError) as error:
            self.message_user(request, f"Not promoted: {error}", messages.ERROR)
        else:
            self.message_user(
                request, f"Promoted {report.version}, which serves now; before: {report.previous or 'none'}."
            )

    @admin.action(description="Roll back to the champion before (whatever is chosen)", permissions=["change"])
    def roll_back(self, request: HttpRequest, _chosen: QuerySet[ModelVersion]) -> None:
        try:
            report = registry.roll_back(now=timezone.now())
        except (registry.RegistryError, BundleError) as error:
            self.message_user(request, f"Not rolled back: {error}", messages.ERROR)
        else:
            self.message_user(request, f"Rolled back from {report.previous} to {report.version}, which serves now.")


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


def _head_figures(judged: Any) -> tuple[str, ...]:
    """What the table of heads says of one, as text; "unknown" where no test example knows its answer."""
    test, learned = judged["test"], "yes" if judged["learned"] else "no, base rate"
    if test is None:
        return ("unknown", "-", "-", "-", learned)
    interval = test["auc_interval"]
    auc = "-" if test["auc"] is None else f"{test['auc']:.4f}"
    auc += f" ({interval['low']:.4f} to {interval['high']:.4f})" if interval else ""
    return (f"{test['positives']} of {test['examples']}", auc, f"{test['log_loss']:.4f}", f"{test['ece']:.4f}", learned)


def _figure(row: ModelVersion, name: str) -> str:
    value = (row.metrics.get("test") or {}).get(name)
    return "-" if value is None else f"{value:.4f}"


def _pretty(value: Any) -> SafeString:
    return format_html("<pre>{}</pre>", json.dumps(value, indent=2, sort_keys=True))
