"""Alerts in the admin: rules and channels to set up, incidents to acknowledge, silences, and what was sent."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from dashboards import alerts, notifications
from dashboards.alert_models import (
    AlertChannel,
    AlertDelivery,
    AlertIncident,
    AlertMoment,
    AlertRule,
    AlertSilence,
)
from dashboards.kpis import KPIS
from dashboards.stats.alerting import is_number
from dashboards.stats.periods import Grain
from events.admin_base import ReadOnlyAdmin

ACK = "dashboards.ack_alertincident"


class NoteForm(ActionForm):
    """The list's actions, with room for a note."""

    note = forms.CharField(required=False, label="Note", max_length=200)


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]  # it takes no parameter at run time
    """A rule on a KPI that is there by day."""

    kpi = forms.ChoiceField(choices=[(kpi.key, kpi.title) for kpi in KPIS if Grain.DAY in kpi.grains])

    class Meta:
        model = AlertRule
        fields = ("name", "kpi", "kind", "bound", "in_row", "least_users", "severity", "enabled")

    def clean_bound(self) -> float:
        bound = float(self.cleaned_data["bound"])
        if not is_number(bound):
            raise ValidationError(f"the bound must be a number; got {bound}")
        return bound


@admin.register(AlertRule)
class RuleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # ModelAdmin takes no parameter at run time
    form = RuleForm
    list_display = ("name", "kpi", "kind", "bound", "severity", "enabled", "state", "judged_until", "said")
    list_filter = ("state", "severity", "enabled")


@admin.register(AlertSilence)
class SilenceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # as above
    list_display = ("__str__", "start", "end", "author", "comment")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)

        class Bounded(form):  # type: ignore[misc, valid-type]  # made for this request
            def clean(self) -> Any:
                cleaned = super().clean() or self.cleaned_data
                start, end = cleaned.get("start"), cleaned.get("end")
                if start and end and not start < end <= start + alerts.LONGEST_SILENCE:
                    raise ValidationError("a silence ends after it begins, and within seven days")
                return cleaned

        return Bounded

    def save_model(self, request: HttpRequest, obj: AlertSilence, form: Any, change: bool) -> None:
        obj.author = request.user.get_username()
        super().save_model(request, obj, form, change)


@admin.register(AlertChannel)
class ChannelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # as above
    list_display = ("name", "kind", "target", "enabled", "failures")
    fields = ("name", "kind", "target", "enabled", "signing_secret")
    readonly_fields = ("signing_secret",)
    actions = ("send_a_test",)

    @admin.display(description="Secret of the signatures")
    def signing_secret(self, channel: AlertChannel) -> str:
        return channel.secret or "made when the channel is saved"

    def save_model(self, request: HttpRequest, obj: AlertChannel, form: Any, change: bool) -> None:
        obj.secret = obj.secret or notifications.new_secret()
        super().save_model(request, obj, form, change)

    @admin.action(description="Send a test", permissions=["change"])
    def send_a_test(self, request: HttpRequest, chosen: QuerySet[AlertChannel]) -> None:
        for channel in chosen:
            delivery = notifications.send_test(channel, now=timezone.now())
            if delivery.state == AlertDelivery.State.SENT:
                self.message_user(request, f"{channel}: sent", messages.SUCCESS)
            else:
                self.message_user(request, f"{channel}: {delivery.error}", messages.ERROR)


class MomentInline(admin.TabularInline):  # type: ignore[type-arg]  # as above
    model = AlertMoment
    fields = readonly_fields = ("at", "what", "by", "text")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(AlertIncident)
class IncidentAdmin(ReadOnlyAdmin):
    list_display = ("fired_at", "rule", "reason", "first_period", "last_period", "resolved_at", "acked_by")
    list_filter = (("resolved_at", admin.EmptyFieldListFilter), "rule")
    ordering = ("-fired_at",)
    inlines = (MomentInline,)
    action_form = NoteForm
    actions = ("acknowledge",)

    def has_ack_permission(self, request: HttpRequest) -> bool:
        """To say that one is at it."""
        return request.user.has_perm(ACK)

    @admin.action(description="Acknowledge", permissions=["ack"])
    def acknowledge(self, request: HttpRequest, chosen: QuerySet[AlertIncident]) -> None:
        by, note = request.user.get_username(), request.POST.get("note", "")
        count = alerts.acknowledge(list(chosen.values_list("pk", flat=True)), by=by, note=note, now=timezone.now())
        self.message_user(request, f"{count} incidents acknowledged", messages.SUCCESS)


@admin.register(AlertDelivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("made_at", "channel", "incident", "state", "attempts", "next_at", "error")
    list_filter = ("state", "channel")
