"""What is wrong with the models that should serve: one open row per version, which dashboards read.

Web processes note what they cannot load; a task that looks at the files every minute notes it too, and closes the row
when the files are sound again or the version is not to serve any more.
"""

import logging
from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.db import connection

from ranking.models import ModelAlert

logger = logging.getLogger(__name__)

_NOTE: Final = """
    INSERT INTO model_alert (version, message, serving, first_at, last_at, times)
    VALUES (%(version)s, %(message)s, %(serving)s, %(now)s, %(now)s, 1)
    ON CONFLICT (version) WHERE cleared_at IS NULL DO UPDATE
    SET message = excluded.message, last_at = excluded.last_at, times = model_alert.times + 1
"""


def note(version: str, message: str, *, serving: str, now: datetime) -> None:
    """Open the alert of a version, or say that it goes on. `serving` is what serves instead, "" for no model."""
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, {"version": version, "message": message, "serving": serving, "now": now})
    logger.error("model %s cannot serve: %s", version, message)


def clear(*, still: Collection[str], now: datetime) -> int:
    """Close the alerts of all versions but those that are still in trouble; returns how many."""
    return ModelAlert.objects.filter(cleared_at=None).exclude(version__in=still).update(cleared_at=now)
