"""What the linters cannot see: new folders are pure by default, and web processes stay small."""

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.conftest import PARTS

ROOT = Path(__file__).resolve().parent.parent
APPS = ("recsys", "events", "features", "ranking", "dashboards")
SHELL = {"migrations", "management", "embedded", "database", "benchmarks", "static", "__pycache__"}
HEAVY = (
    "tensorflow", "keras", "tf2onnx", "sklearn", "gensim", "av", "librosa", "numba", "imagehash", "tokenizers",
    "fasttext",
)  # fmt: skip


def test_every_folder_of_an_app_is_listed_as_pure():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    listed = next(contract for contract in contracts if contract["name"] == "Folders are pure")["source_modules"]
    on_disk = {
        f"{app}.{folder.name}" for app in APPS for folder in (ROOT / app).iterdir()
        if folder.is_dir() and folder.name not in SHELL
    }  # fmt: skip
    assert on_disk == set(listed)


def test_the_verification_runs_every_part_of_the_tests():
    script = (ROOT / ".ci" / "run").read_text()
    assert [part for part in PARTS if f"TEST_PART={part} make test" not in script] == []


def test_web_process_imports_no_training_library_and_no_decoder():
    code = (
        "import sys, recsys.wsgi; from django.urls import get_resolver; get_resolver().url_patterns; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.strip() == "[]"
