"""Celery doors of moderation."""

from celery import shared_task
from django.utils import timezone

from dashboards import moderation, moderation_erasure, moderation_reports, screening


@shared_task(name="dashboards.moderation_tasks.take_reports", acks_late=True)
def take_reports() -> None:
    """Bring the reports that came as events into the queue."""
    moderation_reports.take_reports(until=timezone.now())


@shared_task(name="dashboards.moderation_tasks.screen_uploads", acks_late=True)
def screen_uploads() -> None:
    """Judge uploads that are new or changed; the rest waits for the next tick, behind other work."""
    for _ in range(screening.ROUNDS):
        if not screening.screen_due(now=timezone.now()).verdicts:
            return


@shared_task(name="dashboards.moderation_tasks.drop_expired", acks_late=True)
def drop_expired() -> None:
    """Forget settled reports, appeals and verdicts that are older than they are kept."""
    moderation_erasure.drop_expired(now=timezone.now())


@shared_task(name="dashboards.moderation_tasks.expire_due", acks_late=True)
def expire_due() -> None:
    """End timed decisions and strikes that are over."""
    moderation.expire_due(now=timezone.now())
