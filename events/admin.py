"""The admin of users, contents, the event log and keys; that of dead letters is `letter_admin`.

The log can be read and not touched. Contents change their moderation state through the catalogue's service, so that
the admin and the feed can never disagree on what "removed" means.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events import api_keys, authentication, letter_admin, window_admin
from events.admin_base import ReadOnlyAdmin
from events.catalogue import set_moderation_state
from events.cleaning.uploads import is_media_url
from events.models import ApiKey, Content, DeadLetter, Event, ImportProgress, UserProfile, WindowFill
from events.queries import describe
from events.scopes import DESCRIPTIONS


@admin.register(Content)
class ContentAdmin(ReadOnlyAdmin):
    list_display = ("content_id", "picture", "caption", "creator_id", "status", "category", "upload_timestamp")
    list_filter = ("status", "language")
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
            if set_moderation_state(content_id, status=status):
                changed += 1
                self.log_change(request, Content(content_id=content_id), f"status: {status}")
        self.message_user(request, f"{changed} of {len(ids)} contents are now {status}.")


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("timestamp", "event_type", "user_id", "content_id", "position", "received_at")
    list_filter = ("event_type",)
    search_fields = ("user_id__exact",)
    search_help_text = "Id of a user."
    ordering = ("-timestamp",)
    date_hierarchy = None
    list_per_page = 50


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

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                api_keys.check_rights(data["kind"], data["scopes"] or None, data["origins"])
            except api_keys.InvalidKey as error:
                raise forms.ValidationError(str(error)) from None
        return data


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # ModelAdmin takes no parameter at run time
    form = ApiKeyForm
    list_display = ("name", "prefix", "kind", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_filter = ("kind",)
    fields = ("name", "kind", "scopes", "origins", "expires_at")
    actions = ("rotate_keys", "revoke_keys")

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
