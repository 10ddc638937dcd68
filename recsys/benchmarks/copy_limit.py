"""The limit of storing events: one COPY stream of the same rows into a table of the same shape and indexes."""

import tempfile
import time

from django.db import connection, transaction


def copy_seconds() -> tuple[int, float]:
    """Rows of the event table and the seconds one COPY of all of them into an equal table takes, commit included.

    It validates nothing and refuses no duplicate, so storing cannot be faster by the same road.
    """
    with tempfile.TemporaryFile() as rows, connection.cursor() as cursor:
        cursor.copy_expert("COPY event TO STDOUT", rows)
        count = int(cursor.rowcount)
        rows.seek(0)
        cursor.execute("CREATE TABLE event_limit (LIKE event INCLUDING ALL)")
        started = time.perf_counter()
        with transaction.atomic():
            cursor.copy_expert("COPY event_limit FROM STDIN", rows)
        seconds = time.perf_counter() - started
        cursor.execute("DROP TABLE event_limit")
    return count, seconds
