"""The system's own figures over time: latency, failures, lags, queues, drift, reports that wait. A reading every five
minutes, for the system page, for the rules of alerts, and for whoever has no Prometheus.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import Min

from dashboards import drift, system, web_counters
from dashboards.drift import Drift
from dashboards.moderation_models import ModerationCase
from dashboards.signal_models import SystemReading
from dashboards.web_counters import Counts
from events import dead_letters, windows
from ranking.queries import model_history

EVERY: Final = timedelta(minutes=5)
KEEP: Final = timedelta(days=35)
LISTED: Final = 10
LEAST_SAMPLE: Final = 20
"""Of fewer feeds, answers or events in a reading nothing is said."""
SERVED_WELL: Final = "ranked"


@dataclass(frozen=True, slots=True)
class Signal:
    """One figure of the system."""

    key: str
    title: str
    unit: str
    definition: str


SIGNALS: Final = (
    Signal("feed_p95_ms", "Feed latency, 95th percentile", "ms", "Of the feeds answered since the reading before."),
    Signal("fallback_pct", "Feeds not ranked", "%", "Feeds that a lower level served / feeds."),
    Signal("error_pct", "Requests that failed", "%", "Answers of 500 and above / answers."),
    Signal("ingest_lag_s", "Ingest lag, median", "s", "Arrival of an event minus when it happened. Phones that were "
           "offline make the upper quantiles, so the middle is watched."),
    Signal("dead_letters", "Dead letters", "", "Refused events that wait for somebody."),
    Signal("queued", "Jobs that wait", "", "Length of the queue at the broker."),
    Signal("window_lag_s", "Derived rows behind", "s", "How far the slowest family is behind the newest event."),
    Signal("model_age_h", "Age of the model", "h", "Since the end of what the champion was trained on."),
    Signal("drift_score_psi", "Drift of the score", "PSI", "Scores of the last day against the champion's first ones."),
    Signal("drift_features_pct", "Features that drift", "%", "Features whose PSI against the training week exceeds "
           "0.25 / features. With many features a single one beyond is noise."),
    Signal("report_wait_h", "Oldest report that waits", "h", "Since the oldest open case of moderation was opened."),
)  # fmt: skip
BY_KEY: Final[Mapping[str, Signal]] = {signal.key: signal for signal in SIGNALS}


def read(*, now: datetime) -> SystemReading | None:
    """Take a reading, if that of these five minutes is not there yet: one of several schedulers does."""
    at = slot(now)
    if SystemReading.objects.filter(at=at).exists():
        return None
    counted = web_counters.counts(web_counters.families())
    last = SystemReading.objects.filter(at__lt=at).order_by("-at").first()
    between = web_counters.since(counted, last.details["counters"] if last else {})
    drifted = drift.measure(now=now)
    details = {"counters": counted, "drift": drifted.features[:LISTED], "positions": drifted.positions}
    reading, new = SystemReading.objects.get_or_create(
        at=at, defaults={"values": _values(between, drifted, now=now), "details": details}
    )
    SystemReading.objects.filter(at__lt=now - KEEP).delete()
    return reading if new else None


def slot(now: datetime) -> datetime:
    """The last full five minutes."""
    seconds = int(now.timestamp())
    return datetime.fromtimestamp(seconds - seconds % int(EVERY.total_seconds()), UTC)


def readings(start: datetime, end: datetime) -> list[SystemReading]:
    """Readings with `start < at <= end`, oldest first."""
    return list(SystemReading.objects.filter(at__gt=start, at__lte=end).order_by("at"))


def newest() -> SystemReading | None:
    """The last reading; None before the first."""
    return SystemReading.objects.order_by("-at").first()


def _values(between: Counts, drifted: Drift, *, now: datetime) -> dict[str, float | None]:
    lags = windows.lags(now=now)
    champion = next((model for model in model_history() if model.state == "champion"), None)
    oldest = ModerationCase.objects.exclude(status="closed").aggregate(at=Min("opened_at"))["at"]
    queued = system.queued()
    return {
        "feed_p95_ms": _quantile(between["feed_s"], 0.95),
        "fallback_pct": _share(between["level"], lambda level: level != SERVED_WELL),
        "error_pct": _share(between["status"], lambda status: status >= "500"),
        "ingest_lag_s": _seconds(_quantile(between["lag_s"], 0.5)),
        "dead_letters": float(dead_letters.depth()),
        "queued": None if queued is None else float(queued),
        "window_lag_s": max(lags.values(), default=None),
        "model_age_h": None if champion is None else (now - champion.trained_until).total_seconds() / 3600.0,
        "drift_score_psi": drifted.score,
        "drift_features_pct": drifted.beyond_pct,
        "report_wait_h": 0.0 if oldest is None else (now - oldest).total_seconds() / 3600.0,
    }


def _quantile(buckets: Mapping[str, float], share: float) -> float | None:
    by_bound = {float(bound): count for bound, count in buckets.items()}
    return system.bucket_quantile(by_bound, share) if max(by_bound.values(), default=0.0) >= LEAST_SAMPLE else None


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1e3


def _share(by: Mapping[str, float], counts: Callable[[str], bool]) -> float | None:
    whole = sum(by.values())
    return 100.0 * sum(value for label, value in by.items() if counts(label)) / whole if whole >= LEAST_SAMPLE else None
