"""The limit of storing events: one COPY stream of the same rows into tables with equal indexes and partitions."""

import tempfile
import time

from django.db import connection, transaction

from events import partitions


def copy_seconds() -> tuple[int, float]:
    """Rows of the event log, and the seconds one COPY of them and of their ids into equal tables takes, with commit.

    It validates nothing and refuses no duplicate, so storing cannot be faster by the same road.
    """
    with tempfile.TemporaryFile() as ids, tempfile.TemporaryFile() as rows, connection.cursor() as cursor:
        cursor.copy_expert("COPY event_dedup TO STDOUT", ids)
        # A partitioned table is read by a query.
        cursor.copy_expert("COPY (SELECT * FROM event) TO STDOUT", rows)
        count = int(cursor.rowcount)
        ids.seek(0)
        rows.seek(0)
        _make_tables()
        started = time.perf_counter()
        with transaction.atomic():
            cursor.copy_expert("COPY event_dedup_limit FROM STDIN", ids)
            cursor.copy_expert("COPY event_limit FROM STDIN", rows)
        seconds = time.perf_counter() - started
        cursor.execute("DROP TABLE event_limit, event_dedup_limit")
    return count, seconds


def _make_tables() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE event_dedup_limit (LIKE event_dedup INCLUDING ALL)")
        cursor.execute('CREATE TABLE event_limit (LIKE event INCLUDING ALL) PARTITION BY RANGE ("timestamp")')
        for part in partitions.existing():
            start, end = f"{part.month} 00:00:00+00", f"{partitions.shifted(part.month, 1)} 00:00:00+00"
            cursor.execute(
                f"CREATE TABLE {part.table}_limit PARTITION OF event_limit FOR VALUES FROM (%s) TO (%s)", [start, end]
            )
