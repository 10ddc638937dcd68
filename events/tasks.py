"""Celery doors of the ingestion layer: each works on hours and tables, never on one event.

The work is found in the database every time, so a broker that is lost or emptied costs one tick.
"""

from datetime import datetime

from celery import shared_task
from django.utils import timezone

from events import dead_letters, partitions, sessions, traffic


@shared_task(name="events.tasks.rebuild_sessions", acks_late=True)
def rebuild_sessions(until: str | None = None) -> None:
    """Bring the stored sessions in line with the log before `until` (ISO 8601, now by default)."""
    now = timezone.now()
    sessions.rebuild_sessions(until=datetime.fromisoformat(until) if until else now, now=now)


@shared_task(name="events.tasks.mark_automated", acks_late=True)
def mark_automated() -> None:
    """Find out who behaved like a program."""
    traffic.mark_automated(until=timezone.now())


@shared_task(name="events.tasks.maintain_partitions", acks_late=True)
def maintain_partitions() -> None:
    """Make the months to come, drop those that are kept no longer, forget old event ids."""
    now = timezone.now()
    partitions.create_ahead(now=now)
    partitions.drop_expired(now=now)
    partitions.prune_ids(now=now)


@shared_task(name="events.tasks.drop_dead_letters", acks_late=True)
def drop_dead_letters() -> None:
    """Forget dead letters that nobody fixed in time."""
    dead_letters.drop_expired(now=timezone.now())
