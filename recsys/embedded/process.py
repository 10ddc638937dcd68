"""What the embedded servers share: one lock per data folder, a user to run as, a child that cannot be left behind.

**The lock is the truth about "is it running".** The server process itself inherits the descriptor of a locked file, so
the kernel releases the lock exactly when the server and its children are gone, also after `kill -9`. Pid files were
rejected as that truth: a pid is soon somebody else's, above all in containers.

**Root.** PostgreSQL refuses to run as root. `choose_identity` finds a user that can reach both the binaries and the
data. A project below a closed home folder such as `/root` leaves none, and there a user namespace shows PostgreSQL
another user while the kernel keeps ours.
"""

import ctypes
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recsys.embedded import addresses
from recsys.embedded.addresses import HOST, Addresses

# Crash recovery replays at most a checkpoint's worth of log; minutes only on a very slow disk.
START_LIMIT_S = 120.0
# A fast shutdown writes a checkpoint before it ends.
STOP_LIMIT_S = 30.0
POLL_S = 0.05
LOG_TAIL_LINES = 12
# Kept from one start to the next for looking into a crash, and never grown without bound.
LOG_KEPT_BYTES = 5_000_000
UNPRIVILEGED_USER = "nobody"
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ServerError(RuntimeError):
    """A server that cannot be started; the message is one sentence for a person, perhaps followed by log lines."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The user a server runs as. `uid` None keeps ours; `prefix` is put before the command."""

    name: str
    uid: int | None = None
    gid: int | None = None
    prefix: tuple[str, ...] = ()

    @property
    def owner(self) -> int:
        """The kernel's user id of the files that the server makes."""
        return os.geteuid() if self.uid is None else self.uid


def choose_identity(binary: Path, folder: Path) -> Identity:
    """The user to run `binary` as so that it can use `folder`: ourselves, unless we are root.

    As root, in this order: `nobody`, the owner of the project folder (a home folder may be closed to all others), and
    a user namespace in which we appear as `nobody`.
    """
    if os.geteuid() != 0:
        return Identity("ourselves")
    nobody = pwd.getpwnam(UNPRIVILEGED_USER)
    candidates = [Identity(UNPRIVILEGED_USER, nobody.pw_uid, nobody.pw_gid)]
    above = folder.parent.stat()
    if above.st_uid != 0:
        candidates.append(Identity(str(above.st_uid), above.st_uid, above.st_gid))
    if unshare := shutil.which("unshare"):
        as_nobody = (f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
        candidates.append(Identity("root in a user namespace", prefix=(unshare, "--user", *as_nobody, "--")))
    for identity in candidates:
        if _reaches(identity, binary, folder):
            return identity
    raise ServerError(
        f"PostgreSQL refuses to run as root, and no other user can reach both {binary} and {folder}: move the project "
        "out of a closed home folder, run it as another user, or set DATABASE_URL and CELERY_BROKER_URL."
    )


def _reaches(identity: Identity, binary: Path, folder: Path) -> bool:
    """Try it: modes, access lists and namespaces are too many rules to evaluate by hand."""
    script = 'cd "$1" && exec "$2" --version'
    try:
        run(identity, ["/bin/sh", "-c", script, "sh", str(folder), str(binary)])
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def run(identity: Identity, command: Sequence[str], *, pass_fds: Sequence[int] = ()) -> str:
    """Run a short command as `identity` and return what it printed; raises `CalledProcessError` with its output."""
    return subprocess.run(
        [*identity.prefix, *command],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd="/",
        env=_environment(),
        user=identity.uid,
        group=identity.gid,
        extra_groups=None if identity.uid is None else [],
        pass_fds=pass_fds,
        timeout=START_LIMIT_S,
    ).stdout


def _environment() -> dict[str, str]:
    """Nothing of ours: a PGPORT or PGDATA in somebody's shell must not reach the embedded server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def die_with_parent(signal_number: int) -> Callable[[], None]:
    """A `preexec_fn` that asks Linux to send the child `signal_number` when the thread that started it is gone.

    Elsewhere the child survives a `kill -9` of its parent, and the next start finds and reuses it.
    """
    parent = os.getpid()

    def ask() -> None:
        if _libc is None:
            return
        _libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def kill_group(leader: int, signal_number: int) -> None:
    """Signal a whole process group, of which nothing may be left."""
    try:
        os.killpg(leader, signal_number)
    except (ProcessLookupError, PermissionError):
        return


class Server(ABC):
    """One embedded server. `start` reuses a server that already runs from the same folder; `stop` ends only our own."""

    label: str
    stop_signal: signal.Signals

    def __init__(self, var_dir: Path, *, throwaway: bool = False) -> None:
        self.var_dir = var_dir.resolve()
        self.home = self.var_dir / self.label.lower()
        self.throwaway = throwaway
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def addresses(self) -> Addresses:
        return addresses.load(self.var_dir)

    @property
    def log_path(self) -> Path:
        return self.var_dir / f"{self.label.lower()}.log"

    @property
    @abstractmethod
    def port(self) -> int:
        """Where it listens, or will."""

    @abstractmethod
    def binary(self) -> Path:
        """The server's executable; raises `ServerError` if there is none for this platform."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether our server, opened by our password, answers at the port."""

    @abstractmethod
    def prepare(self, identity: Identity, lock: int) -> None:
        """Make the data folder fit to start from. The lock is held."""

    @abstractmethod
    def command(self) -> tuple[list[str], bytes]:
        """The command line, and what it reads from standard input."""

    @abstractmethod
    def move_port(self) -> None:
        """Write down a new free port."""

    def is_running(self) -> bool:
        if self.process is not None:
            return self.process.poll() is None
        lock = self._try_lock()
        if lock is None:
            return True
        os.close(lock)
        return False

    def settle_port(self) -> None:
        """If the server is down and a stranger took its port meanwhile, write down another one."""
        lock = self._try_lock()
        if lock is None:
            return
        try:
            if not port_is_usable(self) and not self.answers():
                self.move_port()
        finally:
            os.close(lock)

    def start(self) -> bool:
        """Make sure that the server answers. True if this call started it, False if it was running already."""
        deadline = time.monotonic() + START_LIMIT_S
        while (lock := self._try_lock()) is None:
            if self.answers():
                return False
            if time.monotonic() > deadline:
                raise ServerError(f"{self.home} is in use by a {self.label} that does not answer on port {self.port}.")
            time.sleep(POLL_S)
        try:
            if self.answers():
                return False
            self._spawn(lock)
        finally:
            os.close(lock)
        self._wait(deadline)
        return True

    def stop(self) -> None:
        """Stop the server if this object started it: politely, then with its whole process group."""
        process, self.process = self.process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(self.stop_signal)
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                kill_group(process.pid, signal.SIGKILL)
        process.wait()

    def _try_lock(self) -> int | None:
        """The descriptor of the locked file, or None while a server (or its start) holds it."""
        path = self.var_dir / f"{self.label.lower()}.lock"
        try:
            self.var_dir.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ServerError(f"Cannot write {path}: {error.strerror}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    def _spawn(self, lock: int) -> None:
        if not port_is_usable(self):
            raise ServerError(f"Port {self.port} of the embedded {self.label} was taken by another program: run again.")
        identity = choose_identity(self.binary(), self.var_dir)
        try:
            self._own_home(identity)
            self.prepare(identity, lock)
            command, text = self.command()
            if self.log_path.exists() and self.log_path.stat().st_size > LOG_KEPT_BYTES:
                self.log_path.replace(self.log_path.with_suffix(".log.1"))
            with self.log_path.open("ab") as log:
                self.process = subprocess.Popen(
                    [*identity.prefix, *command],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    env=_environment(),
                    start_new_session=True,
                    user=identity.uid,
                    group=identity.gid,
                    extra_groups=None if identity.uid is None else [],
                    pass_fds=(lock,),
                    preexec_fn=die_with_parent(self.stop_signal),  # noqa: PLW1509  one prctl, no thread holds its locks
                )
            self._feed(text)
        except OSError as error:
            raise ServerError(f"Cannot start the embedded {self.label}: {error}.") from error

    def _feed(self, text: bytes) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(text)
            self.process.stdin.close()
        except BrokenPipeError:
            return  # It ended at once; the wait that follows says why.

    def _own_home(self, identity: Identity) -> None:
        """The data folder belongs to the user who serves it, also after the project moved or the user changed."""
        self.home.mkdir(mode=0o700, exist_ok=True)
        owner = self.home.stat().st_uid
        if owner == identity.owner:
            return
        if os.geteuid() != 0:
            raise ServerError(f"{self.home} belongs to user id {owner}: run this as root or as that user.")
        for folder, _, names in os.walk(self.home):
            for path in [folder, *(os.path.join(folder, name) for name in names)]:
                os.chown(path, identity.owner, -1 if identity.gid is None else identity.gid, follow_symlinks=False)

    def _wait(self, deadline: float) -> None:
        assert self.process is not None
        while not self.answers():
            ended = self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.stop()
                why = "ended at once" if ended else f"did not answer on port {self.port} in time"
                raise ServerError(f"The embedded {self.label} {why}. Last lines of {self.log_path}:\n{self.log_tail()}")
            time.sleep(POLL_S)

    def log_tail(self) -> str:
        if not self.log_path.exists():
            return "(no log)"
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])


def port_is_usable(server: Server) -> bool:
    """Whether the server's port is free to listen at."""
    return addresses.port_is_free(server.port, host=HOST)
