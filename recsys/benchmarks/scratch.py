"""A place where a benchmark may do anything: a new database on the configured server, a new folder, its own process.

Separation is by environment, not by care: the process of the benchmark reads its settings from variables that name the
scratch database and folder, so no code in it even knows the real ones.
"""

import json
import logging
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg2
from django.conf import settings
from django.db import connection
from psycopg2 import sql

from recsys.benchmarks.results import Options, Result

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
# These two are set by the settings themselves.
_OWN_OPTIONS = {"connect_timeout", "application_name"}


class BenchmarkFailedError(RuntimeError):
    """The process of a benchmark ended without a result; its own output says why."""


def run_apart(name: str, options: Options) -> Result:
    """Run a benchmark by name in a process of its own, on a scratch database and folder."""
    with scratch_environment() as environment:
        answer = Path(environment["RECSYS_VAR_DIR"]) / "result.json"
        command = [sys.executable, "-m", "recsys.benchmarks", name, str(answer)]
        command += ["--quick"] if options.quick else []
        command += ["--path", str(options.path.resolve())] if options.path else []
        command += ["--dataset", options.dataset] if options.dataset else []
        command += ["--train-until", options.train_until.isoformat()] if options.train_until else []
        command += ["--mode", options.mode] if options.mode else []
        command += ["--contents", str(options.contents)] if options.contents else []
        # Nothing a benchmark prints may mix with the JSON of the command.
        status = subprocess.run(command, env=environment, cwd=ROOT, stdout=sys.stderr.fileno(), check=False).returncode
        if status != 0 or not answer.exists():
            raise BenchmarkFailedError(f"The benchmark {name} ended with status {status} and without a result.")
        return Result.from_json(json.loads(answer.read_text()))


@contextmanager
def scratch_environment() -> Iterator[dict[str, str]]:
    """Environment variables that name a new database and a new folder; both are gone afterwards."""
    settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=settings.VAR_DIR) as folder, _database() as url:
        yield {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE,
            "DATABASE_URL": url,
            # The load of a benchmark comes from one key and one address, which is what the limits are there to stop.
            # `web.web_server` switches them on again, for loads that keep within them.
            "RATE_LIMIT": "0",
            "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
            "RECSYS_VAR_DIR": folder,
            "RECSYS_EMBEDDED": "0",
            "SECRET_KEY": secrets.token_urlsafe(40),
            "LOG_LEVEL": "WARNING",
        }


@contextmanager
def _database() -> Iterator[str]:
    """The URL of a new, empty database beside the configured one."""
    facts = connection.settings_dict
    name = f"recsys_bench_{os.getpid()}_{secrets.token_hex(3)}"
    parameters = connection.get_connection_params()
    plain = {key: parameters[key] for key in ("dbname", "user", "password", "host", "port") if parameters.get(key)}
    options = {**plain, **_extra_options(facts)}
    _say(options, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield _url(facts, name)
    finally:
        try:
            _say(options, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        except psycopg2.OperationalError as error:
            # A server that has ended meanwhile must not take an hour's result with it.
            logger.warning("the scratch database %s stays: %s", name, error)


def _say(options: Mapping[str, Any], statement: sql.Composed) -> None:
    """One statement over a connection of its own: between the first and the last a benchmark may take hours."""
    with closing(psycopg2.connect(**options)) as server:
        server.autocommit = True
        with server.cursor() as cursor:
            cursor.execute(statement)


def _extra_options(facts: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in facts["OPTIONS"].items() if key not in _OWN_OPTIONS}


def _url(facts: Mapping[str, Any], name: str) -> str:
    user, password = quote(facts["USER"], safe=""), quote(facts["PASSWORD"], safe="")
    host = f"[{facts['HOST']}]" if ":" in facts["HOST"] else facts["HOST"]
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    port = f":{facts['PORT']}" if facts["PORT"] else ""
    extra = _extra_options(facts)
    return f"postgres://{login}{host}{port}/{name}" + (f"?{urlencode(extra)}" if extra else "")
