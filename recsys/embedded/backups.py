"""Backups of a whole installation, and its return to a point in time.

    BACKUP_DIR/20261130T032000/       one backup: `backup.json`, the database, models and media
    BACKUP_DIR/wal/                   what was written since, segment by segment (embedded PostgreSQL only)

Of the embedded PostgreSQL a backup is a copy of its files; with the archived segments it can be brought to any moment
after. Of a real server it is a dump, and a point in time is that server's own business. A backup has its name once it
is complete. It holds the secrets of the installation, so nobody else may read it.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from recsys.embedded import addresses
from recsys.embedded.postgres import DATABASE, ROLE, WAL, Postgres, bin_dir, shell_path
from recsys.embedded.process import Identity, ServerError, choose_identity

NOTE: Final = "backup.json"
FILES: Final = ("models", "encoders", "public")
"""Folders of `var` that no other part of a backup can bring back; snapshots are made anew from the database."""
SEGMENT_BYTES: Final = 16 * 1024 * 1024
_SEGMENT: Final = re.compile(r"([0-9A-F]{24})(\.partial)?\.gz\Z")
ARCHIVE_PATIENCE_S: Final = 120.0
RECOVERY_PATIENCE_S: Final = 3_600.0
POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Backup:
    """What is written down of a backup. `first_segment` is the oldest archived segment that it needs."""

    name: str
    kind: str
    taken_at: str
    seconds: float
    bytes: int
    postgres: str = ""
    first_segment: str = ""


def take(folder: Path, var_dir: Path, *, connect: Mapping[str, str], embedded: bool, now: datetime) -> Backup:
    """Make a backup below `folder`; `connect` is libpq's environment for the database.

    Raises
    ------
    ServerError : when a program fails, or the segments that the copy needs do not reach the archive
    """
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder))
    try:
        copy = _copy_embedded if embedded else _dump
        first = copy(draft, connect)
        if embedded and (folder / WAL).is_dir():
            _await_archive(folder / WAL, first, connect)
        for name in FILES:
            if (var_dir / name).is_dir():
                shutil.copytree(var_dir / name, draft / "files" / name, symlinks=True)
        if (var_dir / addresses.FILE_NAME).exists():
            shutil.copy2(var_dir / addresses.FILE_NAME, draft / addresses.FILE_NAME)
        took = timedelta(seconds=time.monotonic() - started)
        # A copy is of the moment at which it was complete.
        backup = Backup(
            name=f"{now.astimezone(UTC):%Y%m%dT%H%M%S}", kind="files" if embedded else "dump",
            taken_at=(now.astimezone(UTC) + took).isoformat(), seconds=round(took.total_seconds(), 1),
            bytes=sum(path.stat().st_size for path in draft.rglob("*") if path.is_file()),
            postgres=_asked("SHOW server_version", connect), first_segment=first,
        )  # fmt: skip
        (draft / NOTE).write_text(json.dumps(asdict(backup), indent=2) + "\n", encoding="utf-8")
        draft.rename(folder / backup.name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return backup


def known(folder: Path) -> list[Backup]:
    """All complete backups below `folder`, the oldest first."""
    return [read(path.parent) for path in sorted(folder.glob(f"*/{NOTE}")) if path.parent.name[0] != "."]


def read(folder: Path) -> Backup:
    """What is written down of one."""
    try:
        return Backup(**json.loads((folder / NOTE).read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise ServerError(f"{folder} is no complete backup: {error}") from error


def prune(folder: Path, *, keep: int) -> list[str]:
    """Remove all but the newest backups, and segments that none of those needs."""
    found = known(folder)
    gone, kept = found[:-keep], found[-keep:]
    for backup in gone:
        shutil.rmtree(folder / backup.name)
    needed = min((backup.first_segment[8:] for backup in kept if backup.first_segment), default="")
    for path in (folder / WAL).glob("*.gz"):
        segment = _SEGMENT.match(path.name)
        # The first eight digits are the timeline: one that a restore began goes on with the same numbers.
        if segment and segment[1][8:] < needed:
            path.unlink()
    return [backup.name for backup in gone]


def restore(folder: Path, var_dir: Path, *, at: datetime | None) -> None:
    """Bring the embedded database of `var_dir`, models and media back, to the end of the archive or to a moment.

    What was there is moved aside, not removed; what its server had not yet handed over is used as well. At the end the
    server is stopped.

    Raises
    ------
    ServerError : when the server runs, a file is damaged, or the moment cannot be reached
    """
    backup = read(folder)
    server = Postgres(var_dir)
    if server.is_running():
        raise ServerError(f"The embedded Postgres of {var_dir} runs: stop `manage.py up` first.")
    if backup.kind != "files":
        raise ServerError(f"{folder} is a dump; it is restored into the server of DATABASE_URL.")
    if at is not None and at < datetime.fromisoformat(backup.taken_at):
        raise ServerError(f"{folder.name} was taken at {backup.taken_at}, after {at.isoformat()}: name an older one.")
    if not (folder / addresses.FILE_NAME).exists():
        raise ServerError(f"{folder} lacks {addresses.FILE_NAME}, without which its database does not open.")
    server.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = server.home / "data.restored"
    shutil.rmtree(draft, ignore_errors=True)
    _unpack(folder, draft)
    _take_over_secrets(folder, var_dir)
    aside = _move_aside(server.data)
    _ask_for_recovery(draft, folder.parent / WAL, aside, at=at)
    _hand_to(choose_identity(server.binary(), var_dir), server.home)
    draft.rename(server.data)
    server.archiving = False
    try:
        server.start()
        _await_recovery(server)
    finally:
        server.stop()
    for name in FILES:
        if (folder / "files" / name).is_dir():
            shutil.copytree(folder / "files" / name, var_dir / name, symlinks=True, dirs_exist_ok=True)


def restore_dump(folder: Path, connect: Mapping[str, str], var_dir: Path) -> None:
    """Bring a dump into the database of `connect`, in place of what is there, in one transaction."""
    if read(folder).kind != "dump":
        raise ServerError(f"{folder} holds the files of an embedded PostgreSQL, not a dump.")
    options = ["--clean", "--if-exists", "--no-owner", "--exit-on-error", "--single-transaction"]
    _run("pg_restore", [*options, "--dbname", connect["PGDATABASE"], str(folder / "database.dump")], connect)
    for name in FILES:
        if (folder / "files" / name).is_dir():
            shutil.copytree(folder / "files" / name, var_dir / name, symlinks=True, dirs_exist_ok=True)


def _copy_embedded(draft: Path, connect: Mapping[str, str]) -> str:
    options = ["--format=tar", "--gzip", "--wal-method=stream", "--checkpoint=fast", "--manifest-checksums=SHA256"]
    _run("pg_basebackup", ["--pgdata", str(draft / "base"), *options], connect)
    manifest = json.loads((draft / "base" / "backup_manifest").read_text(encoding="utf-8"))
    return min(_segment(one["Timeline"], one["Start-LSN"]) for one in manifest["WAL-Ranges"])


def _dump(draft: Path, connect: Mapping[str, str]) -> str:
    _run("pg_dump", ["--format=custom", "--file", str(draft / "database.dump")], connect)
    return ""


def _segment(timeline: int, place: str) -> str:
    """The name of the segment that holds a place in the log.

    >>> _segment(1, "2/3000028")
    '000000010000000200000003'
    """
    high, low = (int(part, 16) for part in place.split("/"))
    return f"{timeline:08X}{high:08X}{low // SEGMENT_BYTES:08X}"


def _await_archive(archive: Path, first: str, connect: Mapping[str, str]) -> None:
    """A copy without its segments is worth nothing, and an archive that does not work is noticed now."""
    deadline = time.monotonic() + ARCHIVE_PATIENCE_S
    while not (archive / f"{first}.gz").exists():
        if time.monotonic() > deadline:
            said = _asked("SELECT last_failed_wal FROM pg_stat_archiver", connect) or "nothing was tried"
            raise ServerError(f"{first} does not reach {archive}: see postgres.log (failed last: {said}).")
        time.sleep(POLL_S)


def _unpack(folder: Path, draft: Path) -> None:
    for name, target in (("base.tar.gz", draft), ("pg_wal.tar.gz", draft / "pg_wal")):
        target.mkdir(mode=0o700, exist_ok=True)
        try:
            with tarfile.open(folder / "base" / name) as archive:
                archive.extractall(target, filter="data")
        except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
            raise ServerError(f"{folder / 'base' / name} is damaged: {error}") from error
    manifest = str(folder / "base" / "backup_manifest")
    _run("pg_verifybackup", ["--no-parse-wal", "--manifest-path", manifest, str(draft)], {})


def _move_aside(data: Path) -> Path | None:
    if not data.exists():
        return None
    aside = data.with_name(f"data.before-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    data.rename(aside)
    return aside


def _ask_for_recovery(data: Path, archive: Path, aside: Path | None, *, at: datetime | None) -> None:
    kept = f"{shell_path(archive)}/%f.gz"
    otherwise = f"cp {shell_path(aside / 'pg_wal')}/%f %p" if aside else "exit 1"
    fetch = f"if [ -f {kept} ]; then gzip -dc {kept} > %p; else {otherwise}; fi".replace("'", "''")
    lines = [f"restore_command = '{fetch}'", "recovery_target_timeline = 'latest'"]
    if at is not None:
        lines += [f"recovery_target_time = '{at.isoformat()}'", "recovery_target_action = 'promote'"]
    with (data / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))
    (data / "recovery.signal").touch()


def _await_recovery(server: Postgres) -> None:
    deadline = time.monotonic() + RECOVERY_PATIENCE_S
    while True:
        if server.process is not None and server.process.poll() is not None:
            raise ServerError(f"The recovery ended early. Last lines of {server.log_path}:\n{server.log_tail()}")
        with contextlib.suppress(ServerError):
            if _asked("SELECT pg_is_in_recovery()", environment(server.addresses)) == "f":
                break
        if time.monotonic() > deadline:
            raise ServerError(f"The recovery did not end within {RECOVERY_PATIENCE_S:.0f} s, see {server.log_path}.")
        time.sleep(POLL_S)
    for name in ("restore_command", "recovery_target_time", "recovery_target_action", "recovery_target_timeline"):
        _asked(f"ALTER SYSTEM RESET {name}", environment(server.addresses))


def _take_over_secrets(folder: Path, var_dir: Path) -> None:
    """The cluster opens with the password of its time, and tokens hold that were signed with the key of its time."""
    ports = addresses.load(var_dir)
    shutil.copyfile(folder / addresses.FILE_NAME, var_dir / addresses.FILE_NAME)
    addresses.move(var_dir, postgres_port=ports.postgres_port, valkey_port=ports.valkey_port)


def _hand_to(identity: Identity, folder: Path) -> None:
    if os.geteuid() != 0:
        return
    for path in _below(folder):
        os.chown(path, identity.owner, -1 if identity.gid is None else identity.gid, follow_symlinks=False)


def _below(folder: Path) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        yield parent
        yield from (os.path.join(parent, name) for name in names)


def environment(known: addresses.Addresses) -> dict[str, str]:
    """libpq's environment for the embedded database."""
    return {
        "PGHOST": addresses.HOST, "PGPORT": str(known.postgres_port), "PGUSER": ROLE,
        "PGPASSWORD": known.postgres_password, "PGDATABASE": DATABASE,
    }  # fmt: skip


def _asked(sql: str, connect: Mapping[str, str]) -> str:
    return _run("psql", ["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql], connect).strip()


def _run(program: str, arguments: list[str], connect: Mapping[str, str]) -> str:
    """One of PostgreSQL's programs: ours, or for a real server the installed one, which knows TLS."""
    own = bin_dir() / program
    path = str(own) if own.exists() else shutil.which(program)
    if connect.get("PGHOST") != addresses.HOST:
        path = shutil.which(program) or path
    if path is None:
        raise ServerError(f"There is no {program}: install PostgreSQL's client programs, or set PG_BIN_DIR.")
    environ: dict[str, Any] = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", **connect}
    done = subprocess.run([path, *arguments], check=False, capture_output=True, text=True, env=environ)
    if done.returncode:
        raise ServerError(f"{program} failed: {' '.join(done.stderr.split())[-500:]}")
    return done.stdout
