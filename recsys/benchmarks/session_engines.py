"""`python -m recsys.benchmarks.session_engines <engine> <folder>`: one engine of the sessions benchmark, by itself.

Each runs in a process of its own, so that its peak memory is its own. It reads `user.npy`, `time.npy` and `watch.npy`,
cuts the sessions some times, and prints one JSON object: the seconds of its fastest run, its peak memory, and figures
of the sessions that must be the same for every engine.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from events.cleaning.sessions import SESSION_GAP_S, session_bounds, sessionize

RUNS: Final = 3
# DuckDB's own road: windows by user, a running sum over the starts, an aggregate. No session of the benchmark reaches
# 24 hours, so it needs no rule for that.
_SQL: Final = f"""
    WITH stepped AS (
        SELECT "user", time, watch, time - lag(time) OVER by_user > {SESSION_GAP_S} AS paused FROM log
        WINDOW by_user AS (PARTITION BY "user" ORDER BY time)
    ), numbered AS (
        SELECT "user", time, watch, sum(coalesce(paused, true)::int) OVER (PARTITION BY "user" ORDER BY time
            ROWS UNBOUNDED PRECEDING) AS session FROM stepped
    ), cut AS (
        SELECT min(time) AS start, max(time + watch) - min(time) AS duration FROM numbered GROUP BY "user", session
    )
    SELECT count(*), sum(start), sum(duration) FROM cut
"""  # noqa: S608 - constants only

Log = tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float32]]
Figures = tuple[int, float, float]


def recsys(log: Log) -> Callable[[], Figures]:
    """The function that the system itself uses."""
    user, when, watch = log

    def run() -> Figures:
        start, duration = session_bounds(sessionize(user, when), when, watch)
        return len(start), float(start.sum()), float(duration.sum())

    return run


def numpy(log: Log) -> Callable[[], Figures]:
    """What one writes first: sort by user and time, cut where the user changes or pauses, reduce the pieces."""
    user, when, watch = log

    def run() -> Figures:
        order = np.lexsort((when, user))
        return _reduced(user[order], when[order], watch[order])

    return run


def numpy_ordered(log: Log) -> Callable[[], Figures]:
    """The same for a log that is known to be in order of time, which spares it half of the sorting."""
    user, when, watch = log

    def run() -> Figures:
        order = np.argsort(user, kind="stable")
        return _reduced(user[order], when[order], watch[order])

    return run


def duckdb(log: Log) -> Callable[[], Figures]:
    """DuckDB on every core; loading the log into its table is not counted."""
    import duckdb as engine  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  only benchmarks have it
    import pyarrow as pa  # noqa: PLC0415

    # All cores this process may use, and no duty to keep the order of rows.
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    connection = engine.connect(config={"threads": threads, "preserve_insertion_order": False})
    arrow = pa.table(dict(zip(("user", "time", "watch"), log, strict=True)))
    connection.register("given", arrow)
    connection.execute('CREATE TABLE log AS SELECT "user", time, watch::double AS watch FROM given')

    def run() -> Figures:
        row: Any = connection.execute(_SQL).fetchone()
        return int(row[0]), float(row[1]), float(row[2])

    return run


ENGINES: Final = {"recsys": recsys, "numpy": numpy, "numpy_ordered": numpy_ordered, "duckdb": duckdb}


def main() -> None:
    """Run one engine and print what it found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    user, when, watch = (np.load(arguments.folder / f"{name}.npy") for name in ("user", "time", "watch"))
    run = ENGINES[arguments.engine]((user, when, watch))
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        sessions, start_s, duration_s = run()
        seconds.append(time.perf_counter() - started)
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = {"seconds": min(seconds), "peak_gb": peak_bytes / 1e9, "sessions": sessions}
    sys.stdout.write(json.dumps({**found, "start_s": start_s, "duration_s": duration_s}) + "\n")


def _reduced(user: NDArray[np.int32], when: NDArray[np.float64], watch: NDArray[np.float32]) -> Figures:
    starts = np.ones(len(user), dtype=bool)
    starts[1:] = (user[1:] != user[:-1]) | (np.diff(when) > SESSION_GAP_S)
    first = np.flatnonzero(starts)
    duration = np.maximum.reduceat(when + watch, first) - when[first]
    return len(first), float(when[first].sum()), float(duration.sum())


if __name__ == "__main__":
    main()
