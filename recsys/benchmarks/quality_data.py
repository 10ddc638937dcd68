"""Logs for the quality benchmark, cut by time: KuaiRand-Pure, MovieLens with or without times, any JSONL of one's own.

    ----- learned from -----|- tuned on -|          choosing settings and weights
    ------------ learned from -----------|- test -| the figures

`--train-until D` names the last day that is learned from for the test; without it KuaiRand is tested on its last day
and any other log on its newest tenth. Tuning looks at the time of the same length before. A target is a content that a
user enjoyed and had never met; a log that knows only enjoyments has met what was enjoyed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from events.importers import jsonl, movielens
from events.importers.batches import batches
from events.importers.rows import ContentRow, Dataset, SourceError
from features.extraction.engagement import CODE, EXPOSING, PLEASED, is_long_view
from recsys.benchmarks import retrieval_data
from recsys.benchmarks.progress import steps
from recsys.benchmarks.retrieval_data import Ids, Split, Trial
from recsys.benchmarks.scratch import BenchmarkFailedError

DATASETS: Final = ("kuairand", "ml-1m", "movielens", "jsonl")
NEWEST_SHARE: Final = 0.1
DAY_S: Final = 86_400.0
BEIJING: Final = timezone(timedelta(hours=8))
WINDOWS: Final = (1, 2, 4)
"""Popularity is counted over so many times the length of the test."""
_HISTORY_STEP_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Log:
    """What users met, in order of user, then time; m rows, n contents.

    Attributes
    ----------
    user, row : int64 arrays (m,), codes from 0
    time_s : float64 array (m,), seconds since 1970 UTC
    happy : bool array (m,), whether they enjoyed it
    contents : n
    texts : per content, empty where a log has none
    """

    name: str
    user: Ids
    row: Ids
    time_s: NDArray[np.float64]
    happy: NDArray[np.bool_]
    contents: int
    texts: tuple[str, ...] = ()

    def rows(self, index: NDArray[Any]) -> "Log":
        """The chosen rows, in the order of the index; the codes stay."""
        return replace(
            self, user=self.user[index], row=self.row[index], time_s=self.time_s[index], happy=self.happy[index]
        )


def load(
    dataset: str | None, path: Path | None, train_until: date | None, *, scramble: np.random.Generator | None = None
) -> Trial:
    """The data set at a path, cut twice; a made world without a path.

    Parameters
    ----------
    scramble : deals the contents out anew over all that happened: whom they belong to and when becomes chance

    Raises
    ------
    BenchmarkFailedError : for a path that holds something else, a day outside the log, or a day for a log without times
    """
    if path is None:
        return retrieval_data.load(dataset, None, scramble=scramble)
    dataset = dataset or guessed(path)
    if dataset == "ml-1m":
        if train_until is not None:
            raise BenchmarkFailedError("ml-1m is an order without times: --train-until has nothing to cut.")
        return retrieval_data.load(dataset, path, scramble=scramble)
    log = read_log(dataset, path)
    return cut(log if scramble is None else dealt(log, scramble.permutation(len(log.row))), train_until)


def dealt(log: Log, order: Ids) -> Log:
    """The same moments of the same users, with the content and the outcome of other moments.

    Parameters
    ----------
    order : int64 array (m,), whose content and outcome each moment gets
    """
    return replace(log, row=log.row[order], happy=log.happy[order])


def read_log(dataset: str, path: Path) -> Log:
    """The log at a path."""
    try:
        return _READERS[dataset](path)
    except (OSError, KeyError, SourceError) as error:
        raise BenchmarkFailedError(f"{path} is no {dataset}: {error}") from error


def cut(log: Log, train_until: date | None) -> Trial:
    """The two splits of a log."""
    start, span = moments(log, train_until)
    return Trial(log.name, log.contents, split(log, start - span, span), split(log, start, span), log.texts)


def moments(log: Log, train_until: date | None) -> tuple[float, float]:
    """When the test begins and how long it is, seconds."""
    last = float(log.time_s.max())
    zone = BEIJING if log.name == "kuairand" else UTC
    if train_until is not None:
        start = datetime.combine(train_until + timedelta(days=1), datetime.min.time(), zone).timestamp()
        span = DAY_S if log.name == "kuairand" else max(last + 1.0 - start, 1.0)
    elif log.name == "kuairand":
        start = datetime.fromtimestamp(last, zone).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        span = DAY_S
    else:
        start = float(np.quantile(log.time_s, 1.0 - NEWEST_SHARE))
        span = last + 1.0 - start
    if not float(log.time_s.min()) < start - span < start <= last:
        first = datetime.fromtimestamp(float(log.time_s.min()), zone).date()
        raise BenchmarkFailedError(
            f"A log from {first} to {datetime.fromtimestamp(last, zone).date()} cannot be cut at "
            f"{datetime.fromtimestamp(start, zone):%Y-%m-%d %H:%M}: twice {span / DAY_S:.1f} days are needed "
            "before the end, and something before them."
        )
    return start, span


def split(log: Log, start: float, span: float) -> Split:
    """What was known at `start`, and what was enjoyed of the unmet within `span` seconds from it."""
    n, past = log.contents, log.time_s < start
    pair = log.user * n + log.row
    met = np.unique(pair[past])
    target = np.unique(pair[(log.time_s >= start) & (log.time_s < start + span) & log.happy])
    target = target[~np.isin(target, met)]
    if len(target) == 0:
        raise BenchmarkFailedError(f"Nobody enjoyed anything new in the {span / DAY_S:.1f} days that are asked about.")
    asked = np.unique(target // n)
    seen = met[np.isin(met // n, asked)]
    fit = past & log.happy
    known = fit & np.isin(log.user, asked)

    def windows(of: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
        recent = {times: of & (log.time_s >= start - times * span) for times in WINDOWS}
        counted = {f"{times * span / DAY_S:.3g} d": chosen for times, chosen in recent.items()} | {"all": of}
        return {name: np.bincount(log.row[chosen], minlength=n).astype(float) for name, chosen in counted.items()}

    return Split(
        log.user[fit], log.row[fit], log.user[known], log.row[known], seen // n, seen % n, target // n, target % n,
        windows(fit), met // n, met % n, windows(past),
    )  # fmt: skip


def guessed(path: Path) -> str:
    """Which data set lies there, by the names of its files."""
    if path.is_file():
        return "jsonl" if ".jsonl" in path.name else "movielens"
    if (path / "sequences.csv.gz").exists():
        return "ml-1m"
    return "kuairand" if any(path.glob("log_standard_*.csv")) else "movielens"


def _kuairand(folder: Path) -> Log:
    """KuaiRand-Pure: its log, and before it the history file where there is one."""
    files = sorted(folder.glob("log_standard_*.csv"))
    if not files:
        raise BenchmarkFailedError(f"{folder} has no log_standard_*.csv")
    columns = ("user_id", "video_id", "time_ms", "long_view")
    parts = [retrieval_data.read_columns(path, columns) for path in files]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in columns}
    if (folder / "history_before_4_25.csv.gz").exists():
        names = ("user_id", "video_id", "pos_in_history", "long_view", "history_len", "last_time_ms")
        old = retrieval_data.read_columns(folder / "history_before_4_25.csv.gz", names)
        back = old["history_len"] - 1 - old["pos_in_history"]
        # No times inside: one minute apart is enough to keep the order, and the last one is known.
        old["time_ms"] = old["last_time_ms"] - (back * _HISTORY_STEP_S * 1000).astype(np.int64)
        joined = {name: np.append(old[name], joined[name]) for name in columns}
    videos, row = np.unique(joined["video_id"], return_inverse=True)
    user = np.unique(joined["user_id"], return_inverse=True)[1]
    happy = joined["long_view"] == 1
    return _ordered(Log("kuairand", user, row, joined["time_ms"] / 1000.0, happy, len(videos)))


def _imported(name: str, discover: Callable[[Path], Dataset]) -> Callable[[Path], Log]:
    """A reader of what an importer reads: the same rows as the product would store."""

    def read(path: Path) -> Log:
        events: list[Mapping[str, Any]] = []
        contents: list[ContentRow] = []
        with steps(discover(path).files, "reading") as files:
            for file in files:
                for batch in batches(file):
                    events += [each for each in batch.events if each.get("content_id") and each.get("user_id")]
                    contents += batch.contents
        return _of_events(name, events, contents)

    return read


_READERS: Final[Mapping[str, Callable[[Path], Log]]] = {
    "kuairand": _kuairand,
    "movielens": _imported("movielens", movielens.discover),
    "jsonl": _imported("jsonl", jsonl.discover),
}


def _of_events(name: str, events: list[Mapping[str, Any]], catalogue: list[ContentRow]) -> Log:
    """One row per event that shows or judges a content."""
    if not events:
        raise BenchmarkFailedError(f"This {name} has no event of a user about a content.")
    ids, row = np.unique([str(each["content_id"]) for each in events], return_inverse=True)
    user = np.unique([str(each["user_id"]) for each in events], return_inverse=True)[1]
    known = {each.content_id: each for each in catalogue}
    durations = np.array([_duration(known.get(each)) for each in ids.tolist()], np.float32)
    kind = np.array([CODE.get(str(each["event_type"]), CODE["content_upload"]) for each in events], np.uint8)
    watch_s = np.array([np.nan if each.get("watch_duration") is None else each["watch_duration"] for each in events])
    stated = np.array([-1 if each.get("long_view") is None else int(each["long_view"]) for each in events], np.int8)
    happy = PLEASED[kind] | is_long_view(kind, watch_s.astype(np.float32), stated, durations[row])
    shown = EXPOSING[kind] | happy
    time_s = np.array([_seconds(each["timestamp"]) for each in events])
    texts = tuple(_text(known.get(each)) for each in ids.tolist())
    log = Log(name, user, row, time_s, happy, len(ids), texts if any(texts) else ())
    return _ordered(log.rows(np.flatnonzero(shown)))


def _ordered(log: Log) -> Log:
    return log.rows(np.lexsort((log.time_s, log.user)))


def _duration(content: ContentRow | None) -> float:
    return float("nan") if content is None or content.duration_s is None else content.duration_s


def _seconds(value: datetime | str) -> float:
    return (datetime.fromisoformat(value) if isinstance(value, str) else value).timestamp()


def _text(content: ContentRow | None) -> str:
    if content is None:
        return ""
    words = [str(content.metadata.get("caption", "")), *map(str, content.metadata.get("tags", ()))]
    return " ".join(words).strip()
