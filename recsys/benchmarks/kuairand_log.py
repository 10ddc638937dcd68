"""KuaiRand-Pure as arrays: who watched what to a long view, how long such views last, and the topic of each video.

Reads what the importer reads, without making events of it. Without a folder, a log of the same shape from planted
tastes, so that a benchmark can run anywhere.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from ranking.evaluation.factors import Watches
from recsys.benchmarks.scratch import BenchmarkFailedError

Floats = NDArray[np.float64]

DURATION_GROUPS = 20
LONGEST_PLAY_S = 600.0
"""A player left running is cut here."""


@dataclass(frozen=True, slots=True)
class WatchLog:
    """The impressions, and per video: seconds of a long view and of another one, and a topic code (-1 for none)."""

    watches: Watches
    long_s: Floats
    short_s: Floats
    topic: NDArray[np.int64]


def read(folder: Path) -> WatchLog:
    """A KuaiRand-Pure folder; `BenchmarkFailedError` names the file that is missing."""
    log = _table(folder, "log_standard_*.csv*", ["user_id", "video_id", "long_view", "play_time_ms", "duration_ms"])
    videos = _table(folder, "video_features_basic_*.csv*", ["video_id", "video_duration", "tag"])
    parts = [log, _table(folder, "history_before_4_25.csv*", ["user_id", "video_id", "long_view"])]
    user, video, long_view = (
        np.concatenate([part[name].to_numpy() for part in parts]) for name in ("user_id", "video_id", "long_view")
    )
    known = videos["video_id"].to_numpy()
    users = np.unique(user, return_inverse=True)[1]
    order = np.argsort(known)
    item = order[np.searchsorted(known, video, sorter=order).clip(max=len(known) - 1)]
    listed = known[item] == video
    watches = Watches(users, item, long_view == 1, int(users.max()) + 1, len(known)).where(listed)
    duration_s = np.nan_to_num(videos["video_duration"].to_numpy(zero_copy_only=False) / 1_000.0)
    play_s = np.minimum(log["play_time_ms"].to_numpy() / 1_000.0, LONGEST_PLAY_S)
    log_s = log["duration_ms"].to_numpy() / 1_000.0
    long_s, short_s = _seconds(duration_s, log_s, play_s, log["long_view"].to_numpy() == 1)
    first = [str(tag).partition(",")[0] for tag in videos["tag"].to_pylist()]
    topic = np.unique(first, return_inverse=True)[1]
    return WatchLog(watches, long_s, short_s, np.where([each in {"None", ""} for each in first], -1, topic))


def planted(*, users: int = 6_000, items: int = 2_000, each: int = 40, seed: int = 7) -> WatchLog:
    """A log whose users like the topics they like: rates and tastes as strong as those fitted on KuaiRand-Pure."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(30, size=items)
    trait = rng.normal(size=(30, 6))[topic] + 0.7 * rng.normal(size=(items, 6))
    rate = rng.beta(4.0, 8.0, size=items)
    user = np.repeat(np.arange(users), each)
    item = rng.choice(items, p=(share := 1.0 / np.arange(10, items + 10)) / share.sum(), size=len(user))
    chance = rate[item] + 0.06 * np.einsum("ij,ij->i", rng.normal(size=(users, 6))[user], trait[item])
    watches = Watches(user, item, rng.random(len(user)) < chance, users, items)
    duration_s = rng.lognormal(3.0, 0.7, size=items)
    return WatchLog(watches, np.minimum(duration_s, 60.0), 0.15 * np.minimum(duration_s, 60.0), topic)


def _table(folder: Path, pattern: str, columns: list[str]) -> pa.Table:
    files = sorted(folder.glob(pattern))
    if not files:
        raise BenchmarkFailedError(f"{folder} has no {pattern}")
    options = csv.ConvertOptions(include_columns=columns)
    return pa.concat_tables([csv.read_csv(path, convert_options=options) for path in files])


def _seconds(duration_s: Floats, log_s: Floats, play_s: Floats, long_view: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Mean seconds of a long view and of another one, for videos of like duration, per video."""
    edges = np.quantile(log_s, np.linspace(0.0, 1.0, DURATION_GROUPS + 1)[1:-1])
    group, logged = np.searchsorted(edges, duration_s), np.searchsorted(edges, log_s)

    def means(of: NDArray[np.bool_]) -> Floats:
        total = np.bincount(logged[of], weights=play_s[of], minlength=DURATION_GROUPS)
        count = np.bincount(logged[of], minlength=DURATION_GROUPS)
        return np.where(count > 0, total / np.maximum(count, 1), play_s[of].mean())

    return means(long_view)[group], means(~long_view)[group]
