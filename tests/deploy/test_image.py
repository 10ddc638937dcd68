"""The steps of the Containerfile, run one by one in a clean folder by a user who is not root.

Where no container engine is at hand this is what can be proven: the packages install by their hashes, the code runs
from a folder it cannot write to, and the health check tells a server that lives from one that does not.
"""

import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from recsys.embedded.servers import configure
from tests import stack
from tests.chaos.system import eventually
from tests.conftest import VAR_DIR
from tests.test_architecture import ROOT

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(1800)]
NOBODY = 65_534
LEFT_TO_THE_ENGINE = {"FROM", "USER", "EXPOSE", "VOLUME", "STOPSIGNAL"}


@pytest.fixture
def root():
    """Everybody may pass, as through the root of an image."""
    folder = Path(tempfile.mkdtemp(prefix="recsys-image-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def servers():
    folder = VAR_DIR / "image-servers"
    stack.forget(folder)
    environ = {}
    servers = configure(folder, environ)
    try:
        servers.start()
        yield environ
    finally:
        servers.stop()


def instructions():
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "deploy" / "Containerfile").read_text(), flags=re.MULTILINE)
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if line.strip():
            yield line.split(" ", 1)


class Image:
    """A folder that stands for the root of an image."""

    def __init__(self, root):
        self.root, self.environ, self.folder, self.words = root, {"PATH": os.defpath, "HOME": "/nonexistent"}, root, {}

    def inside(self, text):
        return re.sub(r"(?<![\w.])/(?=(opt|build|var/lib/recsys)\b)", f"{self.root}/", text)

    def build(self):
        for name, value in instructions():
            if name not in LEFT_TO_THE_ENGINE:
                getattr(self, name.lower())(value)

    def copy(self, value):
        if value.startswith("--from"):
            return  # one folder stands for both stages
        source, target = value.split()
        target = Path(self.inside(target))
        if source != ".":
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, target)
            return
        ignored = (ROOT / ".containerignore").read_text().split()
        listed = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0"):
            if (
                name
                and (ROOT / name).is_file()
                and not any(fnmatch.fnmatch(name.split("/")[0], one) for one in ignored)
            ):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, target / name)

    def run(self, value):
        if value.startswith("useradd"):
            (self.root / "var" / "lib" / "recsys").mkdir(parents=True)
            os.chown(self.root / "var" / "lib" / "recsys", NOBODY, NOBODY)
            return
        # As the user who builds; the packages come through whatever this machine asks for them.
        environ = {**os.environ, "PYTHONPATH": "", "PATH": f"{Path(sys.base_prefix) / 'bin'}:{os.environ['PATH']}"}
        subprocess.run(["sh", "-ec", self.inside(value)], check=True, env=environ, cwd=self.root)

    def env(self, value):
        for name, given in re.findall(r"(\w+)=(\S+)", value):
            self.environ[name] = self.inside(given).replace("$PATH", self.environ["PATH"])

    def workdir(self, value):
        self.folder = Path(self.inside(value))

    def healthcheck(self, value):
        self.words["health"] = json.loads(value.split("CMD", 1)[1])

    def entrypoint(self, value):
        self.words["entry"] = json.loads(value)

    def cmd(self, value):
        self.words["command"] = json.loads(value)

    def start(self, words, **environ):
        program = shutil.which(words[0], path=self.environ["PATH"])
        assert program is not None
        assert Path(program).is_relative_to(self.root), "not the Python of the image"
        return subprocess.Popen(
            [program, *words[1:]], cwd=self.folder, env=self.environ | environ, user=NOBODY, group=NOBODY,
            extra_groups=[], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def ends_with(self, words, **environ):
        process = self.start(words, **environ)
        output, _ = process.communicate(timeout=300)
        return process.returncode, output


def test_the_image_installs_starts_answers_and_ends(root, servers):
    assert os.geteuid() == 0, "only root may become another user"
    image = Image(root)
    image.build()
    given = {**servers, "WEB_HOST": "127.0.0.1", "WEB_PORT": str(stack.free_port()), "SECRET_KEY": "x" * 60}
    given.pop("RECSYS_EMBEDDED")
    entry = image.words["entry"]
    code, output = image.ends_with([*entry, "migrate", "--no-input", "-v0"], **given)
    assert code == 0, output
    assert image.ends_with(image.words["health"], **given)[0] == 1, "healthy before anything runs"
    web = image.start([*entry, *image.words["command"]], **given)
    try:
        eventually(lambda: image.ends_with(image.words["health"], **given)[0] == 0)
        assert stack.command(web.pid).startswith(str(root)), "the server runs from the image"
        assert not os.access(image.folder, os.W_OK, effective_ids=True) or image.folder.stat().st_uid != NOBODY
    finally:
        os.killpg(web.pid, signal.SIGTERM)
        output, _ = web.communicate(timeout=60)
    assert web.returncode == 0, output
    assert '"message"' in output or "Listening at" in output
    tests = image.folder / "tests"
    assert not tests.exists(), "what is ignored does not belong into the image"
