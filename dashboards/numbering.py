"""Small dense numbers for users and contents, so that sets of them are bitmaps."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

_KNOWN: Final = "SELECT name, number FROM {table} WHERE name = ANY(%s)"
# Under the lock of `rollups`, so two never take the same number; dense, and taken again once forgotten at the end.
_NEW: Final = """
    INSERT INTO {table} (number, name)
    SELECT (SELECT coalesce(max(number), -1) FROM {table}) + place, name
    FROM unnest(%s::text[]) WITH ORDINALITY AS missing (name, place) RETURNING name, number
"""


class Numbering:
    """The numbers of one table, remembered for the length of a run.

    What it remembers outlives a rollback of the transaction that wrote it, so call `forget` then.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        self._known: dict[str, int] = {}

    def of(self, names: Sequence[str]) -> NDArray[np.int64]:
        """The number of each name; new ones get one."""
        missing = [name for name in names if name not in self._known]
        if missing:
            with connection.cursor() as cursor:
                # The table is named in this package.
                cursor.execute(_KNOWN.format(table=self._table), [missing])
                self._known.update(cursor.fetchall())
                fresh = [name for name in missing if name not in self._known]
                if fresh:
                    cursor.execute(_NEW.format(table=self._table), [fresh])
                    self._known.update(cursor.fetchall())
        return np.array([self._known[name] for name in names], np.int64)

    def forget(self) -> None:
        """Ask the table again."""
        self._known.clear()


def size_bytes() -> int:
    """Bytes of a bitmap that has room for every user."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(number), -1) FROM kpi_user")
        return int(cursor.fetchone()[0]) // 8 + 1


def names(table: str, numbers: Sequence[int]) -> list[str]:
    """The names of some numbers, ascending by number."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT name FROM {table} WHERE number = ANY(%s) ORDER BY number", [list(numbers)])  # noqa: S608
        return [name for (name,) in cursor.fetchall()]
