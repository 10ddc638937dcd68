"""Tables as CSV that a spreadsheet opens without running anything in it."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

BOM: Final = "\ufeff"
"""Spreadsheets take a file without it for one of the local encoding."""
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

Cell = str | int | float | bool | None


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A CSV with a byte order mark; numbers as they are, no value as nothing, texts so that none is a formula.

    >>> csv_text(["name", "share"], [["=1+1", -0.5], ["b", None]])
    "\\ufeffname,share\\r\\n'=1+1,-0.5\\r\\nb,\\r\\n"
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([_safe(cell) for cell in header])
    writer.writerows([_safe(cell) for cell in row] for row in rows)
    return BOM + text.getvalue()


def _safe(cell: Cell) -> Cell:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, str) and cell.startswith(FORMULA):
        return f"'{cell}"
    return cell
