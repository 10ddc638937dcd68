"""The whole catalogue again and again, read as a whole once: afterwards only what changed since.

A hundred thousand contents take seconds to read and to unpack, and an upload should not have to wait for that. Every
writer of `Content` moves `updated_at`, so the table as it was and the rows that changed since make the table as it is,
unless something was taken out. That is found by counting: rows that changed are added or replaced, so as many rows as
the database has means the same rows.
"""

import threading
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from events import queries
from events.columnar.interactions import ContentTable
from events.models import Content

OVERLAP: Final = timedelta(minutes=10)
"""A row is stamped before its transaction ends, so one may appear behind others that are stamped later."""
_COLUMNS: Final = tuple(ContentTable.__dataclass_fields__)


class CatalogueReader:
    """Remembers the table of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[datetime, ContentTable] | None = None

    def read(self) -> ContentTable:
        """The catalogue as it is now; equal to `queries.catalogue_table()`."""
        with self._lock:
            changed_at = queries.catalogue_changed_at()
            table = self._brought_up_to_date()
            if table is None:
                table = queries.catalogue_table()
            self._known = None if changed_at is None else (changed_at, table)
            return table

    def forget(self) -> None:
        """Read everything at the next call."""
        with self._lock:
            self._known = None

    def _brought_up_to_date(self) -> ContentTable | None:
        if self._known is None:
            return None
        since, table = self._known
        merged = merge(table, queries.catalogue_table(changed_since=since - OVERLAP))
        return merged if len(merged) == Content.objects.count() else None


def merge(table: ContentTable, changed: ContentTable) -> ContentTable:
    """A table with some rows added or replaced; both are in the order of content ids, and so is the result."""
    if len(table) == 0 or len(changed) == 0:
        return changed if len(table) == 0 else table
    place = np.searchsorted(table.content_id, changed.content_id)
    known = table.content_id[np.minimum(place, len(table) - 1)] == changed.content_id
    columns = {}
    for name in _COLUMNS:
        column, new = getattr(table, name).copy(), getattr(changed, name)
        column[place[known]] = new[known]
        columns[name] = np.insert(column, place[~known], new[~known])
    return ContentTable(**columns)
