"""Switch a running installation to another release and the model that belongs to it, or back.

The database is migrated before the switch, with code that is not running yet. So a migration must leave the release
that runs able to work: add first, remove with the release after the next (docs/operations.md).
"""

import shlex
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from ranking import registry
from recsys.releases import Release, ReleaseError, Releases, left_with
from recsys.requests import RELEASE_HEADER

PATIENCE_S: Final = 180.0
POLL_S: Final = 0.2
# New connections go to any of the web workers; so many in a row meet all of them, as good as surely.
IN_A_ROW: Final = 20
KEPT_RELEASES: Final = 5

Say = Callable[[str], None]


def deploy(
    releases: Releases,
    source: Path,
    revision: str,
    *,
    model: str | None,
    reload: str,
    url: str,
    now: datetime,
    say: Say,
) -> Release:
    """Build, migrate, switch, reload and look; a release that does not come up is left again.

    Raises
    ------
    ReleaseError : with the release before still, or again, running
    """
    before = releases.current()
    say(f"building a release of {revision}")
    release = replace(releases.build(source, revision, now=now), previous=before.name if before else None)
    releases.write(release)
    releases.manage(release, "check")
    say("bringing the tables up to date")
    releases.manage(release, "migrate", "--no-input")
    releases.manage(release, "try_web")
    served = registry.champion_version()
    if before:
        releases.write(left_with(before, model=served))
    if model and model != served:
        releases.manage(release, "promote", model)
    try:
        _enter(releases, release, reload=reload, url=url, say=say)
    except ReleaseError as error:
        if before is None:
            raise
        say(f"going back to {before.name}: {error}")
        try:
            _go_to(releases, before, served=registry.champion_version(), model=served, reload=reload, url=url, say=say)
        except ReleaseError as second:
            raise ReleaseError(f"{error}; {before.name} is current again, but {second}") from error
        raise ReleaseError(f"{release.name} did not come up and was left again: {error}") from error
    releases.prune(keep=KEPT_RELEASES)
    return release


def roll_back(releases: Releases, *, reload: str, url: str, say: Say) -> Release:
    """Go back to the release before and the model that served with it.

    Rolling back twice goes back two releases, as long as they are kept.

    Raises
    ------
    ReleaseError : when there is no release before, or it does not come up
    """
    current = releases.current()
    if current is None or current.previous is None:
        raise ReleaseError("there is no release before this one")
    before = releases.read(current.previous)
    served = registry.champion_version()
    releases.write(left_with(current, model=served))
    _go_to(releases, before, served=served, model=before.model, reload=reload, url=url, say=say)
    return before


def _go_to(
    releases: Releases, release: Release, *, served: str | None, model: str | None, reload: str, url: str, say: Say
) -> None:
    """First the model, by the code that will serve it: code that cannot read a model keeps the one it has."""
    if model and model != served:
        releases.manage(release, "promote", model, "--despite-gates")
    _enter(releases, release, reload=reload, url=url, say=say)


def _enter(releases: Releases, release: Release, *, reload: str, url: str, say: Say) -> None:
    releases.switch(release)
    say(f"{release.name} is current; reloading")
    if subprocess.run(shlex.split(reload), check=False).returncode:
        raise ReleaseError(f"`{reload}` failed")
    _wait_for(release, url)
    say(f"{release.name} answers")


def _wait_for(release: Release, url: str) -> None:
    """Until the web server answers, and answers with this release only."""
    deadline = time.monotonic() + PATIENCE_S
    in_a_row, last = 0, "it never answered"
    while in_a_row < IN_A_ROW:
        status, name = _asked(f"{url}/readyz")
        if status == 200 and name == release.name:
            in_a_row += 1
            continue
        in_a_row = 0
        last = f"the last answer was {status} of {name or 'no release'}" if status else last
        if time.monotonic() > deadline:
            raise ReleaseError(f"{release.name} does not answer at {url} within {PATIENCE_S:.0f} s: {last}")
        time.sleep(POLL_S)


def _asked(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  # nosec B310  the operator's own address
            return answer.status, answer.headers.get(RELEASE_HEADER, "")
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get(RELEASE_HEADER, "")
    except OSError:
        return 0, ""
