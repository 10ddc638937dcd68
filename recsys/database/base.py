"""Tells whether a kept connection still holds without asking the server.

Django sends a statement before the first one of every request. Here the socket is asked instead: when a server ends,
is restarted or drops a session, its kernel says so on the line, and a line on which something waits to be read, while
no statement runs, is not trusted before the server has answered. A server that stands still is noticed by neither, but
by `recsys.deadlines`.
"""

import select

from django_prometheus.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]  # django_prometheus has no types
    """A connection to PostgreSQL."""

    def is_usable(self) -> bool:
        """Whether statements can be sent over this connection."""
        driver = self.connection
        if driver is None or driver.closed:
            return False
        try:
            line = select.poll()
            line.register(driver.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
            silent = not line.poll(0)
        except (OSError, ValueError, self.Database.Error):
            return False
        return silent or bool(super().is_usable())
