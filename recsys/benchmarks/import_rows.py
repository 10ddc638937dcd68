"""How fast an import stores source rows: reading, cleaning, deduplicating and indexing included."""

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from events.importers import kuairand
from events.importing import ImportReport, import_rows
from recsys.benchmarks.copy_limit import copy_seconds
from recsys.benchmarks.results import Bar, Options, Result

LEAST_ROWS_PER_S = 10_000.0
NOW = datetime(2026, 11, 23, tzinfo=UTC)
START_MS = 1_650_812_741_436


def run(options: Options) -> Result:
    """Import `options.path`, or a synthetic folder of the same shape, and COPY the stored rows once more."""
    with tempfile.TemporaryDirectory() as made:
        folder = options.path or write_folder(Path(made), scale=0.1 if options.quick else 0.5)
        dataset = kuairand.discover(folder)
        started = time.perf_counter()
        report = import_rows(dataset, now=NOW)
        seconds = time.perf_counter() - started
    return _judge(report, seconds)


def _judge(report: ImportReport, seconds: float) -> Result:
    stored, limit_seconds = copy_seconds()
    rows_per_s, events_per_s = report.rows / seconds, report.events / seconds
    limit_per_s = stored / limit_seconds
    figures = {
        "rows": report.rows,
        "events": report.events,
        "seconds": seconds,
        "rows_per_s": rows_per_s,
        "events_per_s": events_per_s,
        "copy_events_per_s": limit_per_s,
        "share_of_copy": events_per_s / limit_per_s,
    }
    rows = [
        ("source rows/s", f"{rows_per_s:,.0f}", f"at least {LEAST_ROWS_PER_S:,.0f}"),
        (
            "events/s",
            f"{events_per_s:,.0f}",
            f"{limit_per_s:,.0f} by one COPY stream ({events_per_s / limit_per_s:.0%})",
        ),
        ("rows, events", f"{report.rows:,}, {report.events:,}", f"{seconds:.1f} s"),
    ]
    bar = Bar.at_least("source rows per second", rows_per_s, LEAST_ROWS_PER_S)
    return Result("import", figures, ("figure", "measured", "limit"), rows, (bar,))


def write_folder(folder: Path, *, scale: float) -> Path:
    """A folder shaped like KuaiRand-Pure at `scale` of its size: as many rows of each file and signals as often."""
    rng = np.random.default_rng(7)
    users, videos = int(27_000 * scale), int(7_500 * scale)
    _write(folder / "video_features_basic_made.csv", ",".join(kuairand.VIDEO_COLUMNS), (
        f"{video},{video % 900},NORMAL,2022-04-{9 + video % 3:02d},{10_000 + video},{video},{video % 60}"
        for video in range(videos)
    ))  # fmt: skip
    columns = ",".join(["user_id", "user_active_degree", *(f"onehot_feat{number}" for number in range(28))])
    _write(folder / "user_features_made.csv", columns, (
        f"{user},full_active," + ",".join(str(user % (number + 2)) for number in range(28)) for user in range(users)
    ))  # fmt: skip
    _write(folder / "history_before_4_25.csv", ",".join(kuairand.HISTORY_COLUMNS), _history(rng, users, videos))
    _write(
        folder / "log_standard_made.csv", ",".join(kuairand.LOG_COLUMNS), _log(rng, int(95_000 * scale), users, videos)
    )
    return folder


def _write(path: Path, header: str, rows: object) -> None:
    path.write_text("\n".join([header, *rows]) + "\n")  # type: ignore[misc]


def _history(rng: np.random.Generator, users: int, videos: int, length: int = 30) -> list[str]:
    chosen = rng.integers(videos, size=(users, length))
    long_view, like = rng.random((users, length)) < 0.357, rng.random((users, length)) < 0.02
    last = START_MS - rng.integers(10**9, size=users)
    return [
        f"{user},{spot},{chosen[user, spot]},{long_view[user, spot]:d},{like[user, spot]:d},{length},{last[user]}"
        for user in range(users)
        for spot in range(length)
    ]


def _log(rng: np.random.Generator, count: int, users: int, videos: int) -> list[str]:
    times = START_MS + np.sort(rng.integers(518_000_000, size=count))
    user, video = rng.integers(users, size=count), rng.integers(videos, size=count)
    played = np.where(rng.random(count) < 0.9, rng.exponential(8_000, size=count), 0).astype(int)
    flags = rng.random((count, 5)) < (0.017, 0.0013, 0.0025, 0.0009, 0.0008)
    return [
        f"{user[row]},{video[row]},{times[row]},{played[row]},20000,{played[row] >= 18_000:d},1,"
        + ",".join(f"{flag:d}" for flag in flags[row])
        for row in range(count)
    ]
