"""Any CSV of events, read through a mapping that names its columns.

The mapping is one JSON object. `user_id`, `timestamp` and `event_type` are required; `content_id`, `creator_id`,
`watch_duration`, `event_id`, `session_id`, `position`, `surface`, `comment_text`, `platform` and `reason` may follow.

    {"user_id": "uid",
     "content_id": "iid",
     "timestamp": {"column": "ts", "unit": "ms"},
     "event_type": {"column": "action", "values": {"play": "view", "heart": "like", "noise": null}},
     "watch_duration": {"column": "played", "unit": "ms"},
     "surface": {"constant": "legacy"},
     "delimiter": ";"}

- A text is the name of a column; `{"constant": ...}` is the same for every row.
- `timestamp` has a unit: `s` (the default), `ms`, `us` since 1970, or `iso` for RFC 3339 (UTC where it names no zone).
- `watch_duration` has a unit: `s` (the default) or `ms`.
- `values` translates event types; `null` leaves such rows out, and a value that is not listed is a bad row.
- An empty cell is an absent field. Without `event_id`, an id is computed from the cells read, so two rows that say the
  same thing are one event.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from events.cleaning.schema import EVENT_TYPES
from events.importers.rows import Dataset, RawEvent, RecordError, SourceError, event_id, moment
from events.importers.text import Dialect, real, table, whole

SOURCE = "csv"
REQUIRED = ("user_id", "timestamp", "event_type")
OPTIONAL = (
    "content_id", "creator_id", "watch_duration", "event_id", "session_id", "position", "surface", "comment_text",
    "platform", "reason",
)  # fmt: skip
TIME_UNITS = {"s": 1000.0, "ms": 1.0, "us": 0.001}
WATCH_UNITS = {"s": 1.0, "ms": 0.001}

Read = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """Where one field of an event comes from: a column and how its cell is read, or a constant."""

    name: str
    column: str | None
    read: Read
    constant: Any = None


def discover(path: Path, mapping: Mapping[str, Any] | None) -> Dataset:
    """The file as a data set; `SourceError` when the mapping or the columns do not fit."""
    if not path.is_file():
        raise SourceError(f"{path} is no file; csv takes one file, plain or gzip.")
    if mapping is None:
        raise SourceError("csv needs --map with a JSON file that names the columns, for example " + _EXAMPLE)
    delimiter = mapping.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1:
        raise SourceError(f"The mapping's delimiter must be one character, got {delimiter!r}.")
    fields = parse_mapping(mapping)
    read_fields = [field for field in fields if field.column is not None]
    columns = [field.column for field in read_fields if field.column is not None]
    constants = {field.name: field.constant for field in fields if field.column is None}

    def convert(cells: tuple[str, ...]) -> list[RawEvent]:
        event: RawEvent = dict(constants)
        for field, cell in zip(read_fields, cells, strict=True):
            if cell != "":
                event[field.name] = field.read(cell)
        if event.get("event_type") is None:
            if "event_type" in event:
                return []
            raise RecordError("event_type is empty")
        if "event_id" not in event:
            event["event_id"] = event_id(SOURCE, "row", "\x1f".join(cells), str(event["event_type"]))
        return [event]

    salt = msgspec.json.encode(mapping, order="sorted").decode()
    return Dataset(SOURCE, (table(path, columns, convert, dialect=Dialect(delimiter=delimiter), salt=salt),))


_EXAMPLE = '{"user_id": "uid", "content_id": "iid", "timestamp": {"column": "ts", "unit": "ms"}, "event_type": "type"}.'


def parse_mapping(mapping: Mapping[str, Any]) -> list[Field]:
    """The fields of a mapping; `SourceError` names the first entry that cannot be.

    Examples
    --------
    >>> [field.name for field in parse_mapping({"user_id": "u", "timestamp": "t", "event_type": {"constant": "like"}})]
    ['user_id', 'timestamp', 'event_type']
    """
    missing = [name for name in REQUIRED if name not in mapping]
    if missing:
        raise SourceError(f"The mapping lacks {', '.join(missing)}.")
    unknown = [name for name in mapping if name not in (*REQUIRED, *OPTIONAL, "delimiter")]
    if unknown:
        known = ", ".join((*REQUIRED, *OPTIONAL, "delimiter"))
        raise SourceError(f"The mapping has the unknown entry {unknown[0]!r}; known are {known}.")
    return [_field(name, entry) for name, entry in mapping.items() if name != "delimiter"]


def _field(name: str, entry: Any) -> Field:
    """One entry of the mapping."""
    if isinstance(entry, str):
        entry = {"column": entry}
    if not isinstance(entry, Mapping):
        raise SourceError(f"The mapping's {name} must be a column name or an object, got {entry!r}.")
    extra = set(entry) - {"column", "constant", *_options_of(name)}
    if extra or ("column" in entry) == ("constant" in entry):
        allowed = ", ".join(("column or constant", *_options_of(name)))
        raise SourceError(f"The mapping's {name} takes {allowed}; got {dict(entry)!r}.")
    if "constant" in entry:
        if name in {"timestamp", "event_id"}:
            raise SourceError(f"The mapping's {name} cannot be the same for every row.")
        if name == "event_type":
            _check_type(entry["constant"])
        return Field(name, None, str, entry["constant"])
    if not isinstance(entry["column"], str):
        raise SourceError(f"The mapping's {name} must name a column, got {entry['column']!r}.")
    return Field(name, entry["column"], _reader(name, entry))


def _options_of(name: str) -> tuple[str, ...]:
    return {"timestamp": ("unit",), "watch_duration": ("unit",), "event_type": ("values",)}.get(name, ())


def _reader(name: str, entry: Mapping[str, Any]) -> Read:
    """How a cell of this field becomes its value."""
    if name == "timestamp":
        return _time_reader(entry.get("unit", "s"))
    if name == "watch_duration":
        factor = _one_of(entry.get("unit", "s"), WATCH_UNITS, "watch_duration")
        return lambda cell: real(cell, "watch_duration") * factor
    if name == "position":
        return lambda cell: whole(cell, "position")
    if name == "event_type" and "values" in entry:
        return _type_reader(entry["values"])
    return str


def _one_of(unit: Any, units: Mapping[str, float], name: str, *, also: tuple[str, ...] = ()) -> float:
    if not isinstance(unit, str) or unit not in units:
        raise SourceError(f"The mapping's {name} unit must be one of {', '.join((*units, *also))}; got {unit!r}.")
    return units[unit]


def _time_reader(unit: Any) -> Read:
    if unit == "iso":
        return _iso
    factor = _one_of(unit, TIME_UNITS, "timestamp", also=("iso",))

    def read(cell: str) -> datetime:
        return moment(round(real(cell, "timestamp") * factor))

    return read


def _iso(cell: str) -> datetime:
    try:
        read = datetime.fromisoformat(cell)
    except ValueError as error:
        raise RecordError(f"timestamp is no RFC 3339 time: {cell[:80]!r}") from error
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _type_reader(values: Any) -> Read:
    if not isinstance(values, Mapping):
        raise SourceError(f"The mapping's event_type values must be an object, got {values!r}.")
    for target in values.values():
        if target is not None:
            _check_type(target)

    def read(cell: str) -> str | None:
        if cell not in values:
            raise RecordError(f"event_type {cell[:80]!r} is not among the mapping's values: {', '.join(values)}")
        target: str | None = values[cell]
        return target

    return read


def _check_type(target: Any) -> None:
    if target not in EVENT_TYPES:
        raise SourceError(f"The mapping's event_type must be one of {', '.join(EVENT_TYPES)}; got {target!r}.")
