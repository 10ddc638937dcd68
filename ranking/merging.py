"""Hand the past of a device on to a user: what it did (`events.merging`) and what its pages showed it."""

from dataclasses import dataclass

from django.db import connection, transaction

from events import merging
from ranking.experiment_models import Exposure
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
        _hand_on_exposures(device_id, user_id)
    return Merged(told.events, served, told.stated)


def _hand_on_exposures(device_id: str, user_id: str) -> None:
    """Whoever met one arm as a device and another as a user has met both, and is counted in neither."""
    met = list(Exposure.objects.filter(user_id=device_id))
    Exposure.objects.bulk_create(
        [Exposure(experiment=each.experiment, phase=each.phase, user_id=user_id, arm=each.arm,
                  exposed_at=each.exposed_at) for each in met],
        ignore_conflicts=True,
    )  # fmt: skip
    Exposure.objects.filter(user_id=device_id).delete()
