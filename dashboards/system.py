"""How the system itself does: the feed's latency by stage, what fell back, what lags, what waits for somebody."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

import redis
from django.conf import settings
from prometheus_client.metrics_core import Metric

from dashboards import web_counters
from events import dead_letters, windows
from ranking.queries import ModelTrouble, model_history, open_model_alerts

QUEUE: Final = "celery"
PATIENCE_S: Final = 0.3
_QUANTILES: Final = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds below which a share of the observations since the web server started lies; None without any."""

    name: str
    count: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Health:
    """What the system page shows; a part that cannot be asked is None."""

    latencies: tuple[Latency, ...]
    levels: tuple[tuple[str, int], ...]
    fallback_pct: float | None
    ingest_lag: Latency | None
    families: tuple[tuple[str, float, int], ...]
    dead_letters: int
    queued: int | None
    model: str | None
    model_age_h: float | None
    trained_age_h: float | None
    troubles: tuple[ModelTrouble, ...]


def health(*, now: datetime) -> Health:
    """Everything at once: five short queries, one look at the broker, one pass over this server's counters."""
    metrics = web_counters.families()
    levels = sorted(_totals(metrics.get("recsys_feeds"), "level").items(), key=lambda item: -item[1])
    answered = sum(count for _, count in levels)
    ranked = dict(levels).get("ranked", 0)
    lags, aside = windows.lags(now=now), windows.set_aside()
    champion = next((model for model in model_history() if model.state == "champion"), None)
    since = None if champion is None else champion.promoted_at
    stages = _latencies(metrics.get("recsys_feed_stage_seconds"), "stage")
    lag = _latencies(metrics.get("recsys_event_lag_seconds"), None)
    return Health(
        latencies=(*_latencies(metrics.get("recsys_feed_seconds"), None, "whole feed"), *stages),
        levels=tuple(levels),
        fallback_pct=100.0 * (answered - ranked) / answered if answered else None,
        ingest_lag=lag[0] if lag else None,
        families=tuple((name, lags[name], aside.get(name, 0)) for name in sorted(lags)),
        dead_letters=dead_letters.depth(),
        queued=queued(),
        model=None if champion is None else champion.version,
        model_age_h=None if since is None else (now - since).total_seconds() / 3600.0,
        trained_age_h=None if champion is None else (now - champion.trained_until).total_seconds() / 3600.0,
        troubles=tuple(open_model_alerts()),
    )


def _totals(metric: Metric | None, label: str) -> dict[str, int]:
    samples = metric.samples if metric else []
    return {each.labels[label]: int(each.value) for each in samples if each.name.endswith("_total")}


def _latencies(metric: Metric | None, label: str | None, name: str = "") -> list[Latency]:
    """Quantiles of a histogram, interpolated within its buckets as Prometheus does."""
    buckets: dict[str, dict[float, float]] = {}
    for sample in metric.samples if metric else []:
        if sample.name.endswith("_bucket"):
            of = buckets.setdefault(sample.labels.get(label, name) if label else name, {})
            bound = float(sample.labels["le"])
            of[bound] = of.get(bound, 0.0) + sample.value
    return [
        Latency(each, int(max(counts.values())), *(bucket_quantile(counts, share) for share in _QUANTILES))
        for each, counts in sorted(buckets.items())
        if max(counts.values()) > 0
    ]


def bucket_quantile(counts: dict[float, float], share: float) -> float | None:
    """A quantile in milliseconds from cumulative counts by upper bound in seconds; None without any.

    What lies in the last bucket, which has no bound, counts as the bound below it.

    >>> round(bucket_quantile({0.1: 5.0, 0.2: 10.0, float("inf"): 10.0}, 0.75), 6)
    150.0
    """
    bounds = sorted(counts)
    total = counts[bounds[-1]] if bounds else 0.0
    if not total:
        return None
    wanted, low = share * total, 0.0
    for bound, (before, upto) in zip(bounds, pairwise([0.0, *(counts[bound] for bound in bounds)]), strict=True):
        if upto >= wanted:
            if bound == float("inf"):
                return low * 1e3
            return (low + (bound - low) * (wanted - before) / (upto - before)) * 1e3 if upto > before else bound * 1e3
        low = bound
    return low * 1e3


def queued() -> int | None:
    """Jobs that wait for a worker; None where the broker does not answer."""
    try:
        client = redis.Redis.from_url(
            settings.CELERY_BROKER_URL, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S, retry=None
        )
        return int(client.llen(QUEUE))
    except (redis.RedisError, ValueError):
        return None
