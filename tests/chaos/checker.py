"""What must hold after every fault: nothing acknowledged is lost, nothing is stored twice, and all that is derived
from the log equals what the log says."""

import json

from tests.chaos.ledger import ACCEPTED, REFUSED, Ledger
from tests.chaos.system import System, eventually


def check(system: System, ledger: Ledger, *, least: int = 1) -> None:
    """Hold the system to the ledger; `least` events must have been acknowledged, or the test would prove nothing."""
    assert ledger.faults == []
    lines = ledger.lines()
    accepted = {event_id for event_id, verdict in lines.items() if verdict == ACCEPTED}
    refused = {event_id for event_id, verdict in lines.items() if verdict == REFUSED}
    assert len(accepted) >= least, f"only {len(accepted)} events were acknowledged"
    eventually(lambda: system.call("GET", "/readyz").status == 200)
    stored = dict(system.query("SELECT event_id::text, count(*) FROM event GROUP BY 1"))
    twice = {event_id: times for event_id, times in stored.items() if times > 1}
    assert not twice, f"{len(twice)} events are stored twice"
    lost = accepted - stored.keys()
    assert not lost, f"{len(lost)} acknowledged events are not stored"
    letters = {_id_of(bytes(payload)) for (payload,) in system.query("SELECT payload FROM dead_letter")}
    missing = refused - letters
    assert not missing, f"{len(missing)} refused events have no dead letter"
    assert not letters & stored.keys(), "an event is in the log and in the dead letters"
    assert system.query("SELECT count(*) FROM event_dedup") == [(len(stored),)], "ids and rows differ"
    verdict = json.loads(system.run("tests.chaos.recompute").splitlines()[-1])
    assert verdict["sessions"] > 0
    assert verdict["features"] > 0
    assert verdict["differ"] == [], "stored rows differ from a recomputation from the log"
    page = system.call("GET", "/api/v1/feed?user_id=u0&limit=5")
    assert page.status == 200, page
    assert page.body["items"], page


def caught_up(system: System) -> bool:
    """Whether sessions and features have taken in every event of the log."""
    rows = system.query(
        "SELECT (SELECT count(*) FROM event), (SELECT coalesce(sum(events), 0) FROM window_fill WHERE state = 'done' "
        "AND family = 'session'), (SELECT coalesce(sum(events), 0) FROM content_window), "
        "(SELECT coalesce(sum(events), 0) FROM session)"
    )
    events, windows, features, sessions = rows[0]
    return bool(events == windows == features == sessions)


def _id_of(payload: bytes) -> str:
    try:
        return str(json.loads(payload).get("event_id"))
    except (ValueError, AttributeError):
        return ""
