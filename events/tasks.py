"""Celery doors of the ingestion layer: each works on hours and tables, never on one event.

The work is found in the database every time, so a broker that is lost or emptied costs one tick.
"""

import logging
import time
from datetime import datetime

from celery import shared_task
from django.utils import timezone
from kombu.exceptions import OperationalError

from events import catalogue, dead_letters, hour_counts, letter_work, partitions, sessions, traffic

logger = logging.getLogger(__name__)
# Below the minute of the schedule: no two ticks work on the same letters, and a worker is free for others in between.
SETTLE_S = 50.0


@shared_task(name="events.tasks.rebuild_sessions", acks_late=True)
def rebuild_sessions(until: str | None = None) -> None:
    """Bring the stored sessions in line with the log before `until` (ISO 8601, now by default)."""
    now = timezone.now()
    sessions.rebuild_sessions(until=datetime.fromisoformat(until) if until else now, now=now)


@shared_task(name="events.tasks.mark_automated", acks_late=True)
def mark_automated() -> None:
    """Find out who behaved like a program."""
    traffic.mark_automated(until=timezone.now())


@shared_task(name="events.tasks.note_expired", acks_late=True)
def note_expired() -> None:
    """Let snapshots know which contents have ended."""
    catalogue.note_expired(now=timezone.now())


@shared_task(name="events.tasks.maintain_partitions", acks_late=True)
def maintain_partitions() -> None:
    """Make the months to come, drop those that are kept no longer, forget old event ids, count all hours once."""
    now = timezone.now()
    partitions.create_ahead(now=now)
    partitions.drop_expired(now=now)
    partitions.prune_ids(now=now)
    if wrong := hour_counts.recount():
        logger.warning("%d hours of the log were changed behind the back of its triggers; they are done again", wrong)


@shared_task(name="events.tasks.drop_dead_letters", acks_late=True)
def drop_dead_letters() -> None:
    """Forget dead letters that nobody fixed in time."""
    dead_letters.drop_expired(now=timezone.now())
    letter_work.drop_done(now=timezone.now())


@shared_task(name="events.tasks.settle_letters", acks_late=True)
def settle_letters() -> None:
    """Go on with the replays and discards that were too many for a page, for most of the time between two ticks."""
    until = time.monotonic() + SETTLE_S
    for work_id in letter_work.unfinished():
        try:
            letter_work.work_off(work_id, now=timezone.now(), limit_s=max(until - time.monotonic(), 0.0))
        except Exception:
            # One that cannot go on holds up no other; the next tick tries again.
            logger.exception("letter work %d stopped", work_id)


def enqueue_letters() -> None:
    """Let a worker go on with dead letters now; without a broker the next tick does."""
    try:
        settle_letters.apply_async(retry=False)
    except OperationalError:
        logger.warning("no broker: dead letters are settled at the next tick")
