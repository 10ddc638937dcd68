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
from dashboards.kpis import BY_KEY, KPIS
from dashboards.signals import SIGNALS
from dashboards.stats.alerting import Kind, is_number
from dashboards.stats.periods import Grain
from events.admin_base import ReadOnlyAdmin

ACK = "dashboards.ack_alertincident"


class NoteForm(ActionForm):
    """The list's actions, with room for a note."""

    note = forms.CharField(required=False, label="Note", max_length=200)


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]  # it takes no parameter at run time
    """A rule on a KPI that is there by day or hour, or on a signal of the system."""

    kpi = forms.ChoiceField(
        label="Watches",
        choices=[
            ("KPIs", [(kpi.key, kpi.title) for kpi in KPIS if Grain.DAY in kpi.grains]),
            ("The system, by reading", [(signal.key, signal.title) for signal in SIGNALS]),
        ],
    )

    class Meta:
        model = AlertRule
        fields = (
            "name", "kpi", "grain", "kind", "bound", "in_row", "least_users", "severity", "quiet_under", "runbook",
            "enabled",
        )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        key, grain, kind = str(cleaned.get("kpi", "")), cleaned.get("grain"), cleaned.get("kind")
        if key in BY_KEY and grain and grain not in BY_KEY[key].grains:
            raise ValidationError({"grain": f"{key} is there by {', '.join(BY_KEY[key].grains)}; got {grain}"})
        if key and key not in BY_KEY and grain and grain != AlertRule.Grain.READING:
            raise ValidationError(
                {"grain": f"{key} is a signal of the system, which is judged by reading; got {grain}"}
            )
        if grain == AlertRule.Grain.READING and kind not in {Kind.ABOVE, Kind.BELOW, None}:
            raise ValidationError({"kind": f"a signal is above or below a bound; got {kind}"})
        cause = cleaned.get("quiet_under")
        if cause is not None and (cause.pk == self.instance.pk or cause.quiet_under_id is not None):
            raise ValidationError({"quiet_under": "a rule is quiet under another one, which is itself under none"})
        return cleaned

    def clean_bound(self) -> float:
        bound = float(self.cleaned_data["bound"])
        if not is_number(bound):
            raise ValidationError(f"the bound must be a number; got {bound}")
        return bound


@admin.register(AlertRule)
class RuleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # ModelAdmin takes no parameter at run time
    form = RuleForm
    list_display = ("name", "kpi", "grain", "kind", "bound", "severity", "enabled", "state", "judged_until", "said")
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
