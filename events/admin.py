"""The admin of users, contents, the event log and keys; that of dead letters is `letter_admin`.

The log can be read and not touched. Contents change their moderation state through the catalogue's service, so that
the admin and the feed can never disagree on what "removed" means.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events import api_keys, authentication, letter_admin, queries, window_admin
from events.admin_base import MODERATE, ReadOnlyAdmin
from events.catalogue import set_moderation_state
from events.cleaning.uploads import is_media_url
from events.errors import ApiError
from events.models import (
    ApiKey,
    AutomatedHour,
    Content,
    DeadLetter,
    Event,
    ImportProgress,
    Session,
    UserProfile,
    WindowFill,
)
from events.queries import describe
from events.scopes import DESCRIPTIONS


class SaidValues(admin.AllValuesFieldListFilter):
    """Every value has words to click on, the empty one too."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        """As Django's, with a name for what is empty."""
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or "not stated"}


@admin.register(Content)
class ContentAdmin(ReadOnlyAdmin):
    list_display = ("content_id", "picture", "caption", "creator_id", "status", "category", "upload_timestamp")
    list_filter = ("status", ("language", SaidValues))
    search_fields = ("content_id__exact", "creator_id__exact", "metadata__caption")
    search_help_text = "Id of a content or creator, or words of the caption."
    ordering = ("-upload_timestamp",)
    actions = ("make_active", "hide", "remove")

    def has_moderate_permission(self, request: HttpRequest) -> bool:
        """Moderating needs the permission to change contents, although no field can be edited."""
        return request.user.has_perm("events.change_content")

    @admin.display(description="Caption")
    def caption(self, content: Content) -> str:
        return describe(content.metadata)[0][:80]

    @admin.display(description="Category")
    def category(self, content: Content) -> str:
        return describe(content.metadata)[2]

    @admin.display(description="Picture")
    def picture(self, content: Content) -> SafeString | str:
        if not is_media_url(content.thumbnail_url):
            return ""
        return format_html('<img src="{}" alt="" height="48" loading="lazy">', content.thumbnail_url)

    @admin.action(description="Show again", permissions=["moderate"])
    def make_active(self, request: HttpRequest, contents: QuerySet[Content]) -> None:
        self._moderate(request, contents, Content.Status.ACTIVE)

    @admin.action(description="Hide from feeds", permissions=["moderate"])
    def hide(self, request: HttpRequest, contents: QuerySet[Content]) -> None:
        self._moderate(request, contents, Content.Status.HIDDEN)

    @admin.action(description="Remove", permissions=["moderate"])
    def remove(self, request: HttpRequest, contents: QuerySet[Content]) -> None:
        self._moderate(request, contents, Content.Status.REMOVED)

    def _moderate(self, request: HttpRequest, contents: QuerySet[Content], status: str) -> None:
        ids = list(contents.values_list("content_id", flat=True))
        changed = 0
        for content_id in ids:
            try:
                moved = _set_status(content_id, status, request)
            except ApiError as refusal:
                self.message_user(request, f"{content_id}: {refusal.message}.", level=messages.ERROR)
                continue
            if moved:
                changed += 1
                self.log_change(request, Content(content_id=content_id), f"status: {status}")
        self.message_user(request, f"{changed} of {len(ids)} contents are now {status}.")


def _set_status(content_id: str, status: str, request: HttpRequest) -> bool:
    assert request.user.pk is not None  # the admin asks who it is first
    if MODERATE:
        return MODERATE[-1](content_id, status, request.user.pk)
    return set_moderation_state(content_id, status=status)


class EventList(ChangeList):
    """Its links tell the time of each event, by which the log finds it again without reading every partition."""

    def url_for_result(self, result: Model) -> str:
        assert isinstance(result, Event)
        return f"{super().url_for_result(result)}?{urlencode({'at': result.timestamp.isoformat()})}"


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("timestamp", "event_type", "user_id", "content_id", "position", "received_at")
    list_filter = ("event_type",)
    search_fields = ("user_id__exact",)
    search_help_text = "Id of a user or of an event."
    ordering = ("-timestamp",)
    date_hierarchy = None
    list_per_page = 50

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EventList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Event | None:
        event_id = _uuid(unquote(object_id))
        return None if event_id is None else queries.event(event_id, at=_moment(request.GET.get("at", "")))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Event], search_term: str
    ) -> tuple[QuerySet[Event], bool]:
        event_id = _uuid(search_term.strip())
        found = queries.event(event_id) if event_id else None
        if found is not None:
            return queryset.filter(event_id=found.event_id, timestamp=found.timestamp), False
        return super().get_search_results(request, queryset, search_term)


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    list_display = ("started_at", "user_id", "device", "ended_at", "events", "views", "watch_s", "first_content")
    search_fields = ("user_id__exact",)
    search_help_text = "Id of a user."
    ordering = ("-started_at",)


@admin.register(AutomatedHour)
class AutomatedHourAdmin(ReadOnlyAdmin):
    list_display = ("window_start", "user_id")
    search_fields = ("user_id__exact",)
    search_help_text = "Id of a user."
    ordering = ("-window_start",)


@admin.register(UserProfile)
class UserProfileAdmin(ReadOnlyAdmin):
    list_display = ("user_id", "created_at", "updated_at")
    search_fields = ("user_id__exact",)
    search_help_text = "Id of a user."
    ordering = ("user_id",)


@admin.register(ImportProgress)
class ImportProgressAdmin(ReadOnlyAdmin):
    list_display = ("source", "fingerprint", "rows_done", "updated_at")


admin.site.register(DeadLetter, letter_admin.DeadLetterAdmin)
admin.site.register(WindowFill, window_admin.WindowFillAdmin)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    """A time from a link; whatever is none is as good as no time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]  # ModelForm takes no parameter at run time
    """A new key; without ticked scopes it may do everything that its kind can."""

    scopes = forms.MultipleChoiceField(
        choices=[(name, f"{name}: {text}") for name, text in DESCRIPTIONS.items()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="None ticked: everything that the kind of key can do.",
    )
    origins = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Publishable keys only: one per line, such as https://app.example.com",
    )

    class Meta:
        model = ApiKey
        fields = ("name", "kind", "scopes", "origins", "expires_at")

    def clean_origins(self) -> list[str]:
        return str(self.cleaned_data["origins"]).split()

    def clean_expires_at(self) -> datetime | None:
        moment: datetime | None = self.cleaned_data["expires_at"]
        if moment is not None and moment <= timezone.now():
            raise forms.ValidationError(f"a key must not have expired already; got {moment.isoformat()}")
        return moment

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                api_keys.check_rights(data["kind"], data["scopes"] or None, data["origins"])
            except api_keys.InvalidKey as error:
                self.add_error(error.field, str(error))
        return data


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # ModelAdmin takes no parameter at run time
    class Media:
        css: ClassVar = {"all": ("recsys/events-admin.css",)}

    form = ApiKeyForm
    list_display = ("name", "prefix", "short_kind", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_filter = ("kind",)
    fields = ("name", "kind", "scopes", "origins", "expires_at")
    actions = ("rotate_keys", "revoke_keys")

    @admin.display(description="Kind", ordering="kind")
    def short_kind(self, key: ApiKey) -> str:
        return key.kind

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A key is made and revoked, never edited; the list itself needs only the permission to view.
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A revoked key stays, so that it can be told later which key did what.
        del request, obj
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        del form, change
        obj.pk, secret = api_keys.create_key(
            obj.name, kind=obj.kind, scopes=obj.scopes or None, origins=obj.origins, expires_at=obj.expires_at
        )
        obj.refresh_from_db()
        authentication.forget_keys()
        self._show_once(request, secret)

    def _show_once(self, request: HttpRequest, secret: str) -> None:
        text = f"The key is {secret} - copy it now, it cannot be shown again."
        self.message_user(request, text, level=messages.WARNING)

    @admin.action(description="Rotate: make a successor, end the old key in a day", permissions=["add"])
    def rotate_keys(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        for key in keys:
            try:
                successor, secret = api_keys.rotate(key.pk, now=timezone.now())
            except api_keys.InvalidKey as error:
                self.message_user(request, f"{key}: {error}.", level=messages.ERROR)
                continue
            self.log_change(request, key, f"rotated: successor {successor}")
            self._show_once(request, secret)
        authentication.forget_keys()

    @admin.action(description="Revoke", permissions=["add"])
    def revoke_keys(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        now = timezone.now()
        revoked = sum(api_keys.revoke(key.pk, now=now) for key in keys)
        authentication.forget_keys()
        self.message_user(request, f"{revoked} keys revoked.")
