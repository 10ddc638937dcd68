"""Celery doors of the dashboards."""

from celery import shared_task
from django.utils import timezone

from dashboards import alerts, experiment_watch, notifications, rollups, signals


@shared_task(name="dashboards.tasks.measure_kpis", acks_late=True)
def measure_kpis() -> None:
    """Rebuild the days that changed; exactly the source design's monitor_kpis, on the beat instead of in a loop."""
    rollups.measure_kpis(until=timezone.now())


@shared_task(name="dashboards.tasks.watch_kpis", acks_late=True)
def watch_kpis() -> None:
    """Judge the rules of alerts on the periods that have passed, and send what is due."""
    now = timezone.now()
    alerts.evaluate(now=now)
    notifications.deliver(now=now)


@shared_task(name="dashboards.tasks.read_signals", acks_late=True)
def read_signals() -> None:
    """Take the reading of these five minutes, once however many schedulers tick."""
    signals.read(now=timezone.now())


@shared_task(name="dashboards.tasks.watch_experiments", acks_late=True)
def watch_experiments() -> None:
    """Read running experiments again, and stop those that do harm."""
    experiment_watch.watch(now=timezone.now())
