"""What the feature store holds, readable by people; nothing here is edited by hand."""

from django.contrib import admin

from events.admin_base import ReadOnlyAdmin
from features.extraction.definitions import COUNTER_SET, COUNTERS
from features.models import ContentFeatures, ContentWindow, Embedding


@admin.register(ContentFeatures)
class ContentFeaturesAdmin(ReadOnlyAdmin):
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
class EmbeddingAdmin(ReadOnlyAdmin):
    """Text vectors."""

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
    exclude = ("contents", "cells", "counts")
