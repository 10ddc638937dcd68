"""Which contents look the same, by the perceptual hashes of their analyses; grouped anew when an analysis was added."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from django.db.models import Count, Max
from numpy.typing import NDArray

from features.extraction.looks import UNIQUE, look_groups
from features.models import ContentAnalysis

_grouped: dict[tuple[int, datetime | None], dict[str, int]] = {}
"""The groups this process made last, by what they were made of."""


def looks_of(content_ids: NDArray[np.object_]) -> NDArray[np.int32]:
    """Group of each content, int32 array (n,), `UNIQUE` for who has no twin; see `extraction.looks`."""
    group = _groups()
    return np.array([group.get(each, UNIQUE) for each in content_ids.tolist()], np.int32)


def looks_among(content_ids: Sequence[str]) -> dict[str, int]:
    """Group of each of these contents that has a twin among them; for lists that no snapshot stands behind."""
    analysed = ContentAnalysis.objects.filter(content_id__in=content_ids).exclude(perceptual_hashes=[])
    rows = list(analysed.order_by("content_id").values_list("content_id", "perceptual_hashes"))
    codes = look_groups([hashes for _, hashes in rows]).tolist()
    return {content_id: code for (content_id, _), code in zip(rows, codes, strict=True) if code != UNIQUE}


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
