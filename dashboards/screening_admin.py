"""The automatic check in the admin: rules and their versions, a dry run, lists of banned files, every verdict."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from dashboards import hash_lists, screening_rules
from dashboards.casework.rules import SIGNALS, parse
from dashboards.screening_models import HashEntry, HashList, Screening, ScreeningRule, UploadSigns
from events.admin_base import ReadOnlyAdmin


def parsed(raw: Any) -> Any:
    """Conditions that parse, or the form's own error."""
    try:
        parse(raw)
    except ValueError as error:
        raise ValidationError(str(error)) from None
    return raw


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]  # it takes no parameter at run time
    """A new version of a rule."""

    class Meta:
        model = ScreeningRule
        fields = ("key", "title", "conditions", "action", "policy", "enabled", "note")

    def clean_conditions(self) -> Any:
        """Only conditions that mean something."""
        return parsed(self.cleaned_data["conditions"])

    def validate_unique(self) -> None:
        """The version is given when it is written."""


class DryRunForm(forms.Form):
    """Conditions to try."""

    conditions = forms.JSONField(widget=forms.Textarea(attrs={"rows": 4, "cols": 80}), validators=[parsed])


@admin.register(ScreeningRule)
class ScreeningRuleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # ModelAdmin takes no parameter at run time
    """The newest version of each rule; saving one writes the next version, and none is ever changed."""

    form = RuleForm
    list_display = ("key", "version", "title", "action", "policy", "enabled", "conditions", "made_at")
    list_filter = ("action", "policy", "enabled")
    ordering = ("key",)
    change_list_template = "admin/dashboards/screeningrule/change_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ScreeningRule]:
        """In the list the versions in force; an older one is still found by its address."""
        rows: QuerySet[ScreeningRule] = super().get_queryset(request)
        if request.resolver_match is None or request.resolver_match.url_name != "dashboards_screeningrule_changelist":
            return rows
        newest = ScreeningRule.objects.filter(key=OuterRef("key")).order_by("-version")
        return rows.filter(pk=Subquery(newest.values("pk")[:1]))

    def get_readonly_fields(self, request: HttpRequest, obj: ScreeningRule | None = None) -> tuple[str, ...]:
        """A rule keeps its key."""
        return ("key",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Verdicts name versions, so none goes; a rule is switched off instead."""
        return False

    def save_model(self, request: HttpRequest, obj: ScreeningRule, form: Any, change: bool) -> None:
        """Write the next version."""
        written = screening_rules.write_rule(
            obj.key, title=obj.title, conditions=obj.conditions, action=obj.action, policy=obj.policy,
            enabled=obj.enabled, note=obj.note, by=request.user.pk, now=timezone.now(),
        )  # fmt: skip
        obj.pk, obj.version = written.pk, written.version

    def get_urls(self) -> list[URLPattern]:
        """The pages of a list, and the dry run."""
        dry_run = path(
            "dry-run/", self.admin_site.admin_view(self.dry_run), name="dashboards_screeningrule_dry_run"
        )  # fmt: skip
        return [dry_run, *super().get_urls()]

    def dry_run(self, request: HttpRequest) -> HttpResponse:
        """What conditions would have caught of the uploads of the last days; changes nothing."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        rule = ScreeningRule.objects.filter(pk=_number(request.GET.get("rule"))).first()
        asked = request.GET if "conditions" in request.GET else None
        form = DryRunForm(asked, initial={"conditions": rule.conditions if rule else _EXAMPLE})
        result = None
        if form.is_valid():
            result = screening_rules.dry_run(parse(form.cleaned_data["conditions"]), now=timezone.now())
        context = {
            **self.admin_site.each_context(request), "title": "Dry run", "form": form, "result": result,
            "days": screening_rules.DRY_RUN_DAYS, "signals": SIGNALS.items(), "opts": self.opts,
            "rules": screening_rules.newest_versions(),
        }  # fmt: skip
        return TemplateResponse(request, "admin/dashboards/screeningrule/dry_run.html", context)


_EXAMPLE = [{"signal": "text_links", "at_least": 2}]


def _number(raw: str | None) -> int:
    return int(raw) if raw and raw.isascii() and raw.isdigit() and len(raw) < 18 else 0


class EntryForm(forms.ModelForm):  # type: ignore[type-arg]  # as above
    """An entry by hand; a file of many is for `manage.py import_hashes`."""

    class Meta:
        model = HashEntry
        fields = ("label", "sha256", "hashes")


class EntryInline(admin.TabularInline):  # type: ignore[type-arg]  # as above
    model = HashEntry
    form = EntryForm
    extra = 1
    max_num = 200


@admin.register(HashList)
class HashListAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # as above
    """Lists of banned files; frames of them are compared with those of every upload."""

    list_display = ("name", "policy", "origin", "version", "changed_at")

    def get_inlines(self, request: HttpRequest, obj: HashList | None) -> Any:
        """Short lists are edited here."""
        short = obj is None or obj.entries.count() <= EntryInline.max_num
        return [EntryInline] if short else []

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Entries, and a new version of the list."""
        super().save_related(request, form, formsets, change)
        hash_lists.note_change(form.instance, now=timezone.now())


@admin.register(Screening)
class ScreeningAdmin(ReadOnlyAdmin):
    """Every verdict, newest first, with its numbers."""

    list_display = ("at", "content_id", "verdict", "policy", "rules", "resembles")
    list_filter = ("verdict", "policy")
    search_fields = ("content_id__exact",)
    search_help_text = "Id of a content."
    ordering = ("-id",)

    @admin.display(description="Rules")
    def rules(self, row: Screening) -> str:
        """The rules that held."""
        return ", ".join(f"{key} {version}" for key, version in row.matched)


@admin.register(UploadSigns)
class UploadSignsAdmin(ReadOnlyAdmin):
    """What is known of each upload."""

    list_display = ("content_id", "creator_id", "uploaded_at", "media", "media_code", "due", "changed_at")
    list_filter = ("media", "due")
    search_fields = ("content_id__exact", "creator_id__exact")
    search_help_text = "Id of a content or a creator."
    ordering = ("-changed_at",)
