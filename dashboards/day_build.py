"""Turn a day of the log into the rows of its rollup; what is looked up on the way is remembered for the whole run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from dashboards.stats import exposures
from dashboards.stats.day import Day, DayLog, Dimension, Sums, VisitLog
from dashboards.stats.measures import NIGHT_HOURS
from dashboards.stats.periods import DAY, hours_of, midnight
from events import activity_log
from events.activity_log import Activity, ContentFacts, Visits
from ranking.served_columns import ServedColumns, served_columns

ALL: Final = "all"
COUNTRY: Final = "country"
OF_SERVED: Final = ("source", "model", "arm")
DIMENSIONS: Final = (ALL, "category", COUNTRY, "surface", *OF_SERVED)
_ABSENT: Final = -1
UNKNOWN: Final = ContentFacts("", "", float("nan"), False)


@dataclass(slots=True)
class Facts:
    """What the catalogue and the profiles say, each looked up once in a run."""

    contents: dict[str, ContentFacts] = field(default_factory=dict)
    country_of: dict[str, str] = field(default_factory=dict)

    def learn(self, users: Sequence[str], contents: Sequence[str]) -> None:
        """Look up what is not known yet; users and contents that nobody registered have no facts."""
        new_contents = [each for each in contents if each not in self.contents]
        new_users = [each for each in users if each not in self.country_of]
        if new_contents:
            found = activity_log.content_facts(new_contents)
            self.contents.update((each, found.get(each, UNKNOWN)) for each in new_contents)
        if new_users:
            named = activity_log.countries(new_users)
            self.country_of.update((each, named.get(each, "")) for each in new_users)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a day is measured from, all read: its events, its sessions, what was served."""

    log: Activity
    visits: Visits
    served: ServedColumns


def read_inputs(day: date, log: Activity, zone: ZoneInfo, facts: Facts) -> Inputs:
    """Everything beside the log that `measure` needs; learns the facts as well."""
    facts.learn(log.users.tolist(), log.contents.tolist())
    used = np.unique(log.request[log.request != _ABSENT])
    served = served_columns([str(each) for each in log.requests[used].tolist()])
    return Inputs(log, activity_log.visits(midnight(day, zone), midnight(day + DAY, zone)), served)


@dataclass(frozen=True, slots=True)
class Measured:
    """A day, measured: the users and contents of its codes, and everything its rollup is made of."""

    day: date
    hours: list[datetime]
    users: list[str]
    contents: list[str]
    sums: dict[str, tuple[tuple[str, ...], Sums]]
    user_sums: NDArray[np.int64]
    watch_ms: NDArray[np.int64]
    session_ms: NDArray[np.int64]
    session_hour: NDArray[np.int64]
    exposure: NDArray[np.int32]
    creators: list[str]
    log_rows: int
    excluded_rows: int
    late_rows: int
    pending: tuple["PendingClick", ...]


@dataclass(frozen=True, slots=True)
class PendingClick:
    """A click whose request showed its content on an earlier day, if at all."""

    user: str
    request: str
    content: str
    at: float
    engaged: bool
    place: Mapping[str, tuple[int, int]]
    """Of each dimension, the hour and the value's code under which it stands as unattributed."""


def measure(day: date, inputs: Inputs, zone: ZoneInfo, facts: Facts) -> Measured:
    """Measure one day; needs no database, so another thread may do it."""
    log = inputs.log
    hours = hours_of(day, zone)
    starts = np.array([hour.timestamp() for hour in hours])
    people = _of_people(log, starts, np.array([hour.astimezone(zone).hour in NIGHT_HOURS for hour in hours]))
    of_day, users, contents = people.log, people.users, people.contents
    seen = Day(of_day)
    known = [facts.contents[each] for each in contents]
    dimensions, country_of_user = _dimensions(inputs, people, known, facts)
    sessions = _sessions(inputs.visits, users, starts)
    sums: dict[str, tuple[tuple[str, ...], Sums]] = {}
    for name, by in dimensions.items():
        found = seen.sums(by)
        if name == ALL:
            found.of_sessions[:] = seen.session_sums(sessions, None)
        elif name == COUNTRY:
            found.of_sessions[:] = seen.session_sums(sessions, Dimension(country_of_user[sessions.user], by.values))
        sums[name] = by.values, found
    exposure, creators = _exposure(seen, known)
    return Measured(
        day=day, hours=hours, users=users, contents=contents, sums=sums, user_sums=seen.user_sums(sessions),
        watch_ms=seen.watch_ms(),
        session_ms=sessions.duration_ms, session_hour=sessions.hour, exposure=exposure, creators=creators,
        log_rows=len(log), excluded_rows=len(log) - len(of_day.kind), late_rows=int(log.late.sum()),
        pending=_pending(seen, people, log, dimensions),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _People:
    """The day without programs and staff: its log, the names of its codes, the surface of each event."""

    log: DayLog
    users: list[str]
    contents: list[str]
    surface: NDArray[np.int32]


def _of_people(log: Activity, starts: NDArray[np.float64], night: NDArray[np.bool_]) -> _People:
    rows = np.flatnonzero(log.person)
    if (np.diff(log.at[rows]) < 0).any():
        rows = rows[np.argsort(log.at[rows], kind="stable")]
    user, users = _dense(log.user[rows], log.users)
    content, contents = _dense(log.content[rows], log.contents)
    of_day = DayLog(
        kind=log.kind[rows], user=user, content=content, request=log.request[rows], session=log.session[rows],
        at=log.at[rows], watch_s=log.watch_s[rows], night=night,
        hour=np.maximum(np.searchsorted(starts, log.at[rows], "right") - 1, 0),
        users=len(users), contents=len(contents), requests=len(log.requests), sessions=len(log.sessions),
    )  # fmt: skip
    return _People(of_day, users, contents, log.surface[rows])


def _dense(code: NDArray[np.int32], vocabulary: NDArray[np.object_]) -> tuple[NDArray[np.int32], list[str]]:
    """Codes into those names only that come at all."""
    used = np.zeros(len(vocabulary), np.bool_)
    used[code[code != _ABSENT]] = True
    place = np.append(np.cumsum(used, dtype=np.int32) - 1, np.int32(_ABSENT))
    return place[code].astype(np.int32), vocabulary[used].tolist()


def _dimensions(
    inputs: Inputs, people: _People, known: list[ContentFacts], facts: Facts
) -> tuple[dict[str, Dimension], NDArray[np.int64]]:
    """What the events are broken down by, and the country code of each user."""
    log, of_day = inputs.log, people.log
    n = len(of_day.kind)
    country_of_user, countries = _coded([facts.country_of[each] for each in people.users])
    category_of_content, categories = _coded([each.category for each in known])
    served = _served(inputs, people)
    surface, surfaces = _merged(
        np.where(people.surface == _ABSENT, len(log.surfaces), people.surface), [*log.surfaces.tolist(), ""],
        *served.pop("surface", (np.full(n, 0, np.int64), ("",))),
    )  # fmt: skip
    dimensions = {
        ALL: Dimension(np.zeros(n, np.int64), ("",)),
        "category": Dimension(*_of_code(of_day.content, category_of_content, categories)),
        COUNTRY: Dimension(*_of_code(of_day.user, country_of_user, countries)),
        "surface": Dimension(surface, surfaces),
        **{name: Dimension(*found) for name, found in served.items()},
    }
    # A log that says nothing of a dimension is not broken down by it.
    return {name: by for name, by in dimensions.items() if name == ALL or by.values != ("",)}, (
        country_of_user if countries != ("",) else np.zeros(len(people.users), np.int64)
    )


def _coded(texts: list[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Codes into the distinct texts, ascending, "" always among them."""
    values = tuple(sorted({"", *texts}))
    code_of = {value: code for code, value in enumerate(values)}
    return np.array([code_of[text] for text in texts], np.int64), values


def _of_code(
    code: NDArray[np.int32], value_of: NDArray[np.int64], values: tuple[str, ...]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Values of events by the value of each code; an absent code has none."""
    return np.append(value_of, values.index(""))[code], values


def _merged(
    code: NDArray[np.integer], names: list[str], other: NDArray[np.int64], other_names: tuple[str, ...]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The first text of each event where it has one, else the other."""
    values = tuple(sorted({"", *names, *other_names}))
    code_of = {value: place for place, value in enumerate(values)}
    mine = np.array([code_of[name] for name in names], np.int64)[code]
    theirs = np.array([code_of[name] for name in other_names], np.int64)[other]
    found = np.where(mine == code_of[""], theirs, mine)
    used = np.unique(np.append(found, code_of[""]))
    return np.searchsorted(used, found), tuple(values[each] for each in used.tolist())


def _served(inputs: Inputs, people: _People) -> dict[str, tuple[NDArray[np.int64], tuple[str, ...]]]:
    """Source, model, arm and surface of the events that belong to a served position."""
    of_day = people.log
    rows = inputs.served
    if not len(rows.request):
        return {}
    request_of = {name: code for code, name in enumerate(inputs.log.requests.tolist())}
    content_of = {name: code for code, name in enumerate(people.contents)}
    width = np.int64(len(people.contents) + 1)
    request = np.array([request_of.get(each, _ABSENT) for each in rows.request.tolist()], np.int64)
    content = np.array([content_of.get(each, _ABSENT) for each in rows.content.tolist()], np.int64)
    keys, first = np.unique(request * width + content + 1, return_index=True)
    wanted = of_day.request * width + of_day.content + 1
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    hit = (keys[place] == wanted) & (of_day.request != _ABSENT) & (of_day.content != _ABSENT)
    found = {}
    named = {"source": rows.source, "model": rows.model_version, "arm": rows.arm, "surface": rows.surface}
    for name, column in named.items():
        code, values = _coded(column[first].tolist())
        found[name] = np.where(hit, code[place], values.index("")), values
    return found


def _sessions(visits: Visits, users: list[str], starts: NDArray[np.float64]) -> VisitLog:
    """The sessions of people."""
    code_of = {name: code for code, name in enumerate(users)}
    mapped = np.array([code_of.get(name, _ABSENT) for name in visits.users.tolist()] or [_ABSENT], np.int64)
    user = mapped[visits.user] if len(visits.user) else np.empty(0, np.int64)
    rows = np.flatnonzero(user != _ABSENT)
    return VisitLog(
        user=user[rows], at=visits.at[rows], duration_ms=visits.duration_ms[rows],
        views=visits.views[rows].astype(np.int64),
        hour=np.maximum(np.searchsorted(starts, visits.at[rows], "right") - 1, 0),
    )  # fmt: skip


def _exposure(seen: Day, known: list[ContentFacts]) -> tuple[NDArray[np.int32], list[str]]:
    """The exposure with codes instead of numbers, and the names of its creator codes."""
    found = seen.exposure()
    facts = [known[code] for code in found.content.tolist()]
    creators = sorted({each.creator_id for each in facts if each.creator_id})
    code_of = {name: code for code, name in enumerate(creators)}
    uploaded = np.array([each.uploaded_s for each in facts], np.float64)
    delay = np.nan_to_num(np.floor(found.first_s - uploaded), nan=-1.0)
    rows = np.zeros((5, len(found.content)), np.int32)
    rows[exposures.CONTENT] = found.content
    rows[exposures.CREATOR] = [code_of.get(each.creator_id, _ABSENT) for each in facts]
    rows[exposures.IMPRESSIONS] = found.impressions
    rows[exposures.DELAY_S] = np.clip(delay, -1, 2**31 - 1)
    rows[exposures.OFFERED] = [each.offered for each in facts]
    return rows, creators


def _pending(
    seen: Day, people: _People, log: Activity, dimensions: Mapping[str, Dimension]
) -> tuple[PendingClick, ...]:
    """Clicks that the day before may explain: only a request says so."""
    of_day = people.log
    rows = [row for row in seen.unattributed.tolist() if of_day.request[row] != _ABSENT]
    engaged = set(seen.engaged_keys(np.array(rows, np.int64)).tolist()) if rows else set()
    return tuple(
        PendingClick(
            people.users[of_day.user[row]], str(log.requests[of_day.request[row]]),
            people.contents[of_day.content[row]], float(of_day.at[row]), row in engaged,
            {name: (int(of_day.hour[row]), int(by.code[row])) for name, by in dimensions.items()},
        )
        for row in rows
    )  # fmt: skip
