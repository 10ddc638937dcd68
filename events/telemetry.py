"""What Prometheus learns of the ingestion layer.

Counters and the histogram are added up over the web workers. The gauges describe the database, not a process: each
scrape measures them anew (`metrics`), and of several workers' files the most recent value counts.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter(
    "recsys_events_total",
    "Events that arrived, by what became of them; `code` says why an event was rejected.",
    ["source", "result", "code"],
)
CONFLICTS = Counter(
    "recsys_event_conflicts_total", "Duplicates whose id was known with another payload; the first stays.", ["source"]
)
THROTTLED = Counter(
    "recsys_throttled_requests_total", "Requests refused by a rate limit, by what was limited.", ["limit"]
)
LAG_BOUNDS_S: Final = (1.0, 5.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 21_600.0, 86_400.0, 604_800.0)
LAG = Histogram(
    "recsys_event_lag_seconds",
    "Arrival of an accepted event minus when it happened.",
    ["source"],
    buckets=LAG_BOUNDS_S,
)
DEAD_LETTERS = Gauge("recsys_dead_letters", "Refused events that wait for somebody.", multiprocess_mode="mostrecent")
WINDOWS_ASIDE = Gauge(
    "recsys_windows_aside",
    "Hours of the log that a family of derived rows could not take in, however often it tried; they wait for somebody.",
    ["family"],
    multiprocess_mode="mostrecent",
)
WINDOW_LAG = Gauge(
    "recsys_window_lag_seconds",
    "How far a family of rows derived by the hour is behind the newest event.",
    ["family"],
    multiprocess_mode="mostrecent",
)


def count_batch(
    source: str,
    accepted: int,
    duplicates: int,
    rejected_codes: Iterable[str],
    *,
    conflicts: int = 0,
    lags_s: Iterable[float] = (),
) -> None:
    """Count one ingested batch; `conflicts` are among the duplicates, `lags_s` are of the accepted events."""
    if accepted:
        EVENTS.labels(source, "accepted", "").inc(accepted)
    if duplicates:
        EVENTS.labels(source, "duplicate", "").inc(duplicates)
    for code in rejected_codes:
        EVENTS.labels(source, "rejected", code).inc()
    if conflicts:
        CONFLICTS.labels(source).inc(conflicts)
    observe_lags(source, lags_s)


def observe_lags(source: str, lags_s: Iterable[float]) -> None:
    """Put the lags of a batch into the histogram, one increment per bucket instead of one per event."""
    lags = np.fromiter(lags_s, np.float64)
    if not len(lags):
        return
    histogram = LAG.labels(source)
    # A bucket holds what is at most its bound; the last one has no bound. The client has no call for many values.
    counts = np.bincount(np.searchsorted(LAG_BOUNDS_S, lags), minlength=len(LAG_BOUNDS_S) + 1)
    for bucket in np.flatnonzero(counts):
        histogram._buckets[bucket].inc(int(counts[bucket]))
    histogram._sum.inc(float(lags.sum()))


def count_throttled(limit: str) -> None:
    """Count a request that a rate limit refused; `limit` names which: "key", "user", "ip"."""
    THROTTLED.labels(limit).inc()
