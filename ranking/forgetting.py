"""A user who wants to be forgotten, and one who wants to be met like somebody new.

    erase_user       the log, the profile, what was served, and (by a worker) what was learned from them
    reset_history    everything stays, and what was done until now chooses nothing for this user any more

Both hold up the user's pages meanwhile, and end the walks that were begun before: their cursors answer
`cursor_expired`.
"""

import logging
from collections.abc import Mapping
from datetime import datetime

from django.db import connection, transaction
from kombu.exceptions import OperationalError

from events import catalogue, erasing
from features import tasks
from ranking.models import Served

logger = logging.getLogger(__name__)


def erase_user(user_id: str) -> Mapping[str, int]:
    """Forget a user; returns how many rows went, by table. Zeros where there was nothing: it is safe to repeat."""
    with transaction.atomic():
        _hold_pages(user_id)
        erased = erasing.erase_user(user_id)
        served = Served.objects.filter(user_id=user_id).delete()[0]
        moments = [each.isoformat() for each in erased.span or ()]
        transaction.on_commit(lambda: _enqueue(user_id, moments))
    return {**erased.rows, "served": served}


def reset_history(user_id: str, *, now: datetime) -> datetime:
    """Meet a user like somebody new from now on; returns the moment from which on the user's events count."""
    with transaction.atomic():
        _hold_pages(user_id)
        return catalogue.begin_anew(user_id, now=now)


def _hold_pages(user_id: str) -> None:
    """The lock of `feed_memory` (migration 0003), until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 20261125))", [user_id])


def _enqueue(user_id: str, moments: list[str]) -> None:
    """A worker does the rest, which waits for whoever writes features; `manage.py erase user` does it without one."""
    try:
        tasks.erase_user.apply_async((user_id, *moments), retry=False)
    except OperationalError:
        # The id of somebody who was just erased is no business of a log file.
        logger.warning("no broker: what was learned from an erased user goes with the next snapshot that learns anew")
