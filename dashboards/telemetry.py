"""What Prometheus learns of monitoring itself: how fresh the figures are, what fires, what waits for people.

All are gauges of the database and the broker, measured for each scrape; the signals are those of the last reading.
"""

from typing import Final

from django.db.models import Count
from prometheus_client import Gauge

from dashboards import ranges, signals
from dashboards.alert_models import AlertDelivery, AlertRule
from dashboards.moderation_models import ModerationCase

MOST_RECENT: Final = "mostrecent"
ROLLUP_AT = Gauge(
    "recsys_rollup_last_success_timestamp_seconds", "When a day of the KPIs was last rebuilt.",
    multiprocess_mode=MOST_RECENT,
)  # fmt: skip
SIGNAL = Gauge(
    "recsys_signal", "The system's own figures as of the last reading of five minutes, by name; see signals.SIGNALS.",
    ["signal"], multiprocess_mode=MOST_RECENT,
)  # fmt: skip
SIGNALS_AT = Gauge(
    "recsys_signals_timestamp_seconds", "When the last reading was taken.", multiprocess_mode=MOST_RECENT
)
FIRING = Gauge("recsys_alerts_firing", "Rules that fire, by severity.", ["severity"], multiprocess_mode=MOST_RECENT)
WAITING = Gauge(
    "recsys_notifications_waiting", "Messages of alerts that have not arrived yet.", multiprocess_mode=MOST_RECENT
)
CASES = Gauge("recsys_moderation_cases", "Cases by status, closed ones left out.", ["status"],
              multiprocess_mode=MOST_RECENT)  # fmt: skip


def measure() -> None:
    """Set the gauges; called for each scrape."""
    computed = ranges.computed_at()
    if computed is not None:
        ROLLUP_AT.set(computed.timestamp())
    reading = signals.newest()
    if reading is not None:
        SIGNALS_AT.set(reading.at.timestamp())
        for name, value in reading.values.items():
            # Not a number is beyond no bound: what cannot be told must not be taken for zero.
            SIGNAL.labels(name).set(float("nan") if value is None else value)
    firing = dict(AlertRule.objects.filter(state="firing").values_list("severity").annotate(Count("pk")))
    for severity in AlertRule.Severity.values:
        FIRING.labels(severity).set(firing.get(severity, 0))
    WAITING.set(AlertDelivery.objects.filter(state=AlertDelivery.State.WAITING).count())
    open_cases = ModerationCase.objects.exclude(status=ModerationCase.Status.CLOSED)
    by_status = dict(open_cases.values_list("status").annotate(Count("pk")))
    for status in (ModerationCase.Status.OPEN, ModerationCase.Status.ESCALATED):
        CASES.labels(status.value).set(by_status.get(status.value, 0))
