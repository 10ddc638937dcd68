"""Which contents look the same, by the perceptual hashes of their analyses; grouped anew when an analysis was added."""

from datetime import datetime

import numpy as np
from django.db.models import Count, Max, OuterRef, Subquery
from numpy.typing import NDArray

from events.cleaning.audience import Audience
from events.queries import newest
from features.extraction.looks import UNIQUE, look_groups
from features.models import ContentAnalysis

_grouped: dict[tuple[int, datetime | None], dict[str, int]] = {}
"""The groups this process made last, by what they were made of."""


def looks_of(content_ids: NDArray[np.object_]) -> NDArray[np.int32]:
    """Group of each content, int32 array (n,), `UNIQUE` for who has no twin; see `extraction.looks`."""
    group = _groups()
    return np.array([group.get(each, UNIQUE) for each in content_ids.tolist()], np.int32)


def newest_looks(limit: int, audience: Audience) -> dict[str, int]:
    """The newest uploads that an audience may see, newest first, and the group of each among them, `UNIQUE` for none.

    One query, for lists that no snapshot stands behind.
    """
    analysed = ContentAnalysis.objects.filter(content_id=OuterRef("content_id")).values("perceptual_hashes")
    rows = list(newest(audience).annotate(hashes=Subquery(analysed)).values_list("content_id", "hashes")[:limit])
    hashed = [(content_id, hashes) for content_id, hashes in rows if hashes]
    codes = look_groups([hashes for _, hashes in hashed]).tolist()
    group = {content_id: code for (content_id, _), code in zip(hashed, codes, strict=True)}
    return {content_id: group.get(content_id, UNIQUE) for content_id, _ in rows}


def _groups() -> dict[str, int]:
    hashed = ContentAnalysis.objects.exclude(perceptual_hashes=[])
    state = hashed.aggregate(count=Count("content_id"), newest=Max("analysed_at"))
    known = (state["count"], state["newest"])
    if known not in _grouped:
        rows = list(hashed.order_by("content_id").values_list("content_id", "perceptual_hashes"))
        codes = look_groups([hashes for _, hashes in rows]).tolist()
        found = {content_id: code for (content_id, _), code in zip(rows, codes, strict=True) if code != UNIQUE}
        _grouped.clear()
        _grouped[known] = found
    return _grouped[known]
