"""F3, F20, F21: models are promoted in parallel, rolled back, damaged, poisoned and killed in training; feeds go on."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from tests import stack
from tests.chaos import models
from tests.chaos.feeds import asking, serving
from tests.chaos.ledger import CONTENTS
from tests.chaos.system import System, environment, eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
RACERS = 10
EVERYWHERE_S = 5.0
FLIPPED = 200
TRAINING_LOCK = 0x7EC5_0012


def run(system: System, *arguments: str) -> list[str]:
    return system.run("tests.chaos.models", *arguments).split()


def states(system: System) -> dict[str, str]:
    return dict(system.query("SELECT version, state FROM model_version"))


def champion(system: System) -> str:
    (found,) = [version for version, state in states(system).items() if state == "champion"]
    return found


def alerts(system: System) -> dict[str, tuple[str, str]]:
    rows = system.query("SELECT version, message, serving FROM model_alert WHERE cleared_at IS NULL")
    return {version: (message, instead) for version, message, instead in rows}


def replace_workers(system: System) -> None:
    """Kill each web worker, one after the other: what comes has to load its model from the disk."""
    for _ in system.web_workers():
        before, started = system.web_workers(), system.log.count("Started worker-")
        os.kill(before[0], signal.SIGKILL)
        eventually(lambda n=started: system.log.count("Started worker-") > n)


@pytest.fixture(scope="module")
def racers(system):
    """A system that ranks its feeds with a model, and further models."""
    versions = run(system, "register", str(RACERS + 1))
    run(system, "promote", versions[0])
    # Features come with the next tick of the clock; until then no feed is ranked.
    eventually(lambda: serving(system, pages=4) == {versions[0]}, limit_s=180)
    return versions[1:]


def test_parallel_promotions_and_a_roll_back_reach_every_worker_and_fail_no_feed(system, racers):
    first = champion(system)
    with asking(system) as answers:
        said = run(system, "race", *racers)
        assert said.count("promoted") == RACERS
        time.sleep(EVERYWHERE_S)
        winner = champion(system)
        assert winner in racers
        assert serving(system) == {winner}, f"after {EVERYWHERE_S:.0f} s every worker serves it"
        system.run("manage", "roll_back", "--reason", "a test", "--by", "chaos")
        time.sleep(EVERYWHERE_S)
        back = champion(system)
        said = system.query("SELECT before FROM model_move WHERE version = %s AND reason = 'a race'", winner)
        assert [(back,)] == said, "the one before in the line"
        assert serving(system) == {back}
    assert answers.faults == []
    assert set(answers.statuses) == {200}
    assert set(answers.levels) == {"ranked"}, answers.levels
    assert set(answers.versions) <= {first, *racers}, "only what was a champion ever answers"
    moves = system.query("SELECT version, before FROM model_move WHERE made_by = 'chaos' AND reason = 'a race'")
    assert len(moves) == RACERS, "each of them was champion once, one after the other"
    assert sorted(before for _, before in moves) == sorted({first, *racers} - {winner}), "a line without a fork"


def test_a_process_that_dies_between_folder_and_row_leaves_no_half_model(system, racers):
    before = states(system)
    died = subprocess.run(
        [sys.executable, "-m", "tests.chaos.models", "half"], cwd=stack.ROOT, timeout=120, check=False,
        env=environment(system.var_dir, system.port),
    )  # fmt: skip
    assert died.returncode == models.KILLED
    folders = {each.name for each in (system.var_dir / "models").iterdir()}
    assert folders - set(before), "the folder was there, so the test proves something"
    assert states(system) == before
    assert serving(system) == {champion(system)}


@pytest.mark.parametrize("damage", ["a byte flipped", "deleted", "weights that are no numbers"])
def test_a_damaged_champion_leaves_the_one_before_serving_and_raises_an_alert(system, racers, damage):
    earlier = run(system, "register", "1")[0]
    run(system, "promote", earlier)
    with asking(system) as answers:
        if damage == "weights that are no numbers":
            (broken,) = run(system, "poison")
        else:
            broken = racers[0] if racers[0] != earlier else racers[1]
            run(system, "promote", broken)
            graph = system.var_dir / "models" / broken / "ranker.onnx"
            kept = graph.read_bytes()
            if damage == "deleted":
                graph.unlink()
            else:
                graph.write_bytes(kept[:FLIPPED] + bytes([kept[FLIPPED] ^ 1]) + kept[FLIPPED + 1 :])
        replace_workers(system)
        eventually(lambda: serving(system) == {earlier}, or_say=lambda: serving(system))
        eventually(lambda: broken in alerts(system), or_say=lambda: alerts(system))
    assert champion(system) == broken, "nobody was promoted: what serves is the one before"
    assert answers.faults == []
    assert set(answers.statuses) == {200}
    assert set(answers.levels) == {"ranked"}, answers.levels
    system.run("manage", "roll_back", "--reason", "it is damaged", "--by", "chaos")
    assert champion(system) == earlier
    if damage != "weights that are no numbers":
        graph.write_bytes(kept)
    eventually(lambda: broken not in alerts(system), limit_s=180)


@pytest.mark.slow
def test_without_any_sound_model_feeds_go_on_without_one(system, racers):
    folder, away = system.var_dir / "models", system.var_dir / "away"
    serves = champion(system)
    folder.rename(away)
    try:
        with asking(system) as answers:
            replace_workers(system)
            eventually(lambda: serving(system) == {"light"}, or_say=lambda: serving(system))
        assert answers.faults == []
        assert set(answers.statuses) == {200}
    finally:
        away.rename(folder)
    eventually(lambda: serving(system) == {serves}, or_say=lambda: serving(system))


@pytest.mark.slow
def test_a_worker_that_dies_in_training_is_followed_by_one_that_ends_it(system, racers):
    send_outcomes(system)
    before = states(system)
    with asking(system, clients=1) as answers:
        system.run("tests.chaos.enqueue", "ranking.tasks.train_ranker")
        eventually(lambda: trains(system), limit_s=300)
        for pid in pool_processes(system):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: not trains(system))
        assert set(states(system)) == set(before), "it died before it was done, or the test proves nothing"
        eventually(lambda: set(states(system)) - set(before), limit_s=600)
    (made,) = set(states(system)) - set(before)
    folders = {each.name for each in (system.var_dir / "models").iterdir() if not each.name.startswith(".")}
    assert set(states(system)) <= folders, "no row without a folder"
    assert f"{made} is whole" in system.run("tests.chaos.enqueue", "whole", made)
    assert answers.faults == []
    assert set(answers.statuses) == {200}


def send_outcomes(system: System, count: int = 1_200) -> None:
    """Enough impressions and views of hours that are over to learn from."""
    rng, events = Random(5), []
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for number in range(count):
        at = hour - timedelta(seconds=rng.randrange(900, 20 * 3600))
        seen = {"user_id": f"learner-{rng.randrange(60)}", "content_id": f"c{rng.randrange(CONTENTS)}"}
        events += [
            {"event_id": f"00000000-0000-4000-9000-{number:06x}{step:06x}", "event_type": kind, **seen, **more,
             "timestamp": (at + timedelta(seconds=step)).isoformat()}
            for step, (kind, more) in enumerate(
                (("impression", {}), ("view", {"watch_duration": rng.choice([1.0, 29.0])}))
            )
        ]  # fmt: skip
    for first in range(0, len(events), 400):
        answer = system.call("POST", "/api/v1/events", {"events": events[first : first + 400]})
        assert answer.status == 202, answer


def trains(system: System) -> bool:
    """Whether any process holds the lock of a training."""
    held = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid::bigint = %s"
    return bool(system.query(held, TRAINING_LOCK))


def pool_processes(system: System) -> list[int]:
    """The processes that work on tasks: children of the Celery worker, which is a child of the system."""
    parents = stack.processes()
    workers = {pid for pid, parent in parents.items() if parent == system.pid and "celery" in stack.command(pid)}
    return [pid for pid, parent in parents.items() if parent in workers]
