"""What Django itself checks before a deployment: with HTTPS on and a key of one's own there is nothing to warn of."""

import os
import secrets
import subprocess
import sys

from tests.test_architecture import ROOT


def test_a_production_deployment_has_nothing_to_warn_of(tmp_path):
    env = {
        **os.environ, "HTTPS": "1", "DEBUG": "0", "SECRET_KEY": secrets.token_urlsafe(60),
        "ALLOWED_HOSTS": "feed.example.com", "RECSYS_VAR_DIR": str(tmp_path),
    }  # fmt: skip
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    checked = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout
