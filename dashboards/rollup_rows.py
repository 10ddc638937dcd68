"""Write the rollup of one day, and read rollups back as columns."""

import io
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any, Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from dashboards import user_days
from dashboards.day_build import ALL, Measured
from dashboards.midnight import Carried
from dashboards.models import KpiCell, KpiDay, KpiPoint, KpiUsers
from dashboards.numbering import Numbering
from dashboards.stats import exposures, user_sets
from dashboards.stats.day import rows_of
from dashboards.stats.measures import MEASURES
from dashboards.stats.periods import Grain
from dashboards.stats.spread import quantile
from dashboards.stats.user_sets import Bits
from features import pgcopy

USERS, CONTENTS = "kpi_user", "kpi_content"
ACTIVE, PUBLISHER = "active", "publisher"
_CLICKED, _ENGAGED, _UNATTRIBUTED = (MEASURES.index(name) for name in ("clicked", "engaged", "unattributed"))
_ESCAPED: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_COPY_CELLS: Final = "COPY kpi_cell (day, grain, start, dimension, value, measures) FROM STDIN"
_COPY_USERS: Final = "COPY kpi_users (role, dimension, day, value, users) FROM STDIN"

CellKey = tuple[str, datetime, str, str]


def write_day(
    measured: Measured, carried: Sequence[Carried], *, zone: str, mark: str, now: datetime,
    users: Numbering, contents: Numbering,
) -> None:  # fmt: skip
    """Put a day in the place of whatever is there of it; its new users and its periods are then to be settled."""
    day = measured.day
    before = KpiDay.objects.filter(day=day).values_list("log_rows", "lost").first()
    lost = before is not None and (before[1] or measured.log_rows < before[0])
    for model in (KpiCell, KpiUsers):
        model.objects.filter(day=day).delete()
    KpiPoint.objects.filter(day=day, grain=Grain.HOUR).delete()
    _copy(_COPY_CELLS, _cell_lines(day, _cells(measured, carried)))
    _copy(_COPY_USERS, _set_lines(measured, users))
    user_days.write(day, users.of(measured.users), measured.user_sums)
    KpiPoint.objects.bulk_create(_hourly_points(measured))
    KpiDay.objects.update_or_create(
        day=day,
        defaults={
            "zone": zone, "log_rows": measured.log_rows, "excluded_rows": measured.excluded_rows,
            "late_rows": measured.late_rows, "carries": bool(measured.pending), "session_mark": mark,
            "new_users": b"", "new_contents": b"", "settled": False, "lost": lost, "filled_at": now,
            "watch_ms": _sorted_bytes(measured.watch_ms), "session_ms": _sorted_bytes(measured.session_ms),
            "exposure": exposures.packed(_numbered(measured, users, contents)),
        },
    )  # fmt: skip


def _cells(measured: Measured, carried: Sequence[Carried]) -> dict[CellKey, NDArray[np.int64]]:
    """The day's own cells, and what clicks after midnight add to those of the day before."""
    found: dict[CellKey, NDArray[np.int64]] = {}
    for dimension, hour, value, measures in rows_of(measured.sums):
        start = measured.hours[max(hour, 0)]
        found[Grain.DAY if hour < 0 else Grain.HOUR, start, dimension, value] = measures

    def add(grain: Grain, start: datetime, dimension: str, value: str, place: int, amount: int) -> None:
        # What has no value of a dimension is the rest of all, see `cells.by_value`.
        if value or dimension == ALL:
            cell = found.setdefault((grain, start, dimension, value), np.zeros(len(MEASURES), np.int64))
            cell[place] += amount

    for each in carried:
        for dimension, value in each.values.items():
            for grain, start in ((Grain.HOUR, each.hour), (Grain.DAY, each.day)):
                add(grain, start, dimension, value, _CLICKED, each.clicked)
                add(grain, start, dimension, value, _ENGAGED, each.engaged)
        for dimension, (hour, code) in each.click.place.items():
            value = measured.sums[dimension][0][code]
            add(Grain.HOUR, measured.hours[hour], dimension, value, _UNATTRIBUTED, -1)
            add(Grain.DAY, measured.hours[0], dimension, value, _UNATTRIBUTED, -1)
    return found


def _cell_lines(day: date, cells: dict[CellKey, NDArray[np.int64]]) -> Iterator[str]:
    for (grain, start, dimension, value), measures in sorted(cells.items(), key=lambda item: item[0]):
        numbers = ",".join(map(str, measures.tolist()))
        yield f"{day}\t{grain}\t{start.isoformat()}\t{dimension}\t{value.translate(_ESCAPED)}\t{{{numbers}}}\n"


def _set_lines(measured: Measured, users: Numbering) -> Iterator[str]:
    sums = measured.sums[ALL][1]
    for role, sets in ((ACTIVE, "user_sets"), (PUBLISHER, "publisher_sets")):
        codes = getattr(sums, sets)[0].tolist()
        numbers = np.zeros(len(measured.users), np.int64)
        numbers[codes] = users.of([measured.users[code] for code in codes])
        for dimension, (values, found) in measured.sums.items():
            for value, members in zip(values, getattr(found, sets), strict=True):
                if len(members):
                    data = user_sets.packed(numbers[members]).hex()
                    yield f"{role}\t{dimension}\t{measured.day}\t{value.translate(_ESCAPED)}\t\\\\x{data}\n"


def _hourly_points(measured: Measured) -> Iterator[KpiPoint]:
    for hour in np.unique(measured.session_hour).tolist():
        lengths = measured.session_ms[measured.session_hour == hour]
        for kpi, share in (("session_median_s", 0.5), ("session_p90_s", 0.9)):
            value = quantile(lengths, share)
            yield KpiPoint(
                grain=Grain.HOUR, start=measured.hours[hour], day=measured.day, kpi=kpi,
                value=None if value is None else value / 1e3,
            )  # fmt: skip


def _numbered(measured: Measured, users: Numbering, contents: Numbering) -> NDArray[np.int32]:
    """The exposure with the numbers of contents and creators, in order of their names, so a rebuild gives the same."""
    rows = measured.exposure.copy()
    codes = rows[exposures.CONTENT]
    rows[exposures.CONTENT] = contents.of([measured.contents[code] for code in codes.tolist()])
    creator = np.append(users.of(measured.creators), -1)
    rows[exposures.CREATOR] = creator[rows[exposures.CREATOR]]
    return rows[:, np.argsort(rows[exposures.CONTENT])]


def _sorted_bytes(values: NDArray[np.int64]) -> bytes:
    return np.sort(values).astype("<i4").tobytes()


def _copy(statement: str, lines: Iterator[str]) -> None:
    with connection.wrap_database_errors, connection.cursor() as cursor:
        cursor.copy_expert(statement, io.BytesIO("".join(lines).encode()))


def read_sets(role: str, dimension: str, first: date, last: date, size: int) -> dict[tuple[date, str], Bits]:
    """Who was active (or published) on the days of a range, by day and value of a dimension."""
    statement = "SELECT (day - date '0001-01-01')::int8, value, users FROM kpi_users WHERE role = %s AND dimension = %s"
    statement += " AND day BETWEEN %s AND %s"
    values = [role, dimension, first, last]
    return {
        (date.fromordinal(int.from_bytes(day) + 1), str(named, "utf-8")): user_sets.unpacked(users, size)
        for day, named, users in copied_rows(statement, values)
    }


def read_column(column: str, first: date, last: date) -> dict[date, memoryview]:
    """One of the binary columns of `KpiDay` on the days of a range."""
    # The column is named in this package.
    statement = f"SELECT (day - date '0001-01-01')::int8, {column} FROM kpi_day WHERE day BETWEEN %s AND %s"  # noqa: S608
    return {date.fromordinal(int.from_bytes(day) + 1): data for day, data in copied_rows(statement, [first, last])}


def copied_rows(statement: str, values: Sequence[Any]) -> Iterator[list[memoryview]]:
    """Rows of a query without NULLs, in PostgreSQL's binary format: bytes as they are, not as hexadecimal text."""
    buffer = io.BytesIO()
    with connection.wrap_database_errors, connection.cursor() as cursor:
        query = cursor.mogrify(statement, values).decode()
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT binary)", buffer)
    return pgcopy.split_rows(buffer.getbuffer())
