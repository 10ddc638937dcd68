"""Releases of the code beside each other, and a link that says which one runs.

    ROOT/releases/20261130T101500-0123456789/   the code of a commit, `.venv` a link into venvs, `release.json`
    ROOT/venvs/<hash of requirements.txt>/      releases with the same packages share one
    ROOT/current -> releases/...                what the services start from

A release is complete before its name appears, and the link changes in one step, so whatever is killed on the way leaves
the old or the new release, whole. Which model served with a release stands in its `release.json` from the moment it
is left, so that going back means both.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

NOTE: Final = "release.json"
STAMP: Final = ".complete"
CURRENT: Final = "current"


class ReleaseError(RuntimeError):
    """What stands in the way of a deployment; one sentence."""


@dataclass(frozen=True, slots=True)
class Release:
    """One release: its commit, the release it took the place of, and the model that served when it was left."""

    name: str
    commit: str
    previous: str | None = None
    model: str | None = None


class Releases:
    """The folder of all releases of one installation."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def folder(self, name: str) -> Path:
        """Where the code of a release lies."""
        return self.root / "releases" / name

    def python(self, name: str) -> Path:
        """The Python with the packages of a release."""
        return self.folder(name) / ".venv" / "bin" / "python"

    def read(self, name: str) -> Release:
        """What is written down of a release."""
        try:
            return Release(**json.loads((self.folder(name) / NOTE).read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError) as error:
            raise ReleaseError(f"{self.folder(name)} is no complete release: {error}") from error

    def current(self) -> Release | None:
        """The release that runs; None before the first."""
        link = self.root / CURRENT
        return self.read(link.readlink().name) if link.is_symlink() else None

    def write(self, release: Release) -> None:
        """Note what is known of a release."""
        _write(self.folder(release.name) / NOTE, asdict(release))

    def build(self, source: Path, revision: str, *, now: datetime) -> Release:
        """Make a complete release of a commit of the repository `source`; nothing runs it yet."""
        commit = _said("git", "-C", str(source), "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        release = Release(f"{now.astimezone(UTC):%Y%m%dT%H%M%S}-{commit[:10]}", commit)
        (self.root / "releases").mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=self.root / "releases"))
        try:
            _export(source, commit, draft)
            venv = self._packages(draft / "requirements.txt")
            (draft / ".venv").symlink_to(os.path.relpath(venv, self.folder(release.name)))
            _write(draft / NOTE, asdict(release))
            draft.chmod(0o755)
            draft.rename(self.folder(release.name))
        except OSError as error:
            raise ReleaseError(f"the release of {revision} could not be made: {error}") from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return release

    def switch(self, release: Release) -> None:
        """Let the link point at a release, in one step."""
        draft = self.root / f".{CURRENT}-{os.getpid()}"
        draft.unlink(missing_ok=True)
        draft.symlink_to(Path("releases") / release.name)
        draft.replace(self.root / CURRENT)

    def manage(self, release: Release, *arguments: str) -> None:
        """Run a command with the code of a release."""
        command = [str(self.python(release.name)), str(self.folder(release.name) / "manage.py"), *arguments]
        # Settings of the process that asks are not those of the release, and neither is its code.
        left_out = {"DJANGO_SETTINGS_MODULE", "PYTHONPATH"}
        environ = {name: value for name, value in os.environ.items() if name not in left_out}
        if subprocess.run(command, check=False, cwd="/", env=environ).returncode:
            raise ReleaseError(f"`manage.py {' '.join(arguments)}` of {release.name} failed, see above")

    def prune(self, *, keep: int) -> list[str]:
        """Remove all but the newest releases, those that run or can be gone back to, and packages nobody needs."""
        running = self.current()
        kept = {running.name, running.previous} if running else set()
        names = sorted(path.name for path in (self.root / "releases").iterdir() if path.name[0] != ".")
        gone = [name for name in names[:-keep] if name not in kept]
        for name in gone:
            shutil.rmtree(self.folder(name))
        used = {(self.folder(name) / ".venv").resolve() for name in set(names) - set(gone)}
        for venv in (self.root / "venvs").iterdir():
            if venv.resolve() not in used:
                shutil.rmtree(venv)
        return gone

    def _packages(self, requirements: Path) -> Path:
        """The environment with exactly these packages, made if there is none."""
        wanted = requirements.read_bytes() + sys.version.encode()
        venv = self.root / "venvs" / hashlib.sha256(wanted).hexdigest()[:16]
        if not (venv / STAMP).exists():
            _said(sys.executable, "-m", "venv", "--clear", str(venv))
            install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
            _said(str(venv / "bin" / "python"), *install, "--require-hashes", "-r", str(requirements))
            (venv / STAMP).touch()
        return venv


def left_with(release: Release, *, model: str | None) -> Release:
    """The note of a release that is being left while `model` serves."""
    return replace(release, model=model)


def _export(source: Path, commit: str, folder: Path) -> None:
    """The files of a commit, without history or anything that was not committed."""
    with tempfile.TemporaryFile() as file:
        try:
            subprocess.run(["git", "-C", str(source), "archive", commit], check=True, stdout=file)
        except subprocess.CalledProcessError as error:
            raise ReleaseError(f"git could not export {commit} of {source}") from error
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            archive.extractall(folder, filter="data")


def _said(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise ReleaseError(f"`{' '.join(command[:4])} ...` failed: {said[-1]}")
    return done.stdout.strip()


def _write(path: Path, fields: object) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)
