"""Which of the two servers are embedded, and the span of time in which they must run."""

import contextlib
import time
from collections import deque
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from recsys.embedded import addresses
from recsys.embedded.postgres import Postgres
from recsys.embedded.process import Server, ServerError
from recsys.embedded.valkey import Valkey

# A server that ends this often will not stay by starting it once more.
MAX_DEATHS = 6
DEATH_WINDOW_S = 60.0


class Servers:
    """The embedded servers that one process needs, Postgres first. Those it starts, it stops, in the other order."""

    def __init__(self, members: list[Server]) -> None:
        self.members = members
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)

    def start(self) -> None:
        for server in self.members:
            server.start()

    def revive(self) -> list[str]:
        """Start again whatever ended since, ours or not; the labels of those. `ServerError` if that does not help."""
        gone = [server for server in self.members if not server.is_running()]
        for server in gone:
            self._deaths.append(time.monotonic())
            if len(self._deaths) == MAX_DEATHS and self._deaths[-1] - self._deaths[0] < DEATH_WINDOW_S:
                raise ServerError(
                    f"The embedded servers ended {MAX_DEATHS} times within {DEATH_WINDOW_S:.0f} s. Last lines of "
                    f"{server.log_path}:\n{server.log_tail()}"
                )
            server.stop()
            server.start()
        return [server.label for server in gone]

    def stop(self) -> None:
        """Stop every one that was started here, even if stopping another one fails."""
        with contextlib.ExitStack() as stack:
            for server in self.members:
                stack.callback(server.stop)


def configure(var_dir: Path, environ: MutableMapping[str, str], *, throwaway: bool = False) -> Servers:
    """Settle the ports and export the URLs of whichever server `environ` does not name; starts nothing.

    Call it before settings load. A URL that is already ours, inherited from a parent process, counts as embedded.
    """
    members: list[Server] = []
    known = addresses.load(var_dir)
    if environ.get("DATABASE_URL", "") in {"", known.database_url}:
        members.append(Postgres(var_dir, throwaway=throwaway))
    if environ.get("CELERY_BROKER_URL", "") in {"", known.broker_url}:
        members.append(Valkey(var_dir, throwaway=throwaway))
    for server in members:
        server.settle_port()
        if isinstance(server, Postgres):
            environ["DATABASE_URL"] = server.addresses.database_url
            environ["RECSYS_EMBEDDED"] = "1"
        else:
            environ["CELERY_BROKER_URL"] = server.addresses.broker_url
    return Servers(members)


@contextlib.contextmanager
def running(servers: Servers) -> Iterator[Servers]:
    """Start what is not already running, and at the end stop exactly that."""
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()
