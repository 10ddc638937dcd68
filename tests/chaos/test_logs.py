"""The logs of a system in use: JSON with the ids of the requests, and nothing of what callers sent."""

import json
import uuid

import pytest

from tests.chaos.system import eventually, running
from tests.conftest import VAR_DIR

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(600)]
SAID = "what-a-user-said-and-nobody-else-should-read"
EVENTS = "/api/v1/events"


def test_logs_name_requests_and_hold_nothing_that_was_sent(monkeypatch):
    monkeypatch.setenv("LOG_FORMAT", "json")
    with running(VAR_DIR / "chaos-logs") as system:
        answer = system.call("POST", "/api/v1/auth/client-token", {"user_id": "u-1"})
        token = answer.body["token"]
        event = {"event_id": str(uuid.uuid4()), "event_type": "comment", "user_id": "u-1", "content_id": "c-1",
                 "comment_text": SAID, "timestamp": "2026-01-01T10:00:00Z"}  # fmt: skip
        wrong = "sk_" + "wrong0123456789" * 3
        answers = [
            system.call("POST", EVENTS, {"events": [event]}),
            system.call("POST", EVENTS, {"events": [event]}, key=wrong),
            system.call("POST", EVENTS, {"events": [event | {"event_type": SAID}]}, key=token),
            system.call("POST", EVENTS, SAID),
            system.call("GET", f"/api/v1/feed?user_id=u-1&token={token}&limit=1"),
            system.call("GET", f"/api/v1/feed?user_id=u-1&limit={SAID}"),
            system.call("GET", f"/metrics?token={token}", key=wrong),
        ]
        names = [one.headers["x-request-id"] for one in answers]
        assert len(set(names)) == len(names)
        assert answers[0].status == 202, answers[0]
        # While a table is away a statement fails that has in it what it was about to store.
        system.query("ALTER TABLE content RENAME TO content_away")
        body = {"creator_id": "k", "metadata": {"caption": SAID}, "duration_s": 30.0}
        failed = system.call("PUT", "/api/v1/contents/c-1", body)
        system.query("ALTER TABLE content_away RENAME TO content")
        assert failed.status == 500, failed
        assert failed.body["error"]["details"]["request_id"] == failed.headers["x-request-id"]
        eventually(lambda: failed.headers["x-request-id"] in system.log)
        web = [line.split("| ", 1)[1] for line in system.log.splitlines() if line.startswith("web  | {")]
        logs = {path.name: path.read_text(errors="replace") for path in system.var_dir.glob("*.log")}
        key = system.key
    said = [json.loads(line) for line in web]
    assert {one["request_id"] for one in said if one["logger"] == "recsys.requests"} >= {*names[:-1]}
    assert any(one.get("exception") and one["request_id"] == failed.headers["x-request-id"] for one in said)
    # What a person at the terminal is told at the start is theirs.
    logs["up.log"] = "\n".join(line for line in logs["up.log"].splitlines() if not line.startswith("up   |"))
    assert {"up.log", "postgres.log", "valkey.log"} <= set(logs)
    for name, text in logs.items():
        for secret in (key, token, wrong, SAID):
            assert secret not in text, f"{name} holds what it should not"
