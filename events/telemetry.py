"""Counters of the ingestion layer, for Prometheus."""

from collections.abc import Iterable

from prometheus_client import Counter

EVENTS = Counter(
    "recsys_events_total",
    "Events that arrived, by what became of them; `code` says why an event was rejected.",
    ["source", "result", "code"],
)


def count_batch(source: str, accepted: int, duplicates: int, rejected_codes: Iterable[str]) -> None:
    """Count one ingested batch."""
    if accepted:
        EVENTS.labels(source, "accepted", "").inc(accepted)
    if duplicates:
        EVENTS.labels(source, "duplicate", "").inc(duplicates)
    for code in rejected_codes:
        EVENTS.labels(source, "rejected", code).inc()
