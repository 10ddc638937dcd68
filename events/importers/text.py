"""Text of a source: opens plain and gzip files, splits delimited text into records with line numbers.

A broken line is a record that fails, not the end of the file; a file that ends in the middle of its compression is
the end.
"""

import csv
import gzip
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from math import isfinite
from operator import itemgetter
from pathlib import Path
from typing import IO, TextIO, cast

from events.importers.rows import Outcome, ProfileRow, RecordError, SourceError, SourceFile, number

GZIP_MAGIC = b"\x1f\x8b"


@contextmanager
def opened(path: Path, encoding: str = "utf-8-sig") -> Iterator[tuple[TextIO, Callable[[], int]]]:
    """The text of a file and a function telling how many of its bytes on disk are consumed.

    gzip is recognised by content, not by name. Raises `SourceError` when the file cannot be read.
    """
    try:
        raw = path.open("rb")
        magic = raw.peek(2)[:2]
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from error
    with raw:
        binary = cast(IO[bytes], gzip.GzipFile(fileobj=raw) if magic == GZIP_MAGIC else raw)
        with TextIOWrapper(binary, encoding=encoding, errors="surrogateescape", newline="") as text:
            try:
                yield text, raw.tell
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise SourceError(f"{path} is damaged: {error}.") from error


def delimited(
    stream: TextIO, *, delimiter: str = ",", quoting: bool = True
) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Records of delimited text with the line on which each begins; an undecodable record is the error itself.

    Blank lines are no records. `quoting=False` takes quotation marks as text, as tab-separated files mean them.

    Examples
    --------
    >>> from io import StringIO
    >>> list(delimited(StringIO('a,b\\n1,"x\\ny"\\n2,z\\n')))
    [(1, ['a', 'b']), (2, ['1', 'x\\ny']), (4, ['2', 'z'])]
    """
    reader = csv.reader(stream, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE)
    line = 1
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, error
        else:
            if record:
                yield line, record
        line = reader.line_num + 1


Pick = Callable[[list[str] | csv.Error], tuple[str, ...]]


def picker(header: Sequence[str], columns: Sequence[str], *, file: str) -> Pick:
    """A function that takes the named columns out of a record, in the order asked for.

    Raises `SourceError` when the header lacks a column; the function raises `RecordError` for a record whose number
    of cells differs from the header's.
    """
    missing = [name for name in columns if name not in header]
    if missing:
        plural = "s" if len(missing) > 1 else ""
        raise SourceError(f"{file} lacks the column{plural} {', '.join(missing)}; it has {', '.join(header)}.")
    width = len(header)
    take = itemgetter(*(header.index(name) for name in columns))
    single = len(columns) == 1

    def pick(record: list[str] | csv.Error) -> tuple[str, ...]:
        if isinstance(record, csv.Error):
            raise RecordError(f"not readable as delimited text: {record}")
        if len(record) != width:
            raise RecordError(f"has {len(record)} cells where the header has {width}")
        return (take(record),) if single else take(record)

    return pick


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table with a header is written; `name_of` makes a column's name out of its header cell."""

    delimiter: str = ","
    quoting: bool = True
    name_of: Callable[[str], str] = str.strip


COMMAS = Dialect()


def header_of(path: Path, dialect: Dialect = COMMAS) -> list[str]:
    """The column names of a table; `SourceError` when it has none."""
    with opened(path) as (text, _):
        first = next(delimited(text, delimiter=dialect.delimiter, quoting=dialect.quoting), (1, []))[1]
    if not isinstance(first, list) or not first:
        raise SourceError(f"{path} is empty or no table.")
    return [dialect.name_of(cell) for cell in first]


def table(
    path: Path,
    columns: Sequence[str],
    convert: Callable[[tuple[str, ...]], Outcome],
    *,
    dialect: Dialect = COMMAS,
    salt: str = "",
) -> SourceFile[list[str] | csv.Error]:
    """A table with a header as a source file; `convert` gets the cells of `columns`, in that order.

    The header is read now, so that a wrong file is refused before anything is stored.
    """
    pick = picker(header_of(path, dialect), columns, file=str(path))

    def records(stream: TextIO) -> Iterator[tuple[int, list[str] | csv.Error]]:
        found = delimited(stream, delimiter=dialect.delimiter, quoting=dialect.quoting)
        next(found, None)
        return found

    return SourceFile(path, records, lambda record: convert(pick(record)), salt=salt)


def profiles(
    path: Path, *, dialect: Dialect = COMMAS, as_text: Collection[str] = (), unknown: Collection[str]
) -> SourceFile[list[str] | csv.Error]:
    """A table of users, all its columns but `user_id` as demographics.

    Numbers become numbers except in the columns `as_text`; cells in `unknown` are left out.
    """
    names = [name for name in header_of(path, dialect) if name != "user_id"]

    def convert(cells: tuple[str, ...]) -> ProfileRow:
        known = [(name, cell) for name, cell in zip(names, cells[1:], strict=True) if cell not in unknown]
        return ProfileRow(cells[0], {name: cell if name in as_text else number(cell) for name, cell in known})

    return table(path, ("user_id", *names), convert, dialect=dialect)


def whole(text: str, column: str) -> int:
    """An integer cell, or `RecordError` naming the column and the value."""
    try:
        return int(text)
    except ValueError as error:
        raise RecordError(f"{column} is no integer: {text[:80]!r}") from error


def real(text: str, column: str) -> float:
    """A finite decimal cell, or `RecordError` naming the column and the value."""
    try:
        value = float(text)
    except ValueError as error:
        raise RecordError(f"{column} is no number: {text[:80]!r}") from error
    if not isfinite(value):
        raise RecordError(f"{column} is not finite: {text[:80]!r}")
    return value
