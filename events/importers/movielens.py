"""MovieLens (GroupLens, research use): explicit ratings of films, read as if each film had been a clip.

Three publications are understood, by the files found next to each other or by the one file named:
- ml-100k as RecBole's atomic files: `*.inter`, `*.item`, `*.user`, tab-separated, `name:type` headers;
- ml-1m and ml-10m: `ratings.dat`, `movies.dat`, cells split by `::`, no headers;
- ml-20m and later: `ratings.csv`, `movies.csv`.

A rating says that the user saw the film and how they liked it, so one rating becomes

    impression   at the time of the rating
    view         one second later; long_view is true for a rating of 3 or more (a satisfied watch), else false
    like         two seconds later, for a rating of 4 or more

There is no watch time and no creator in the data: views carry no watch_duration, and each film counts as its own
creator (`movie-<id>`), so that rules about creators never tie two films together. Genres become tags, the first one
the category; the year of release becomes the time of upload.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from events.importers.rows import (
    ContentRow,
    Dataset,
    Outcome,
    RawEvent,
    RecordError,
    SourceError,
    SourceFile,
    event_id,
    moment,
)
from events.importers.text import Dialect, opened, profiles, real, table

SOURCE = "movielens"
SATISFIED_RATING = 3.0
LIKED_RATING = 4.0
UNKNOWN_RELEASE = datetime(1995, 1, 1, tzinfo=UTC)
"""A film without a year counts as old as the site itself."""

_TITLE_YEAR = re.compile(r"^(.*) \((\d{4})\)\s*$", re.DOTALL)
NO_GENRE = "(no genres listed)"

ATOMIC = Dialect(delimiter="\t", quoting=False, name_of=lambda cell: cell.split(":")[0])
ITEM_COLUMNS = ("item_id", "movie_title", "release_year", "class")
RATING_COLUMNS = ("user_id", "item_id", "rating", "timestamp")


def discover(path: Path) -> Dataset:
    """The files of a MovieLens folder or the named ratings file with its catalogue; `SourceError` if none."""
    if path.is_dir():
        found = [*sorted(path.glob("*.inter*")), *sorted(path.glob("ratings.dat*")), *sorted(path.glob("ratings.csv*"))]
        if not found:
            raise SourceError(f"{path} has neither *.inter nor ratings.dat nor ratings.csv.")
        ratings = found[0]
    elif path.is_file():
        ratings = path
    else:
        raise SourceError(f"{path} does not exist.")
    name = ratings.name.removesuffix(".gz")
    if name.endswith(".inter"):
        return _atomic(ratings)
    if name.endswith(".dat"):
        return _dat(ratings)
    if name.endswith(".csv"):
        return _csv(ratings)
    raise SourceError(f"{ratings} is no MovieLens ratings file: expected *.inter, ratings.dat or ratings.csv.")


def _rating_events(cells: tuple[str, ...]) -> list[RawEvent]:
    """Events of one (user, item, rating, timestamp in seconds) record."""
    user, item, rating_text, time_text = cells
    rating = real(rating_text, "rating")
    at_ms = int(real(time_text, "timestamp") * 1000)
    key = f"{user},{item},{time_text}"
    shared = {"user_id": user, "content_id": item}

    def event(event_type: str, offset_ms: int, **fields: Any) -> RawEvent:
        identity = event_id(SOURCE, "ratings", key, event_type, at_ms=at_ms + offset_ms)
        at = moment(at_ms + offset_ms)
        return {"event_id": identity, "event_type": event_type, "timestamp": at, **shared, **fields}

    events = [event("impression", 0), event("view", 1000, long_view=rating >= SATISFIED_RATING)]
    if rating >= LIKED_RATING:
        events.append(event("like", 2000))
    return events


def _film(item: str, title: str, genres: list[str], year: int | None) -> ContentRow:
    """One film as a content."""
    genres = [genre for genre in genres if genre and genre != NO_GENRE]
    metadata: dict[str, Any] = {"caption": title, "tags": genres}
    if genres:
        metadata["category"] = genres[0]
    released = datetime(year, 1, 1, tzinfo=UTC) if year and 1850 < year < 2200 else UNKNOWN_RELEASE
    return ContentRow(item, f"movie-{item}", released, metadata)


def _titled_film(cells: tuple[str, ...]) -> ContentRow:
    """A film of the (id, "title (year)", "genre|genre") tables."""
    item, title, genres = cells
    match = _TITLE_YEAR.match(title)
    return _film(item, match[1] if match else title, genres.split("|"), int(match[2]) if match else None)


def _sibling(ratings: Path, name: str) -> list[Path]:
    return [path for path in (ratings.with_name(name), ratings.with_name(f"{name}.gz")) if path.is_file()][:1]


def _atomic(ratings: Path) -> Dataset:
    stem = ratings.name.removesuffix(".gz").removesuffix(".inter")
    items = [table(path, ITEM_COLUMNS, _atomic_film, dialect=ATOMIC) for path in _sibling(ratings, f"{stem}.item")]
    # A postal code keeps its leading zeros.
    users = [
        profiles(path, dialect=ATOMIC, as_text={"zip_code"}, unknown={""}) for path in _sibling(ratings, f"{stem}.user")
    ]
    return Dataset(SOURCE, (*items, *users, table(ratings, RATING_COLUMNS, _rating_events, dialect=ATOMIC)))


def _atomic_film(cells: tuple[str, ...]) -> ContentRow:
    item, title, year, genres = cells
    return _film(item, title, genres.split(" "), int(year) if year.isdecimal() else None)


def _dat(ratings: Path) -> Dataset:
    with opened(ratings, "latin-1") as (text, _):
        if len(text.readline().split("::")) != 4:
            raise SourceError(f"{ratings} is no ratings.dat: expected user::movie::rating::timestamp.")
    films = [_double_colon(path, 3, _titled_film) for path in _sibling(ratings, "movies.dat")]
    return Dataset(SOURCE, (*films, _double_colon(ratings, 4, _rating_events)))


def _double_colon(path: Path, width: int, convert: Callable[[tuple[str, ...]], Outcome]) -> SourceFile[str]:
    def split(line: str) -> Outcome:
        cells = line.rstrip("\r\n").split("::")
        if len(cells) != width:
            raise RecordError(f"has {len(cells)} cells, expected {width}")
        return convert(tuple(cells))

    return SourceFile(path, lambda stream: enumerate(stream, start=1), split, encoding="latin-1")


def _csv(ratings: Path) -> Dataset:
    log = table(ratings, ("userId", "movieId", "rating", "timestamp"), _rating_events)
    films = [table(path, ("movieId", "title", "genres"), _titled_film) for path in _sibling(ratings, "movies.csv")]
    return Dataset(SOURCE, (*films, log))
