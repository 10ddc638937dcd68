"""One writer at a time for the tables and snapshots of the feature store, over all processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import connection

_LOCK: Final = 0x7EC5_0002
"""Key of the advisory lock; arbitrary, but nothing else in this database may use it."""


@contextmanager
def single_flight() -> Iterator[None]:
    """Hold the advisory lock; the server frees it when this connection is lost. It may be taken again inside itself."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
