"""Hand the past of a device on to a user: what it did (`events.merging`) and what its pages showed it."""

from dataclasses import dataclass

from django.db import connection, transaction

from events import merging
from ranking.models import Served


@dataclass(frozen=True, slots=True)
class Merged:
    """How many events and served positions changed hands, and whether the device had stated anything."""

    events: int
    served: int
    stated: bool


def merge_users(device_id: str, user_id: str) -> Merged:
    """Hand everything on; zero where there is nothing, so it is safe to repeat.

    Pages of both are held up meanwhile, so that none shows what the other has just shown. Walks that the device began
    end: their cursors are the device's. Served by the index served_user_contents.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            # The locks of `feed_memory` (migration 0003), in one order.
            for each in sorted({device_id, user_id}):
                cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 20261125))", [each])
        told = merging.take_over(device_id, user_id)
        served = Served.objects.filter(user_id=device_id).update(user_id=user_id)
    return Merged(told.events, served, told.stated)
