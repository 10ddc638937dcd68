"""What Prometheus learns of the feature store."""

import logging

from django.utils import timezone
from prometheus_client import Counter, Gauge

from features import content_records
from features.extraction.snapshot import ContentSnapshot

logger = logging.getLogger(__name__)

SNAPSHOT_TROUBLE = Counter(
    "recsys_snapshot_trouble",
    "Times a process found snapshot files that it could not use and served something older, or nothing, by reason.",
    ["reason"],
)
SNAPSHOT_UNTIL = Gauge(
    "recsys_snapshot_until_timestamp_seconds",
    "Moment up to which the counters of the served snapshot know the log.",
    multiprocess_mode="mostrecent",
)
SNAPSHOT_CONTENTS = Gauge(
    "recsys_snapshot_contents", "Contents in the served snapshot.", multiprocess_mode="mostrecent"
)
ANALYSES_FAILED = Gauge(
    "recsys_content_analyses_failed",
    "Contents of which a modality is not or only partly known, by the reason code.",
    ["modality", "code"],
    multiprocess_mode="mostrecent",
)
ANALYSES_DUE = Gauge(
    "recsys_content_analyses_due", "Contents that wait to be looked at.", multiprocess_mode="mostrecent"
)


def measure() -> None:
    """Set the gauges that describe the database; called for each scrape.

    Contents are looked at by a worker whose own counters nobody scrapes, so these come from what it left in the table.
    """
    ANALYSES_DUE.set(content_records.due(now=timezone.now()))
    counts = content_records.failures()
    # A reason that has gone would keep its last number.
    for labels in _reported - counts.keys():
        ANALYSES_FAILED.labels(*labels).set(0)
    for labels, contents in counts.items():
        ANALYSES_FAILED.labels(*labels).set(contents)
    _reported.update(counts)


def complain(reason: str, words: str) -> None:
    """Count and log that snapshot files cannot be used: "pointer", "files" or "erasures"."""
    SNAPSHOT_TROUBLE.labels(reason).inc()
    logger.error("%s", words)


def show(snapshot: ContentSnapshot) -> None:
    """Report the snapshot this process now serves from."""
    SNAPSHOT_UNTIL.set(snapshot.until)
    SNAPSHOT_CONTENTS.set(len(snapshot))


_reported: set[tuple[str, str]] = set()
