"""Splits for the retrieval benchmark: what may be learned from, who is asked, and what they did next.

- `ml-1m`: `sequences.csv.gz` (user, position, movie_id) and `movies.csv`. Fitted on all but the last two of each user,
  tuned on the last but one, tested on the last: the split of the published sequential recommenders.
- `kuairand`: the KuaiRand-Pure folder. Days are Beijing days, a target is a long view of a video the user never met
  before. Tested on the last day of the log with all before as past, tuned on the day before that.
- without a folder, a made world with known successors, so that the benchmark runs anywhere.

The readers take columns only. The importers of `events` make whole events of the same files, a minute's work that
says nothing about retrieval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recsys.benchmarks.scratch import BenchmarkFailedError

DATASETS: Final = ("kuairand", "ml-1m")
_DAY_S: Final = 86_400.0
_BEIJING_S: Final = 8 * 3600.0
_HISTORY_STEP_MS: Final = 60_000

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """One moment to look at the past from; n contents. All pairs of user and row stand in order of user, then time.

    Attributes
    ----------
    fit_user, fit_row : enjoyments to learn from
    query_user, query_row : enjoyments known of the users that are asked about, at the moment of asking
    seen_user, seen_row : contents that are not to be found again, each once per user
    target_user, target_row : what they enjoyed next, each once per user
    popularity : counts of enjoyments by window, float64 (n,)
    met_user, met_row : what users had on screen whether they enjoyed it or not, each once per user; of all users
    met_popularity : counts of it by window, float64 (n,)
    """

    fit_user: Ids
    fit_row: Ids
    query_user: Ids
    query_row: Ids
    seen_user: Ids
    seen_row: Ids
    target_user: Ids
    target_row: Ids
    popularity: Mapping[str, NDArray[np.float64]]
    met_user: Ids = field(default_factory=lambda: np.empty(0, np.int64))
    met_row: Ids = field(default_factory=lambda: np.empty(0, np.int64))
    met_popularity: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """A data set cut twice; `texts` are empty where contents have none."""

    name: str
    contents: int
    tune: Split
    test: Split
    texts: Sequence[str] = field(default_factory=tuple)


def load(dataset: str | None, folder: Path | None, *, scramble: np.random.Generator | None = None) -> Trial:
    """The data set in a folder, by name or by what lies in it.

    Parameters
    ----------
    scramble : deals the contents of an order without times out anew over all users and places
    """
    if folder is None:
        if dataset is not None:
            raise BenchmarkFailedError(f"The data set {dataset} is not shipped: name its folder with --path.")
        return made(scramble=scramble)
    if dataset is None:
        dataset = "ml-1m" if (folder / "sequences.csv.gz").exists() else "kuairand"
    try:
        return ml_1m(folder, scramble=scramble) if dataset == "ml-1m" else kuairand(folder)
    except (OSError, KeyError) as error:
        raise BenchmarkFailedError(f"{folder} is no folder of {dataset}: {error}") from error


def ml_1m(folder: Path, *, scramble: np.random.Generator | None = None) -> Trial:
    """MovieLens-1M as ordered sequences."""
    table = read_columns(folder / "sequences.csv.gz", ("user", "position", "movie_id"))
    order = np.lexsort((table["position"], table["user"]))
    movies, row = np.unique(table["movie_id"][order], return_inverse=True)
    row = row if scramble is None else scramble.permutation(row)
    return _leave_last_out("ml-1m", table["user"][order], row, len(movies), texts=_plots(folder / "movies.csv", movies))


def kuairand(folder: Path) -> Trial:
    """KuaiRand-Pure: its history file, then the days of its log."""
    log_path = next(iter(sorted(folder.glob("log_standard_4_25_to_*.csv"))), folder / "log_standard_4_25_to_4_30.csv")
    log = read_columns(log_path, ("user_id", "video_id", "time_ms", "long_view"))
    old = read_columns(
        folder / "history_before_4_25.csv.gz",
        ("user_id", "video_id", "pos_in_history", "long_view", "history_len", "last_time_ms"),
    )
    back = old["history_len"] - 1 - old["pos_in_history"]
    time_ms = np.append(old["last_time_ms"] - back * _HISTORY_STEP_MS, log["time_ms"])
    day = ((log["time_ms"] / 1000 + _BEIJING_S) // _DAY_S).astype(np.int64)
    user = np.unique(np.append(old["user_id"], log["user_id"]), return_inverse=True)[1]
    videos, row = np.unique(np.append(old["video_id"], log["video_id"]), return_inverse=True)
    # The history lies before every day of the log.
    days = np.append(np.full(len(back), day.min() - 1), day)
    happy = np.append(old["long_view"], log["long_view"]) == 1
    order = np.lexsort((time_ms, user))
    columns = user[order], row[order], days[order], happy[order]
    last = int(day.max())
    return Trial("kuairand", len(videos), _by_day(*columns, last - 1), _by_day(*columns, last))


def made(
    *,
    users: int = 400,
    contents: int = 240,
    length: int = 16,
    seed: int = 3,
    scramble: np.random.Generator | None = None,
) -> Trial:
    """A world in which half of all steps go to a fixed successor and the rest anywhere in the user's family."""
    rng = np.random.default_rng(seed)
    family = np.arange(contents) % 6
    successor = (np.arange(contents) + 6) % contents
    row = np.empty((users, length), np.int64)
    for user in range(users):
        own = rng.permutation(np.flatnonzero(family == user % 6))
        row[user, 0] = own[0]
        for step in range(1, length):
            follows = successor[row[user, step - 1]]
            new = np.setdiff1d(own, row[user, :step])
            row[user, step] = follows if rng.random() < 0.5 and follows in new else rng.choice(new)
    words = [f"family{family[each]} content{each % 7}" for each in range(contents)]
    rows = row.ravel() if scramble is None else scramble.permutation(row.ravel())
    return _leave_last_out("made", np.repeat(np.arange(users), length), rows, contents, texts=words)


def _leave_last_out(name: str, user: Ids, row: Ids, n: int, *, texts: Sequence[str]) -> Trial:
    user = np.unique(user, return_inverse=True)[1]
    length = np.bincount(user)
    behind = np.repeat(np.cumsum(length), length) - 1 - np.arange(len(user))

    def split(held: int) -> Split:
        fit, known, target = behind >= 2, behind > held, behind == held
        recent = fit & (behind < 12)
        return Split(
            user[fit], row[fit], user[known], row[known], user[known], row[known], user[target], row[target],
            {"all": _counts(row[fit], n), "last 10 of each user": _counts(row[recent], n)}, user[known], row[known],
        )  # fmt: skip

    return Trial(name, n, split(1), split(0), texts)


def _by_day(user: Ids, row: Ids, day: Ids, happy: NDArray[np.bool_], today: int) -> Split:
    n = int(row.max()) + 1
    past = day < today
    met = np.unique(user[past] * n + row[past])
    target = np.unique((user * n + row)[(day == today) & happy])
    target = target[~np.isin(target, met)]
    asked = np.unique(target // n)
    seen = met[np.isin(met // n, asked)]
    fit = past & happy
    known = fit & np.isin(user, asked)

    def windows(of: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
        recent = {f"{days} d": _counts(row[of & (day >= today - days)], n) for days in (1, 2, 4)}
        return {**recent, "all": _counts(row[of], n)}

    return Split(
        user[fit], row[fit], user[known], row[known], seen // n, seen % n, target // n, target % n, windows(fit),
        met // n, met % n, windows(past),
    )  # fmt: skip


def _counts(row: Ids, n: int) -> NDArray[np.float64]:
    return np.bincount(row, minlength=n).astype(np.float64)


def _plots(path: Path, movies: Ids) -> list[str]:
    """Title, genres and plot of each movie, "" for those without."""
    table = _table(path, ("movie_id", "title", "genres", "plot"))
    columns = [table[name].to_pylist() for name in ("movie_id", "title", "genres", "plot")]
    text = {each: f"{title} {genres} {plot}".replace("|", " ") for each, title, genres, plot in zip(*columns)}  # noqa: B905
    return [text.get(each, "") for each in movies.tolist()]


def read_columns(path: Path, columns: tuple[str, ...]) -> dict[str, Ids]:
    """Whole numbers of a CSV file, plain or gzip, by column."""
    table = _table(path, columns)
    return {name: table[name].to_numpy().astype(np.int64) for name in columns}


def _table(path: Path, columns: tuple[str, ...]) -> Any:
    from pyarrow import csv  # noqa: PLC0415  only this benchmark needs it here

    options = csv.ConvertOptions(include_columns=list(columns))
    return csv.read_csv(path, convert_options=options, parse_options=csv.ParseOptions(newlines_in_values=True))
