"""The command lines of the web server, the worker and the clock: the same under `up`, systemd and in containers."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from recsys.embedded import preflight
from recsys.embedded.preflight import WebAddress

# Keras training stays below this; a process that grew beyond it is replaced between two tasks.
WORKER_MAX_KB: Final = 2_000_000
# Requests wait for the database more than for the processor, and those that wait together share a commit: single events
# over 32 connections, 2 workers: about 1,000 requests/s with 4 threads, 1,500 to 2,700 with 16.
WEB_THREADS: Final = 16
# Longer than any page takes. A database that stands still is then answered with 503, and the threads are free again.
WEB_PATIENCE_S: Final = 6
# On a reload an old worker goes so long after the new one was started: by then that one has loaded and listens.
RELOAD_OVERLAP_S: Final = 10
HOME: Final = Path("/")
# glibc learns from large blocks that were given back to serve later ones from its arenas, one of which each thread may
# have, and keeps those: hashing passwords in a dozen threads, 19 MiB each, left a web worker 165 MB larger for good.
# Fixed numbers switch the learning off.
WEB_MEMORY: Final = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(2**20),
    "MALLOC_TRIM_THRESHOLD_": str(8 * 2**20),
}
NAMES: Final = ("web", "work", "beat")


def command(name: str, environ: Mapping[str, str], *, var_dir: Path, folder: Path, web: WebAddress) -> list[str]:
    """What runs one of `NAMES`. The web server looks for the code in `folder` anew whenever it reloads."""
    # Root is usual in containers, and no task carries code: Celery's page-long warning hides the lines that matter.
    python = [sys.executable, "-W", "ignore:You're running the worker", "-m"]
    celery = [*python, "celery", "--quiet", "-A", "recsys"]
    match name:
        case "web":
            return [*python, *_granian(web, folder, preflight.number_from(environ, "WEB_WORKERS", 2, highest=64))]
        case "work":
            at_once = preflight.number_from(environ, "TASK_WORKERS", 2, highest=64)
            # Gossip and mingle are for fleets of workers, and cost seconds of start-up.
            options = ["--concurrency", str(at_once), "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
            return [*celery, "worker", *options, "--max-memory-per-child", str(WORKER_MAX_KB)]
        case "beat":
            return [*celery, "beat", "--schedule", str(var_dir / "celerybeat-schedule"), "--pidfile=", "--loglevel",
                    "WARNING"]  # fmt: skip
    raise ValueError(f"there is no program {name!r}; there are {', '.join(NAMES)}")


def surroundings(name: str, environ: Mapping[str, str], *, var_dir: Path, folder: Path) -> dict[str, str]:
    """The environment of one of them, with a metrics folder of its own.

    They find the code by its path and run in `HOME`: a working folder is looked through first, and a link to it that
    points elsewhere since would still lead to the old code.
    """
    own = {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), environ.get("PYTHONPATH", "")])),
        "RECSYS_VAR_DIR": str(var_dir),
        "PROMETHEUS_MULTIPROC_DIR": str(var_dir / "prometheus" / name),
        "PYTHONUNBUFFERED": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    if name == "web":
        patience = environ.get("DATABASE_PATIENCE_S") or str(WEB_PATIENCE_S)
        own |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "DATABASE_PATIENCE_S": patience}
        own |= {name: value for name, value in WEB_MEMORY.items() if name not in environ}
    return {**environ, **own}


def code_folder(environ: Mapping[str, str], default: Path) -> Path:
    """Where the code lies: `RECSYS_CODE`, which may be a link that deployments turn to another release."""
    return Path(environ.get("RECSYS_CODE") or default).absolute()


def empty(folder: Path) -> None:
    """Make a metrics folder anew: those of processes that are gone would be counted for ever."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _granian(web: WebAddress, folder: Path, workers: int) -> list[str]:
    line = ["granian", "--interface", "wsgi", "recsys.wsgi:application", "--working-dir", str(folder)]
    line += ["--host", web.host, "--port", str(web.port), "--workers", str(workers)]
    line += ["--blocking-threads", str(WEB_THREADS), "--runtime-threads", "1", "--no-ws", "--respawn-failed-workers"]
    return [*line, "--workers-kill-timeout", "5", "--respawn-interval", str(RELOAD_OVERLAP_S)]
