"""What can be known to be wrong before anything is started; each check says it in one sentence.

The checks of the machine need no settings. `check_database` and `check_broker` ask the servers the way the
application will.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recsys.embedded.addresses import port_is_free

# Below this the first training run or a PostgreSQL checkpoint may fill the disk.
MIN_FREE_BYTES = 1_000_000_000
# With less, PostgreSQL can hardly write a segment of its log, and starting what ended for want of room is no use.
LEAST_FREE_BYTES = 48_000_000
OLDEST_POSTGRES = 15
HIGHEST_PORT = 65_535
BROKER_LIMIT_S = 5


class PreflightError(RuntimeError):
    """Something a person has to put right first; the message is one sentence that says what."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Where the web server is to listen."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address for a browser on this machine."""
        shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104  # nosec B104  compared, not bound
        return f"http://[{shown}]:{self.port}" if ":" in shown else f"http://{shown}:{self.port}"


def number_from(environ: Mapping[str, str], name: str, default: int, *, highest: int) -> int:
    """A whole number from 1 to `highest` out of the environment.

    >>> number_from({"WEB_PORT": "8080"}, "WEB_PORT", 8000, highest=65535)
    8080
    """
    raw = environ.get(name) or str(default)
    if not raw.isascii() or not raw.isdecimal() or not 1 <= int(raw) <= highest:
        raise PreflightError(f"{name} must be a whole number from 1 to {highest}, not {raw!r}.")
    return int(raw)


def check_web_address(environ: Mapping[str, str]) -> WebAddress:
    """The address of the web server out of `WEB_HOST` and `WEB_PORT`, where nothing may listen yet."""
    host = environ.get("WEB_HOST") or "127.0.0.1"
    port = number_from(environ, "WEB_PORT", 8000, highest=HIGHEST_PORT)
    if not port_is_free(port, host=host):
        raise PreflightError(
            f"Cannot listen on {host}:{port}, most likely because another program does: stop it, or choose another "
            f"port, for example WEB_PORT={port + 1 if port < HIGHEST_PORT else port - 1}."
        )
    return WebAddress(host, port)


def check_folder(var_dir: Path, *, min_free_bytes: int = MIN_FREE_BYTES) -> None:
    """`var_dir` can be written to, and its disk has room."""
    try:
        var_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=var_dir):
            free = shutil.disk_usage(var_dir).free
    except OSError as error:
        who = f"user id {os.geteuid()}"
        raise PreflightError(f"{var_dir} cannot be written to by {who}: {error.strerror}.") from error
    if free < min_free_bytes:
        raise PreflightError(
            f"Only {free / 1e6:.0f} MB are free on the disk of {var_dir}, and at least {min_free_bytes / 1e6:.0f} MB "
            "are needed: make room, or point RECSYS_VAR_DIR at another disk."
        )


def check_database() -> str:
    """Connect as the application does; returns the server's version for display."""
    from django.db import DatabaseError, connection  # noqa: PLC0415  settings must be ready first

    try:
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            version = str(cursor.fetchone()[0])
            cursor.execute("SELECT has_schema_privilege(current_schema(), 'CREATE')")
            may_create = cursor.fetchone()[0]
    except DatabaseError as error:
        raise PreflightError(f"The database of DATABASE_URL cannot be used: {one_line(error)}") from error
    major = re.match(r"\d+", version)
    if major is None or int(major.group()) < OLDEST_POSTGRES:
        raise PreflightError(f"DATABASE_URL leads to PostgreSQL {version}, and at least {OLDEST_POSTGRES} is needed.")
    if not may_create:
        raise PreflightError("The user of DATABASE_URL may not create tables in its database.")
    return version


def check_broker(url: str) -> None:
    """Connect to the broker as Celery does."""
    from kombu import Connection  # noqa: PLC0415  slow to import, and only `up` needs it

    try:
        with Connection(url, connect_timeout=BROKER_LIMIT_S) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_LIMIT_S)
            with connection.channel():
                pass  # here some transports speak to the server for the first time
    except Exception as error:
        # Every transport raises its own family, and a malformed URL yet another one.
        raise PreflightError(f"The broker of CELERY_BROKER_URL cannot be used: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """What the error says, in one line that ends with a full stop.

    >>> one_line(ValueError("no route\\n\\tto host"))
    'no route to host.'
    """
    return " ".join((str(error) or type(error).__name__).split()).rstrip(".") + "."
