"""What Prometheus learns of the feature store."""

from prometheus_client import Gauge

from features.extraction.snapshot import ContentSnapshot

SNAPSHOT_UNTIL = Gauge(
    "recsys_snapshot_until_timestamp_seconds",
    "Moment up to which the counters of the served snapshot know the log.",
    multiprocess_mode="mostrecent",
)
SNAPSHOT_CONTENTS = Gauge(
    "recsys_snapshot_contents", "Contents in the served snapshot.", multiprocess_mode="mostrecent"
)


def show(snapshot: ContentSnapshot) -> None:
    """Report the snapshot this process now serves from."""
    SNAPSHOT_UNTIL.set(snapshot.until)
    SNAPSHOT_CONTENTS.set(len(snapshot))
