"""How fast a log is cut into sessions, beside plain numpy and DuckDB on the same events in the same run."""

import importlib.util
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from recsys.benchmarks.results import Bar, Options, Result
from recsys.benchmarks.scratch import BenchmarkFailedError

MOST_TIMES_FASTEST: Final = 1.5
MOST_GB: Final = 2.0
EVENTS: Final = 10_000_000
QUICK_EVENTS: Final = 1_000_000
VISITS_PER_EVENT: Final = 0.65
USERS_PER_EVENT: Final = 0.02
DAYS_S: Final = 30 * 86_400.0


def run(options: Options) -> Result:
    """Write a log, let every engine cut it in a process of its own, and compare."""
    engines = ["recsys", "numpy", "numpy_ordered"]
    has_duckdb = importlib.util.find_spec("duckdb") is not None
    if has_duckdb:
        engines.append("duckdb")
    events = QUICK_EVENTS if options.quick else EVENTS
    with tempfile.TemporaryDirectory() as folder:
        write_log(Path(folder), events=events)
        found = {engine: _measure(engine, Path(folder)) for engine in engines}
    _check_equal(found)
    return _judge(found, events, has_duckdb=has_duckdb)


def write_log(folder: Path, *, events: int) -> None:
    """A log in order of time: visits of users, most of one event, each further event minutes after the one before."""
    rng = np.random.default_rng(17)
    visits, users = max(int(events * VISITS_PER_EVENT), 1), max(int(events * USERS_PER_EVENT), 1)
    visit = np.concatenate([np.arange(visits), rng.integers(visits, size=events - visits)])
    user = rng.integers(users, size=visits, dtype=np.int32)[visit]
    when = rng.uniform(0.0, DAYS_S, size=visits)[visit]
    when[visits:] += rng.exponential(300.0, size=events - visits)
    order = np.argsort(when)
    np.save(folder / "user.npy", user[order])
    np.save(folder / "time.npy", when[order])
    np.save(folder / "watch.npy", rng.exponential(8.0, size=events).astype(np.float32))


def _measure(engine: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "recsys.benchmarks.session_engines", engine, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkFailedError(f"{engine} ended with status {done.returncode}: {done.stderr[-500:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _check_equal(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Engines that do not agree on the sessions must not be compared by time."""
    ours = found["recsys"]
    for engine, theirs in found.items():
        sums = all(math.isclose(theirs[name], ours[name], rel_tol=1e-6) for name in ("start_s", "duration_s"))
        if theirs["sessions"] != ours["sessions"] or not sums:
            raise BenchmarkFailedError(f"{engine} found other sessions: {theirs} instead of {ours}")


def _judge(found: Mapping[str, Mapping[str, Any]], events: int, *, has_duckdb: bool) -> Result:
    ours = found["recsys"]
    peers = {engine: facts for engine, facts in found.items() if engine != "recsys"}
    fastest = min(peers, key=lambda engine: float(peers[engine]["seconds"]))
    times = ours["seconds"] / found[fastest]["seconds"]
    figures: dict[str, float] = {"events": events, "sessions": ours["sessions"], "times_fastest": times}
    for engine, facts in found.items():
        figures |= {f"{engine}_s": facts["seconds"], f"{engine}_peak_gb": facts["peak_gb"]}
    rows = [
        (
            engine,
            f"{facts['seconds']:.2f} s, {events / facts['seconds'] / 1e6:.1f} M events/s",
            f"{facts['peak_gb']:.2f} GB",
        )
        for engine, facts in found.items()
    ]
    if not has_duckdb:
        rows.append(("duckdb", "not installed, not compared", ""))
    rows.append(("events, sessions", f"{events:,}, {ours['sessions']:,}", f"fastest peer: {fastest}"))
    bars = (
        Bar.at_most("sessions: times the fastest peer", times, MOST_TIMES_FASTEST),
        Bar.at_most("sessions: peak GB", ours["peak_gb"], MOST_GB),
    )
    return Result("sessions", figures, ("engine", "measured", "memory"), rows, bars)
