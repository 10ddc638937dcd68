"""Prometheus metrics of the feed: which level served, what it cost, which stages broke."""

from functools import cache
from typing import Any

from prometheus_client import Counter, Histogram

from ranking.pipeline.run import Account

FEEDS = Counter("recsys_feeds_total", "Feeds answered, by the level that served.", ["level"])
REPEATS = Counter("recsys_feeds_with_repeats_total", "Feeds that had to show something again.")
EMPTY = Counter("recsys_feeds_empty_total", "Feeds without a single item.")
RETRIEVED = Counter("recsys_feed_candidates_total", "Candidates proposed, by source.", ["source"])
ALONE = Counter("recsys_feed_candidates_alone_total", "Candidates only one source proposed, by source.", ["source"])
DROPPED = Counter("recsys_feed_dropped_total", "Candidates refused, by filter.", ["filter"])
FAILURES = Counter("recsys_feed_stage_failures_total", "Stages that broke while a feed was made.", ["stage"])
SKIPPED = Counter("recsys_feed_stages_skipped_total", "Stages left out because the time was up.", ["stage"])
STAGE_SECONDS = Histogram(
    "recsys_feed_stage_seconds",
    "Wall time of one stage of one feed.",
    ["stage"],
    buckets=(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
)
FEED_SECONDS = Histogram(
    "recsys_feed_seconds",
    "Wall time of one feed, database included.",
    buckets=(0.003, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0),
)


def record(account: Account, *, level: str, items: int, repeats: bool, seconds: float) -> None:
    """Count one answered feed."""
    _child(FEEDS, level).inc()
    FEED_SECONDS.observe(seconds)
    if repeats:
        REPEATS.inc()
    if items == 0:
        EMPTY.inc()
    for counter, counts in ((RETRIEVED, account.retrieved), (ALONE, account.alone), (DROPPED, account.dropped)):
        for name, count in counts.items():
            # A series must be there from the first feed on, also of a source that never finds anything.
            child = _child(counter, name)
            if count:
                child.inc(count)
    for stage, _ in account.failures:
        _child(FAILURES, stage).inc()
    for stage in account.skipped:
        _child(SKIPPED, stage).inc()
    for stage, stage_seconds in account.seconds.items():
        _child(STAGE_SECONDS, stage).observe(stage_seconds)


@cache
def _child(metric: Any, label: str) -> Any:
    """The series of one label value; a feed asks for dozens, and the client library checks and locks for each."""
    return metric.labels(label)
