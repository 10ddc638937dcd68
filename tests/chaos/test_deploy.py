"""F19: a release takes over under load, with a migration of the table that everybody writes to, and is left again."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psycopg2
import pytest

from recsys.embedded import addresses
from recsys.embedded.servers import configure
from recsys.releases import Releases
from tests import stack
from tests.chaos.ledger import ACCEPTED, load
from tests.chaos.system import System, eventually
from tests.conftest import VAR_DIR
from tests.deploy.test_releases import git

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(900)]
CLIENTS = 20
MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("recsys", "{last}")]
    operations = [migrations.RunSQL("ALTER TABLE event ADD COLUMN rehearsal integer")]
"""


@pytest.fixture
def source(tmp_path):
    """A repository of what lies here, committed or not, with a second commit that brings a migration."""
    folder = tmp_path / "source"
    listed = ["git", "-C", stack.ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0"):
        if name and (stack.ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(stack.ROOT / name, folder / name)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    last = sorted(path.stem for path in (folder / "recsys" / "migrations").glob("0*.py"))[-1]
    (folder / "recsys" / "migrations" / "9000_rehearsal.py").write_text(MIGRATION.format(last=last))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "second")
    (folder / "recsys" / "wsgi.py").write_text("raise RuntimeError('this release is broken')\n")
    git(folder, "commit", "--quiet", "-am", "third")
    return folder


@pytest.fixture
def servers():
    """Servers that the deployed processes reach by URL, as they would reach real ones."""
    folder = VAR_DIR / "deploy-servers"
    stack.forget(folder)
    environ = {}
    servers = configure(folder, environ)
    try:
        servers.start()
        yield environ, folder
    finally:
        servers.stop()


class Installation:
    """A releases folder, and what systemd would be to it."""

    def __init__(self, tmp_path, source, environ, folder):
        self.root, self.source, self.folder, self.port = tmp_path / "root", source, folder, stack.free_port()
        self.releases = Releases(self.root)
        self.pid_file, self.log = tmp_path / "web.pid", tmp_path / "web.log"
        names = {"DJANGO_SETTINGS_MODULE", "PG_BIN_DIR", "RECSYS_EMBEDDED", "DATABASE_URL", "CELERY_BROKER_URL"}
        self.environ = {name: value for name, value in os.environ.items() if name not in names} | {
            "DATABASE_URL": environ["DATABASE_URL"], "CELERY_BROKER_URL": environ["CELERY_BROKER_URL"],
            "RECSYS_VAR_DIR": str(tmp_path / "var"), "RECSYS_ROOT": str(self.root), "WEB_PORT": str(self.port),
            "RECSYS_CODE": str(self.root / "current"),
        }  # fmt: skip
        self._share_packages()
        self.reload = f"{sys.executable} {self._reload_script(tmp_path)}"

    def _share_packages(self):
        """Those of this environment: installing them again is what `tests/deploy` tries, with few."""
        wanted = (self.source / "requirements.txt").read_bytes() + sys.version.encode()
        venv = self.root / "venvs" / hashlib.sha256(wanted).hexdigest()[:16]
        (venv / "bin").mkdir(parents=True)
        (venv / "bin" / "python").symlink_to(sys.executable)
        real = Path(sys.prefix)
        (venv / "lib").symlink_to((real / "lib").resolve())
        (venv / "pyvenv.cfg").write_text((real / "pyvenv.cfg").read_text())
        (venv / ".complete").touch()

    def _reload_script(self, tmp_path):
        script = tmp_path / "reload.py"
        current = self.root / "current"
        script.write_text(
            "import os, signal, subprocess, sys, pathlib\n"
            f"pid = pathlib.Path({str(self.pid_file)!r})\n"
            "if pid.exists():\n"
            "    os.kill(int(pid.read_text()), signal.SIGHUP)\n"
            "    sys.exit()\n"
            f"line = [{str(current / '.venv/bin/python')!r}, {str(current / 'manage.py')!r}, 'serve', 'web']\n"
            f"log = open({str(self.log)!r}, 'ab')\n"
            "made = subprocess.Popen(line, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)\n"
            "pid.write_text(str(made.pid))\n"
        )
        return script

    def manage(self, *arguments):
        return subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=stack.ROOT, env=self.environ, check=False,
            capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def deploy(self, revision, reload=None):
        done = self.manage("deploy", revision, "--source", str(self.source), "--reload", reload or self.reload)
        return done, f"{done.stdout}\n{done.stderr}\n{self.log.read_text() if self.log.exists() else ''}"

    def end(self):
        with suppress(OSError, ValueError):
            pid = int(self.pid_file.read_text())
            os.killpg(pid, signal.SIGTERM)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline and stack.command(pid):
                time.sleep(0.1)
            os.killpg(pid, signal.SIGKILL)


@pytest.fixture
def installation(tmp_path, source, servers):
    made = Installation(tmp_path, source, *servers)
    try:
        yield made
    finally:
        made.end()


def test_a_release_takes_over_and_is_left_under_load(installation, ledger):
    done, said = installation.deploy("main~2")
    assert done.returncode == 0, said
    first = installation.releases.current()
    key = installation.manage(
        "shell", "-c", "from events.api_keys import create_key; print(create_key('f19', kind='server')[1])"
    ).stdout.split()[-1]
    system = System(installation.port, key, 0, installation.folder)
    with load(system.port, key, ledger, clients=CLIENTS):
        eventually(lambda: ledger.statuses[202] > CLIENTS)
        second = deployed_while_a_report_reads(installation, system, "main~1")
        assert second.previous == first.name
        acknowledged = ledger.statuses[202]
        eventually(lambda: ledger.statuses[202] > acknowledged + CLIENTS)
        # A release that cannot start, or a reload that fails, changes nothing.
        for revision, reload, why in (("main", None, "`manage.py try_web` of"), ("main~1", "false", "`false` failed")):
            done, said = installation.deploy(revision, reload)
            assert done.returncode == 1, said
            assert why in said
            assert installation.releases.current() == second
        done = installation.manage("rollback", "--reload", installation.reload)
        assert done.returncode == 0, done.stderr
        assert installation.releases.current().name == first.name
        acknowledged = ledger.statuses[202]
        eventually(lambda: ledger.statuses[202] > acknowledged + CLIENTS)
    assert ledger.faults == []
    assert set(ledger.statuses) <= {202, 503}, ledger.statuses
    accepted = {event_id for event_id, verdict in ledger.lines().items() if verdict == ACCEPTED}
    stored = system.query("SELECT event_id::text FROM event")
    assert len(stored) == len(set(stored))
    assert accepted <= {event_id for (event_id,) in stored}


def deployed_while_a_report_reads(installation, system, revision):
    """Deploy while somebody's long transaction holds the table that the migration changes, for longer than one try."""
    with psycopg2.connect(addresses.load(installation.folder).database_url) as held, held.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM event")
        command = [sys.executable, "manage.py", "deploy", revision, "--source", str(installation.source)]
        with subprocess.Popen(
            [*command, "--reload", installation.reload], cwd=stack.ROOT, env=installation.environ, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            lines = []
            for line in process.stdout:
                lines.append(line)
                if "for a lock in vain" in line:
                    held.rollback()
    held.close()
    assert process.returncode == 0, "".join(lines)
    assert any("for a lock in vain" in line for line in lines), "no migration had to wait: the test proved nothing"
    columns = system.query("SELECT 1 FROM information_schema.columns WHERE column_name = 'rehearsal'")
    assert columns
    return installation.releases.current()
