"""Ports and secrets of one installation, made once and kept in `var/embedded.json`, readable by its owner only.

Two processes that start at the same moment agree, because the file appears complete or not at all. Whether a server
listens at these addresses is not known here.
"""

import contextlib
import dataclasses
import json
import os
import random
import secrets
import socket
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

FILE_NAME = "embedded.json"
HOST = "127.0.0.1"
# Below the range from which Linux (32768) and macOS (49152) take ports for outgoing connections: a port that is free
# today is then not lent to somebody's client tomorrow.
LOWEST_PORT, HIGHEST_PORT = 20_000, 32_000


class AddressesError(RuntimeError):
    """The address file cannot be read or written; the message is one sentence that names it."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the embedded servers of one installation listen, and what opens them."""

    postgres_port: int
    postgres_password: str
    valkey_port: int
    valkey_password: str
    secret_key: str
    demo_password: str

    @property
    def database_url(self) -> str:
        return f"postgres://recsys:{self.postgres_password}@{HOST}:{self.postgres_port}/recsys"

    @property
    def broker_url(self) -> str:
        return f"redis://:{self.valkey_password}@{HOST}:{self.valkey_port}/0"


def port_is_free(port: int, *, host: str = HOST) -> bool:
    """Whether a server could listen at `host:port` now. Connections that linger from a former server do not count."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(*, avoid: frozenset[int] = frozenset()) -> int:
    """A port at which nothing listens, drawn at random so that two installations rarely choose the same one."""
    for _ in range(1000):
        port = random.SystemRandom().randint(LOWEST_PORT, HIGHEST_PORT)
        if port not in avoid and port_is_free(port):
            return port
    raise AddressesError(f"No free port between {LOWEST_PORT} and {HIGHEST_PORT} on {HOST}.")


def load(var_dir: Path) -> Addresses:
    """The addresses kept in `var_dir`, created on first use. Safe against another process that creates them too."""
    path = var_dir / FILE_NAME
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return _read(path)
    try:
        var_dir.mkdir(parents=True, exist_ok=True)
        draft = _write_draft(_fresh(), path)
        try:
            # A hard link appears complete, and fails if another process was first: then its file is the truth.
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise AddressesError(f"Cannot write {path}: {error.strerror}.") from error
    return _read(path)


def move(var_dir: Path, *, postgres_port: int | None = None, valkey_port: int | None = None) -> Addresses:
    """Write down another port for the named server and keep everything else. The caller holds that server's lock."""
    path = var_dir / FILE_NAME
    old = load(var_dir)
    new = dataclasses.replace(
        old, postgres_port=postgres_port or old.postgres_port, valkey_port=valkey_port or old.valkey_port
    )
    try:
        _write_draft(new, path).replace(path)
    except OSError as error:
        raise AddressesError(f"Cannot write {path}: {error.strerror}.") from error
    return new


def _fresh() -> Addresses:
    postgres_port = free_port()
    return Addresses(
        postgres_port=postgres_port,
        postgres_password=secrets.token_urlsafe(24),
        valkey_port=free_port(avoid=frozenset({postgres_port})),
        valkey_password=secrets.token_urlsafe(24),
        secret_key=secrets.token_urlsafe(48),
        demo_password=secrets.token_urlsafe(12),
    )


def _write_draft(addresses: Addresses, path: Path) -> Path:
    """A complete file beside `path`, on disk, mode 0600 from its first byte."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(dataclasses.asdict(addresses), file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


def _read(path: Path) -> Addresses:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, ValueError) as error:
        raise AddressesError(f"Cannot read {path}: {error}.") from error
    if not isinstance(fields, dict):
        raise AddressesError(
            f"{path} is damaged: it is no JSON object; restore it, or delete its folder to start over."
        )
    names = {field.name: int if field.name.endswith("_port") else str for field in dataclasses.fields(Addresses)}
    wrong = [name for name, kind in names.items() if not isinstance(fields.get(name), kind)]
    if wrong:
        raise AddressesError(
            f"{path} is damaged: it lacks {', '.join(wrong)}; restore it, or delete its folder to start over."
        )
    return Addresses(**{name: fields[name] for name in names})
