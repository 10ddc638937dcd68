"""Admin of the value weights: their history, a form for the next version, and going back to an earlier one."""

from collections.abc import Iterator
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from events.admin_base import ReadOnlyAdmin
from ranking import value_weights
from ranking.models import ValueWeights
from ranking.ranker.value import SEGMENTS, TERMS, InvalidWeights, Policy, bounds

_PER_LINE: Final = 4


def field_of(segment: str, term: str) -> str:
    """Name of the form field of one weight."""
    return f"{segment}__{term}"


def _number(term: str) -> forms.FloatField:
    low, high = bounds(term)
    return forms.FloatField(label=term, min_value=low, max_value=high, widget=forms.NumberInput(attrs={"step": "any"}))


class _Weights(forms.ModelForm):  # type: ignore[type-arg]  # ModelForm takes no parameter at run time
    """The next version: starts from what serves now."""

    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 2}), help_text="Why; kept with the version.")

    class Meta:
        model = ValueWeights
        fields = ("reason",)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        serving = value_weights.current().document()
        for segment in SEGMENTS:
            for term in TERMS:
                self.fields[field_of(segment, term)].initial = serving[segment][term]

    def document(self) -> dict[str, dict[str, float]]:
        """The weights as typed."""
        return {segment: {term: self.cleaned_data[field_of(segment, term)] for term in TERMS} for segment in SEGMENTS}

    def clean(self) -> dict[str, Any]:
        """What no single field can know: a segment must weigh something."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                Policy.parse(0, self.document())
            except InvalidWeights as error:
                self.add_error(None, str(error))
        return cleaned


WeightsForm: Final = type(
    "WeightsForm", (_Weights,), {field_of(segment, term): _number(term) for segment in SEGMENTS for term in TERMS}
)


class RestoreForm(ActionForm):
    """The reason that goes with a restored version."""

    reason = forms.CharField(required=False, label="Reason (for restoring)")


@admin.register(ValueWeights)
class ValueWeightsAdmin(ReadOnlyAdmin):
    """The newest version serves; a weight is worth so many seconds of watching."""

    list_display = ("version", "serves", "made_at", "made_by", "reason", "restores")
    list_display_links = ("version",)
    ordering = ("-id",)
    actions = ("restore",)
    action_form = RestoreForm
    form = WeightsForm

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("ranking.add_valueweights"))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None:
            return ((None, {"fields": ("version", "serves", "made_at", "made_by", "reason", "restores", "table")}),)
        return (
            *((f"{segment} users", {"fields": list(_lines(segment))}) for segment in SEGMENTS),
            ("Why", {"fields": ("reason",)}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else ("version", "serves", "made_at", "made_by", "reason", "restores", "table")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        who = request.user.get_username()
        obj.pk = value_weights.publish(
            form.document(), by=who, reason=form.cleaned_data["reason"], now=timezone.now()
        )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[ValueWeights]:
        return ValueWeights.objects.annotate(newest=value_weights.newest())

    @admin.display(description="version", ordering="id")
    def version(self, row: ValueWeights) -> int:
        return int(row.pk)

    @admin.display(description="serves", boolean=True)
    def serves(self, row: Any) -> bool:
        return bool(row.pk == row.newest)

    @admin.display(description="weights")
    def table(self, row: ValueWeights) -> SafeString:
        head = format_html_join("", "<th>{}</th>", ((segment,) for segment in SEGMENTS))
        lines = format_html_join(
            "", "<tr><th>{}</th>{}</tr>",
            (
                (term, format_html_join("", "<td>{}</td>", ((row.weights[s].get(term, "-"),) for s in SEGMENTS)))
                for term in TERMS
            ),
        )  # fmt: skip
        return format_html("<table><tr><th>term</th>{}</tr>{}</table>", head, lines)

    @admin.action(description="Restore: let these weights serve again, as a new version", permissions=["add"])
    def restore(self, request: HttpRequest, chosen: QuerySet[ValueWeights]) -> None:
        rows = list(chosen[:2])
        if len(rows) != 1:
            self.message_user(request, "Choose exactly one version to restore.", messages.ERROR)
            return
        try:
            version = value_weights.restore(
                rows[0].pk, by=request.user.get_username(), reason=request.POST.get("reason", ""), now=timezone.now()
            )
        except InvalidWeights as error:
            self.message_user(request, f"Not restored: {error}", messages.ERROR)
        else:
            self.message_user(request, f"The weights of version {rows[0].pk} serve now, as version {version}.")


def _lines(segment: str) -> Iterator[tuple[str, ...]]:
    """Fields of a segment, a few per line."""
    for first in range(0, len(TERMS), _PER_LINE):
        yield tuple(field_of(segment, term) for term in TERMS[first : first + _PER_LINE])
