"""Bulk reads: a SELECT streamed through COPY into pyarrow, which builds the vocabularies of texts while it parses.

A million rows never become a million Python objects.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
from django.db import connection
from numpy.typing import NDArray

from events.columnar.interactions import ABSENT

# Each block builds a dictionary of its own, and merging them costs as much as parsing; larger blocks, fewer merges.
BLOCK_BYTES: Final = 32 * 1024 * 1024
TEXT: Final = pa.dictionary(pa.int32(), pa.string())


def copy_out(
    statement: str,
    values: Sequence[Any] | Mapping[str, Any],
    columns: Mapping[str, pa.DataType],
    *,
    lines: bool = False,
) -> pa.Table:
    """Run a SELECT; its columns by name and type, texts dictionary-encoded (`TEXT`).

    `lines` says that texts may hold line breaks, which ids cannot; parsing then takes longer.
    """
    return parsed(copied(statement, values), columns, lines=lines)


def copied(statement: str, values: Sequence[Any] | Mapping[str, Any]) -> io.BytesIO:
    """The CSV of a SELECT, for `parsed`."""
    buffer = io.BytesIO()
    with connection.wrap_database_errors, connection.cursor() as cursor:
        query = cursor.mogrify(statement, values).decode()
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT csv)", buffer)
    return buffer


def parsed(buffer: io.BytesIO, columns: Mapping[str, pa.DataType], *, lines: bool = False) -> pa.Table:
    """The table of a CSV; needs no database, so another thread may do it."""
    if not buffer.tell():
        return pa.table({name: pa.array([], kind) for name, kind in columns.items()})
    return pyarrow.csv.read_csv(
        pa.py_buffer(buffer.getbuffer()),
        read_options=pyarrow.csv.ReadOptions(column_names=list(columns), use_threads=False, block_size=BLOCK_BYTES),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=lines),
        # An empty unquoted field is NULL, a quoted one is the empty text; an id "NA" is an id.
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict(columns), strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
        ),
    ).unify_dictionaries().combine_chunks()  # fmt: skip


def decoded(table: pa.Table, name: str) -> tuple[NDArray[np.int32], NDArray[np.object_]]:
    """Codes (ABSENT for NULL) and vocabulary of a dictionary-encoded column."""
    chunked = table[name]
    column = chunked.combine_chunks() if chunked.num_chunks != 1 else chunked.chunk(0)
    codes = column.indices.fill_null(ABSENT).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return codes, column.dictionary.to_numpy(zero_copy_only=False)


def filled(table: pa.Table, name: str, absent: np.generic) -> NDArray[Any]:
    """A numeric column, `absent` in place of NULL."""
    column: NDArray[Any] = table[name].fill_null(absent.item()).to_numpy().astype(absent.dtype, copy=False)
    return column
