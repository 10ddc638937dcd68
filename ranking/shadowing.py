"""What a shadow would have said: pages that were really served, scored again by the model that is being looked at.

It happens in a task, from the features that the log of served pages holds, so that no request waits for a shadow and
none can break on it. A page is chosen by its request id, so each run chooses the same ones, and none is scored twice.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import numpy as np
from django.db.models import Max
from numpy.typing import NDArray

from features.extraction.definitions import FEATURE_SET, NAMES
from ranking import model_files
from ranking.models import ModelVersion, Served, ShadowPage
from ranking.pipeline.buckets import within
from ranking.ranker.bundle import BundleError, ServingBundle
from ranking.serving_models import pointer_to

LOOK_BACK: Final = timedelta(hours=1)
"""Pages older than this are not caught up with."""
KEPT_FOR: Final = timedelta(days=30)
SETTLED: Final = timedelta(seconds=5)
"""A page this old is committed."""
MOST_POSITIONS: Final = 20_000
"""Newest served positions that one run looks at; of a busier minute it scores the later part."""
MOST_PAGES: Final = 2_000
"""That a summary is made of."""
_CUTS: Final = np.cumsum([len(NAMES[block]) for block in ("user", "content")]).tolist()

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """What a run did; `version` is None where no model is a shadow."""

    version: str | None
    pages: int
    broken: int


@dataclass(frozen=True, slots=True)
class ShadowSummary:
    """How a shadow compares with what served, over its pages.

    Attributes
    ----------
    broken_pct : pages with a figure that is not finite
    same_first_pct : pages on which both would have the same content first
    agreement : mean share of pairs of a page that both put in the same order; None where no page has two
    mean_gap : mean of the shadow's chance less the one of what served
    ms_per_page : of the shadow
    """

    pages: int
    positions: int
    broken_pct: float
    same_first_pct: float | None
    agreement: float | None
    mean_gap: float | None
    ms_per_page: float


def score_pages(*, now: datetime) -> ShadowReport:
    """Score the pages that were served since the last run."""
    row = ModelVersion.objects.filter(state=ModelVersion.State.SHADOW).first()
    if row is None:
        return ShadowReport(None, 0, 0)
    try:
        model = model_files.load(pointer_to(row), feature_set=FEATURE_SET)
    except BundleError:  # `registry.check` raises the alert
        return ShadowReport(row.version, 0, 0)
    done = ShadowPage.objects.filter(version=row.version).aggregate(Max("served_at"))["served_at__max"]
    since = max(done, now - LOOK_BACK) if done else now - LOOK_BACK
    served_by: dict[str, ServingBundle | None] = {}
    found = [
        page
        for rows in _pages(since, now - SETTLED, row.share_pct or 0)
        if (page := _scored(row.version, model, rows, served_by)) is not None
    ]
    # Two workers at once score the same pages alike.
    ShadowPage.objects.bulk_create(found, ignore_conflicts=True)
    ShadowPage.objects.filter(version=row.version, served_at__lt=now - KEPT_FOR).delete()
    broken = sum(not np.isfinite(np.frombuffer(page.scores, "<f4")).all() for page in found)
    return ShadowReport(row.version, len(found), broken)


def summary(version: str) -> ShadowSummary | None:
    """What the newest pages of a shadow come to; None without any."""
    pages = list(ShadowPage.objects.filter(version=version).order_by("-served_at")[:MOST_PAGES])
    if not pages:
        return None
    pairs = [(np.frombuffer(page.scores, "<f4"), np.frombuffer(page.served_scores, "<f4")) for page in pages]
    sound = [(ours, theirs) for ours, theirs in pairs if np.isfinite(ours).all() and np.isfinite(theirs).all()]
    gaps = np.concatenate([ours - theirs for ours, theirs in sound]) if sound else np.empty(0, np.float32)
    agreements = [each for each in map(_agreement, sound) if each is not None]
    return ShadowSummary(
        pages=len(pages),
        positions=sum(len(ours) for ours, _ in pairs),
        broken_pct=100.0 * (1.0 - float(np.mean([np.isfinite(ours).all() for ours, _ in pairs]))),
        same_first_pct=100.0 * float(np.mean([ours.argmax() == theirs.argmax() for ours, theirs in sound]))
        if sound else None,
        agreement=float(np.mean(agreements)) if agreements else None,
        mean_gap=float(gaps.mean()) if len(gaps) else None,
        ms_per_page=float(np.mean([page.took_ms for page in pages])),
    )  # fmt: skip


def _pages(since: datetime, until: datetime, share_pct: int) -> Iterator[list[Any]]:
    """Served pages with the features of today, oldest first, as far as they are among the share."""
    # By the primary key, which follows the time: nothing else of this table is in that order.
    newest = Served.objects.order_by("-id").values("id", "request_id", "served_at")[:MOST_POSITIONS]
    chosen = [
        row["id"]
        for row in newest
        if since < row["served_at"] <= until and within(share_pct, "shadow", str(row["request_id"]))
    ]
    rows = (
        Served.objects.filter(id__in=chosen, feature_set=FEATURE_SET)
        .order_by("served_at", "request_id", "position")
        .values_list("request_id", "served_at", "model_version", "features", named=True)
    )
    for _, page in groupby(rows, key=lambda row: row.request_id):
        yield list(page)


def _scored(
    version: str, model: ServingBundle, rows: Sequence[Any], served_by: dict[str, ServingBundle | None]
) -> ShadowPage | None:
    """A page as the shadow and as the model that served it judge it; None where no model did."""
    serving = rows[0].model_version
    if serving not in served_by:
        served_by[serving] = _bundle_of(serving)
    other = served_by[serving]
    if other is None or serving == version:
        return None
    matrix = np.stack([np.frombuffer(row.features, "<f4") for row in rows])
    blocks = dict(zip(("user", "content", "context"), np.split(matrix, _CUTS, axis=1), strict=True))
    started = time.perf_counter()
    scores = _scores(model, blocks)
    took_ms = 1e3 * (time.perf_counter() - started)
    return ShadowPage(
        version=version, request_id=UUID(str(rows[0].request_id)), served_by=serving, served_at=rows[0].served_at,
        scores=scores.astype("<f4").tobytes(), served_scores=_scores(other, blocks).astype("<f4").tobytes(),
        took_ms=took_ms,
    )  # fmt: skip


def _bundle_of(version: str) -> ServingBundle | None:
    row = ModelVersion.objects.filter(version=version).first()
    try:
        return None if row is None else model_files.load(pointer_to(row), feature_set=FEATURE_SET)
    except BundleError:
        return None


def _scores(model: ServingBundle, blocks: dict[str, Floats]) -> Floats:
    """Chances of a long view; NaN for all where the model gives figures that are not finite."""
    try:
        return model.score_rows({name: np.ascontiguousarray(block) for name, block in blocks.items()})
    except BundleError:
        return np.full(len(blocks["content"]), np.nan, np.float32)


def _agreement(pair: tuple[Floats, Floats]) -> float | None:
    """Share of the pairs of one page that both scores put in the same order, ties half; None below two positions."""
    ours, theirs = pair
    if len(ours) < 2:
        return None
    above = np.triu_indices(len(ours), 1)
    product = np.sign(ours[:, None] - ours[None, :])[above] * np.sign(theirs[:, None] - theirs[None, :])[above]
    return float((product + 1.0).mean() / 2.0)
