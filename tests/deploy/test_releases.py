"""Releases lie beside each other, complete or not at all, and the link names one of them."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from recsys.releases import ReleaseError, Releases, left_with

NOW = datetime(2026, 11, 30, 10, 15, tzinfo=UTC)


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, "-C", folder, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "requirements.txt").write_text("# nothing is needed\n")
    (folder / "manage.py").write_text("import sys; sys.exit(sys.argv[1] == 'fail')")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    (folder / "not-committed").write_text("x")
    return folder


@pytest.fixture
def releases(tmp_path):
    return Releases(tmp_path / "root")


def test_a_release_is_what_was_committed_and_runs_in_an_environment_of_its_own(source, releases):
    release = releases.build(source, "HEAD", now=NOW)
    assert release.commit == git(source, "rev-parse", "main")
    assert release.name == f"20261130T101500-{release.commit[:10]}"
    folder = releases.folder(release.name)
    assert {path.name for path in folder.iterdir()} == {".venv", "manage.py", "release.json", "requirements.txt"}
    prefix = subprocess.run(
        [releases.python(release.name), "-c", "import sys; print(sys.prefix != sys.base_prefix)"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert prefix == "True\n"
    assert releases.current() is None
    releases.manage(release, "anything")
    with pytest.raises(ReleaseError, match=r"manage.py fail"):
        releases.manage(release, "fail")


def test_releases_with_the_same_packages_share_one_environment(source, releases):
    first = releases.build(source, "main", now=NOW)
    second = releases.build(source, "main", now=NOW + timedelta(seconds=1))
    (source / "requirements.txt").write_text("# something else\n")
    git(source, "commit", "--quiet", "-am", "second")
    third = releases.build(source, "main", now=NOW)
    venvs = [(releases.folder(each.name) / ".venv").resolve() for each in (first, second, third)]
    assert venvs[0] == venvs[1] != venvs[2]


def test_an_unknown_commit_and_packages_that_cannot_be_installed_leave_nothing(source, releases):
    with pytest.raises(ReleaseError, match="rev-parse"):
        releases.build(source, "no-such-branch", now=NOW)
    (source / "requirements.txt").write_text("surely-no-such-file @ file:///no/such/file.whl\n")
    git(source, "commit", "--quiet", "-am", "broken")
    with pytest.raises(ReleaseError, match="pip"):
        releases.build(source, "main", now=NOW)
    assert list((releases.root / "releases").iterdir()) == []
    # An environment that was begun is made anew.
    assert not list(releases.root.glob("venvs/*/.complete"))


def test_the_link_changes_and_says_what_runs(source, releases):
    first = releases.build(source, "main", now=NOW)
    second = replace(releases.build(source, "main", now=NOW + timedelta(seconds=1)), previous=first.name)
    releases.write(second)
    releases.switch(first)
    assert releases.current() == first
    releases.write(left_with(first, model="ranker-1"))
    releases.switch(second)
    assert releases.current() == second
    assert releases.read(second.previous) == replace(first, model="ranker-1")
    assert json.loads((releases.root / "current" / "release.json").read_text())["name"] == second.name
    assert [path.name for path in releases.root.iterdir() if path.name.startswith(".")] == []


def test_a_damaged_note_is_said(source, releases):
    release = releases.build(source, "main", now=NOW)
    (releases.folder(release.name) / "release.json").write_text('{"name": 1}')
    with pytest.raises(ReleaseError, match=str(releases.folder(release.name))):
        releases.read(release.name)


def test_old_releases_go_but_never_the_one_to_go_back_to(source, releases):
    made = [releases.build(source, "main", now=NOW + timedelta(seconds=n)) for n in range(5)]
    running = replace(made[1], previous=made[0].name)
    releases.write(running)
    releases.switch(running)
    assert releases.prune(keep=1) == [made[2].name, made[3].name]
    assert {path.name for path in (releases.root / "releases").iterdir()} == {made[n].name for n in (0, 1, 4)}
    assert len(list((releases.root / "venvs").iterdir())) == 1
    (releases.root / "venvs" / "unused").mkdir()
    releases.prune(keep=1)
    assert not (releases.root / "venvs" / "unused").exists()
    assert Path(sys.prefix).exists()


def test_an_installation_begins_with_a_release_and_only_once(source, releases):
    call_command("first_release", source=source, root=releases.root, stdout=io.StringIO())
    assert releases.current().commit == git(source, "rev-parse", "HEAD")
    with pytest.raises(CommandError, match="is there already"):
        call_command("first_release", source=source, root=releases.root)
