"""Start a system of its own on empty data, let locust's users at it for a minute, and stop it: `make load`.

It ends with an error if any request failed. `ARGS="--users 40 --run-time 30s"` goes to locust. The figures of such a
run are those of one machine that plays both sides; docs/operations.md says how to measure a real one.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "var" / "load"
PATIENCE_S = 300.0
CONTENTS = 200


def main(arguments: list[str]) -> int:
    """Run; the exit code is locust's."""
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir(parents=True)
    port = os.environ.get("WEB_PORT") or "8089"
    environ = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "CELERY_BROKER_URL"}}
    environ |= {"RECSYS_VAR_DIR": str(HERE), "WEB_PORT": port, "DEMO_DATA": "0", "NO_COLOR": "1"}
    log = HERE / "up.log"
    with log.open("wb") as file:
        up = subprocess.Popen(
            [sys.executable, "manage.py", "up"], cwd=ROOT, env=environ, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        said = _await_ready(up, log)
        found = {name: re.search(rf"{name} +(\S+)", said) for name in ("API key", "password")}
        key, password = (match[1] if match else "" for match in found.values())
        host = f"http://127.0.0.1:{port}"
        _fill(host, key)
        given = arguments or ["--users", "20", "--spawn-rate", "5", "--run-time", "60s"]
        secrets = {"RECSYS_KEY": key, "RECSYS_STAFF": "moderator", "RECSYS_PASSWORD": password}
        command = [sys.executable, "-m", "locust", "-f", "deploy/load/locustfile.py", "--headless", "--only-summary"]
        done = subprocess.run(
            [*command, "--host", host, "--csv", str(HERE / "run"), *given], cwd=ROOT, env=environ | secrets, check=False
        )
        return done.returncode
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(timeout=60)


def _await_ready(up: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while "Stop with Ctrl-C" not in (said := log.read_text(errors="replace")):
        if up.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the system did not come up:\n{said[-2000:]}")
        time.sleep(0.2)
    return said


def _fill(host: str, key: str) -> None:
    """Something to look at, from the first page on."""
    import requests  # noqa: PLC0415  comes with locust

    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {key}"
        for number in range(CONTENTS):
            said = {"caption": f"clip {number}"}
            body: dict[str, Any] = {"creator_id": f"maker-{number % 20}", "duration_s": 20, "metadata": said}
            session.put(f"{host}/api/v1/contents/clip-{number}", json=body, timeout=30).raise_for_status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
