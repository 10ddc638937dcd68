"""Admin of the model versions: the list, the page of one with its evidence, and the decisions about it.

Nothing is edited: what a version may do changes through the registry, with a reason, and each decision is kept.
"""

import json
from typing import Any, ClassVar, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events.admin_base import ReadOnlyAdmin
from ranking import queries, registry
from ranking.model_page import model_page, with_interval
from ranking.models import ModelAlert, ModelMove, ModelVersion
from ranking.ranker.bundle import BundleError

DEFAULT_SHARE: Final = 5
MOST_REASON: Final = 1_000


class ReasonForm(ActionForm):
    """The reason that goes with a decision made in the list."""

    reason = forms.CharField(required=False, label="Reason", max_length=MOST_REASON)


class MoveForm(forms.Form):
    """A decision about one version."""

    to = forms.ChoiceField(
        label="Let it",
        choices=(
            ("champion", "serve everybody (promote)"),
            ("canary", "serve a share of the users (canary)"),
            ("shadow", "score a share of the pages, serve none (shadow)"),
            ("archived", "do nothing any more (archive)"),
        ),
    )
    share = forms.IntegerField(
        label="Share in percent (canary, shadow)", min_value=1, max_value=100, initial=DEFAULT_SHARE, required=False
    )
    reason = forms.CharField(
        label="Reason", max_length=MOST_REASON, widget=forms.Textarea(attrs={"rows": 2, "cols": 60})
    )


class RollBackForm(forms.Form):
    """Giving serving back."""

    reason = forms.CharField(
        label="Reason", max_length=MOST_REASON, widget=forms.Textarea(attrs={"rows": 2, "cols": 60})
    )


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    list_display = (
        "version", "does", "auc", "against_champion", "gauc", "calibration_error", "examples", "trained_until",
        "promoted_at",
    )  # fmt: skip
    list_filter = ("state", "kind", "feature_set")
    search_fields = ("version", "parent")
    ordering = ("-created_at",)
    list_per_page = 50
    actions = ("promote", "roll_back")
    action_form = ReasonForm
    change_list_template = "admin/ranking/model_list.html"

    class Media:
        css: ClassVar = {"all": ("recsys/events-admin.css", "recsys/feature-pages.css", "recsys/model-pages.css")}

    def get_urls(self) -> list[URLPattern]:
        """The doors of decisions, before the page of a version takes their names for one."""
        site = self.admin_site.admin_view
        return [
            path("roll-back/", site(self.roll_back_view), name="ranking_model_roll_back"),
            path("<str:version>/move/", site(self.move_view), name="ranking_model_move"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        told = {"title": "Model versions", "troubles": queries.open_model_alerts()}
        return super().changelist_view(request, {**told, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of one version."""
        del form_url, extra_context
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self._page(request, object_id, MoveForm(), RollBackForm())

    def move_view(self, request: HttpRequest, version: str) -> HttpResponse:
        """Let a version do something else; the page again, with what is wrong, where that is refused."""
        self._may_decide(request)
        form = MoveForm(request.POST)
        if not form.is_valid():
            return self._page(request, version, form, RollBackForm(), status=400)
        given = form.cleaned_data
        signed = {"by": request.user.get_username(), "reason": given["reason"], "now": timezone.now()}
        share = given["share"] if given["share"] is not None else DEFAULT_SHARE
        try:
            if given["to"] == "champion":
                said = _promoted(registry.promote(version, **signed))
            elif given["to"] == "archived":
                registry.archive(version, **signed)
                said = f"Archived {version}."
            elif given["to"] == "canary":
                registry.canary(version, share, **signed)
                said = f"{version} serves {share} % of the users now."
            else:
                registry.shadow(version, share, **signed)
                said = f"{version} scores {share} % of the pages from now on, and serves none."
        except registry.UnknownVersionError as error:
            raise Http404(str(error)) from error
        except (registry.RegistryError, BundleError) as error:
            form.add_error(None, f"Refused: {error}")
            return self._page(request, version, form, RollBackForm(), status=409)
        self.message_user(request, said)
        return HttpResponseRedirect(_address(version))

    def roll_back_view(self, request: HttpRequest) -> HttpResponse:
        """Give serving back to the champion before."""
        self._may_decide(request)
        form, serving = RollBackForm(request.POST), registry.champion_version()
        if form.is_valid():
            try:
                report = registry.roll_back(
                    now=timezone.now(), by=request.user.get_username(), reason=form.cleaned_data["reason"]
                )
            except (registry.RegistryError, BundleError) as error:
                form.add_error(None, f"Not rolled back: {error}")
            else:
                self.message_user(request, _rolled_back(report))
                return HttpResponseRedirect(_address(report.version))
        if serving is None:
            self.message_user(request, "Not rolled back: no model serves.", messages.ERROR)
            return HttpResponseRedirect(reverse("admin:ranking_modelversion_changelist"))
        return self._page(request, serving, MoveForm(), form, status=409 if form.is_valid() else 400)

    @admin.display(description="state", ordering="state")
    def does(self, row: ModelVersion) -> SafeString:
        of = {"canary": " of the users", "shadow": " of the pages"}.get(row.state, "")
        share = f", {row.share_pct} %{of}" if row.share_pct else ""
        return format_html('<span class="model-state is-{}">{}{}</span>', row.state, row.state, share)

    @admin.display(description="AUC (95 % interval)")
    def auc(self, row: ModelVersion) -> str:
        test = row.metrics.get("test") or {}
        return with_interval(test.get("auc"), test.get("auc_interval"))

    @admin.display(description="AUC over the champion (95 % interval)")
    def against_champion(self, row: ModelVersion) -> str:
        interval = (row.metrics.get("champion") or {}).get("auc_difference_interval")
        return f"{interval['low']:+.4f} to {interval['high']:+.4f}" if interval else "–"

    @admin.display(description="AUC in sessions")
    def gauc(self, row: ModelVersion) -> str:
        return with_interval((row.metrics.get("test") or {}).get("gauc"), None)

    @admin.display(description="calibration error")
    def calibration_error(self, row: ModelVersion) -> str:
        return with_interval((row.metrics.get("test") or {}).get("ece"), None)

    @admin.display(description="training / test examples")
    def examples(self, row: ModelVersion) -> str:
        test = (row.metrics.get("test") or {}).get("examples", "–")
        return f"{row.metrics.get('train_examples', '–')} / {test}"

    @admin.action(description="Promote: let the chosen version serve", permissions=["decide"])
    def promote(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> None:
        rows = list(chosen[:2])
        if len(rows) != 1:
            self.message_user(request, "Choose exactly one version to promote.", messages.ERROR)
            return
        try:
            report = registry.promote(rows[0].version, **_signed(request))
        except (registry.RegistryError, BundleError) as error:
            self.message_user(request, f"Not promoted: {error}", messages.ERROR)
        else:
            self.message_user(request, _promoted(report))

    @admin.action(description="Roll back to the champion before (whatever is chosen)", permissions=["decide"])
    def roll_back(self, request: HttpRequest, _chosen: QuerySet[ModelVersion]) -> None:
        try:
            report = registry.roll_back(**_signed(request))
        except (registry.RegistryError, BundleError) as error:
            self.message_user(request, f"Not rolled back: {error}", messages.ERROR)
        else:
            self.message_user(request, _rolled_back(report))

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Who may let models serve: rows are never edited, so the permission to change them means that."""
        return bool(request.user.has_perm("ranking.change_modelversion"))

    def _may_decide(self, request: HttpRequest) -> None:
        if request.method != "POST" or not self.has_decide_permission(request):
            raise PermissionDenied

    def _page(
        self, request: HttpRequest, version: str, move: forms.Form, back: forms.Form, *, status: int = 200
    ) -> HttpResponse:
        row = ModelVersion.objects.filter(pk=version).first()
        if row is None:
            raise Http404(f"there is no model version {version!r}")
        context = {
            **self.admin_site.each_context(request),
            "title": row.version,
            "opts": self.opts,
            "media": self.media,
            "page": model_page(row),
            "config": json.dumps(row.config, indent=2, sort_keys=True),
            "may_decide": self.has_decide_permission(request),
            "move": move,
            "back": back,
        }
        return TemplateResponse(request, "admin/ranking/model.html", context, status=status)


@admin.register(ModelMove)
class ModelMoveAdmin(ReadOnlyAdmin):
    """Who let which model do what, and why."""

    list_display = ("made_at", "version", "action", "share_pct", "before", "made_by", "reason")
    list_filter = ("action",)
    search_fields = ("version", "made_by", "reason")
    ordering = ("-id",)


@admin.register(ModelAlert)
class ModelAlertAdmin(ReadOnlyAdmin):
    """Models that should serve and could not be loaded; open ones have not been cleared."""

    list_display = ("version", "message", "serving", "first_at", "last_at", "times", "cleared_at")
    search_fields = ("version",)
    ordering = ("-first_at",)


def _signed(request: HttpRequest) -> dict[str, Any]:
    reason = request.POST.get("reason", "")[:MOST_REASON]
    return {"by": request.user.get_username(), "reason": reason, "now": timezone.now()}


def _promoted(report: registry.PromotionReport) -> str:
    return f"Promoted {report.version}, which serves now; before: {report.previous or 'none'}."


def _rolled_back(report: registry.PromotionReport) -> str:
    return f"Rolled back from {report.previous} to {report.version}, which serves now."


def _address(version: str) -> str:
    return reverse("admin:ranking_modelversion_change", args=[version])
