"""`manage.py migrate`: Django's, made safe for a database that is in use.

A statement that waits for a lock lets everybody else wait behind it. So it gives up within seconds, lets them pass, and
tries again: what was migrated stays, and the migration that was on is rolled back as a whole. Of several hosts that
migrate at the same moment one works and the others wait.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg2.errors
from django.core.management.base import CommandError, CommandParser
from django.core.management.commands.migrate import Command as DjangoCommand
from django.db import OperationalError, connections

LOCK_TIMEOUT_MS: Final = 2_000
# Longer than any statement of a migration should take in one transaction.
STATEMENT_TIMEOUT_S: Final = 3_600
ATTEMPTS: Final = 30
PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 10.0
_MIGRATION_LOCK: Final = 0x7EC5_0017
"""Key of the advisory lock; arbitrary, but nothing else in this database may use it."""


class Command(DjangoCommand):
    """Django's command with patience in small pieces."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-timeout-ms", type=int, default=LOCK_TIMEOUT_MS,
            help=f"give up waiting for a lock after this ({LOCK_TIMEOUT_MS}), and try again",
        )  # fmt: skip
        parser.add_argument(
            "--attempts", type=int, default=ATTEMPTS, help=f"how often a lock is tried for in all ({ATTEMPTS})"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        attempts, lock_ms = max(1, options.pop("attempts")), max(1, options.pop("lock_timeout_ms"))
        with _alone(options["database"], lock_ms):
            for attempt in range(1, attempts + 1):
                try:
                    super().handle(*args, **options)
                    return
                except OperationalError as error:
                    if not isinstance(error.__cause__, psycopg2.errors.LockNotAvailable):
                        raise
                    if attempt == attempts:
                        raise CommandError(
                            f"A lock was not to be had in {attempts} attempts of {lock_ms} ms; what was migrated "
                            "before stays. pg_stat_activity says who holds it; or try again at a quieter time."
                        ) from error
                    self.stderr.write(f"waited {lock_ms} ms for a lock in vain, attempt {attempt} of {attempts}")
                    time.sleep(min(PAUSE_S * attempt, LONGEST_PAUSE_S))


@contextmanager
def _alone(alias: str, lock_ms: int) -> Iterator[None]:
    """No other host migrates meanwhile, and no statement waits or runs for ever."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')")
        before = cursor.fetchone()
        cursor.execute("SELECT pg_advisory_lock(%s)", [_MIGRATION_LOCK])
        _limit(cursor, f"{lock_ms}ms", f"{STATEMENT_TIMEOUT_S}s")
    try:
        yield
    finally:
        # A connection that broke has given up the lock and the limits by itself.
        if connection.connection is not None and connection.is_usable():
            with connection.cursor() as cursor:
                _limit(cursor, *before)
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_MIGRATION_LOCK])


def _limit(cursor: Any, lock: str, statement: str) -> None:
    cursor.execute("SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)",
                   [lock, statement])  # fmt: skip
