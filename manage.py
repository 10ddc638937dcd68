#!/usr/bin/env python
"""The one command line of recsys.

It finds the project's own environment, and for commands that need a database it runs the embedded servers around them
when no URL is configured. Every failure that a person can mend ends in one sentence, not in a traceback.
"""

import importlib.util
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
NEEDED_PACKAGES = ("django", "celery", "psycopg2")
# These read code, settings and files only. Every other command, also a future one, gets its servers: a command that
# has them without need costs half a second, one that lacks them fails. (makemigrations asks for the applied history.)
WITHOUT_SERVERS = frozenset(
    {"check", "collectstatic", "compilemessages", "diffsettings", "findstatic", "help", "makemessages"}
    | {"spectacular", "startapp", "startproject", "version"}
)
# They look at the machine first: `up` keeps the servers alive itself, `restore` needs them down, the others are about
# real ones or about none.
OWN_SERVERS = frozenset({"deploy", "first_release", "restore", "rollback", "serve", "up"})


def find_environment() -> None:
    """Go on in `.venv` if this Python lacks the project's packages."""
    if all(importlib.util.find_spec(name) for name in NEEDED_PACKAGES):
        return
    python = ROOT / ".venv" / "bin" / "python"
    if python.exists() and Path(sys.prefix) != ROOT / ".venv":
        os.execv(python, [str(python), *sys.argv])  # noqa: S606  the same command, by the right Python
    sys.exit("The packages of recsys are not installed: run `make setup` first.")


def needs_servers(arguments: list[str]) -> bool:
    """Whether Django's command line `arguments` (without the program) works on the database or the broker."""
    if not arguments or arguments[0].startswith("-") or {"-h", "--help"} & set(arguments):
        return False
    return arguments[0] not in WITHOUT_SERVERS | OWN_SERVERS


def main() -> None:
    """Run one management command."""
    find_environment()
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415  only importable from here on

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsys.settings")
    try:
        run(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"The configuration is wrong: {error}")


def run(argv: list[str]) -> None:
    """Run `argv` with the servers it needs."""
    from django.core.management import execute_from_command_line  # noqa: PLC0415  see main

    from recsys.embedded.addresses import AddressesError  # noqa: PLC0415
    from recsys.embedded.process import ServerError  # noqa: PLC0415
    from recsys.embedded.servers import configure, running  # noqa: PLC0415

    var_dir = Path(os.environ.get("RECSYS_VAR_DIR") or ROOT / "var").resolve()
    try:
        servers = configure(var_dir, os.environ)
        if not needs_servers(argv[1:]):
            execute_from_command_line(argv)
            return
        # A polite kill must run the `finally` that stops the servers.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        with running(servers):
            execute_from_command_line(argv)
    except (AddressesError, ServerError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
