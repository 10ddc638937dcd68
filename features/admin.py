"""What the feature store holds, readable by people; nothing here is edited by hand."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from features.extraction.definitions import COUNTER_SET, COUNTERS
from features.models import ContentFeatures, Embedding, FillState


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # ModelAdmin takes no parameter at run time
    """Rows are made by `materialize`; a change by hand would be lost at the next run."""

    # A count over millions of rows would make the page slow.
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ContentFeatures)
class ContentFeaturesAdmin(ReadOnly):
    """Counter states, named signal by signal."""

    list_display = ("content_id", "as_of", "window_start", "feature_set")
    search_fields = ("=content_id",)
    ordering = ("-id",)
    exclude = ("vector",)
    readonly_fields = ("counters",)

    @admin.display(description="counters (decayed sums)")
    def counters(self, row: ContentFeatures) -> str:
        """`signal half-life: value`, one per line."""
        if row.feature_set != COUNTER_SET:
            return "of another feature set"
        pairs = zip(COUNTERS, row.vector, strict=True)
        return "\n".join(f"{signal} {label}: {value:.2f}" for (signal, label), value in pairs)


@admin.register(Embedding)
class EmbeddingAdmin(ReadOnly):
    """Text vectors."""

    list_display = ("content_id", "as_of", "encoder", "dimensions")
    search_fields = ("=content_id",)
    ordering = ("-id",)

    @admin.display
    def dimensions(self, row: Embedding) -> int:
        """Length of the vector."""
        return len(row.vector)


@admin.register(FillState)
class FillStateAdmin(ReadOnly):
    """Hours of the log that are taken in."""

    list_display = ("window_start", "as_of", "events", "feature_set")
    ordering = ("-window_start",)
