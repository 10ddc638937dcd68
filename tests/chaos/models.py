"""What a test does to the models of a running system, in a process of that system: `python -m tests.chaos.models ...`.

register N        registers N models; prints their versions
promote V         lets a model serve
race V V ...      promotes all of them at the same moment, each on a connection of its own
half              dies between the folder of a model and its row
poison            registers and promotes a model of NaN weights whose hashes hold
"""

# ruff: noqa: PLC0415  Django is set up first
import os
import signal
import sys
import threading

import django
from django.utils import timezone

KILLED = -signal.SIGKILL


def say(text: object) -> None:
    sys.stdout.write(f"{text}\n")


def main(what: str, *arguments: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsys.settings")
    django.setup()
    {"register": register, "promote": promote, "race": race, "half": half, "poison": poison}[what](*arguments)


def make(bias: float) -> str:
    from ranking import registry
    from tests.ranking.feeds import DIMS, PASSES, indifferent_graph

    return registry.register(
        indifferent_graph(bias), kind="mlp", dims=DIMS, config={}, metrics=PASSES, trained_until=timezone.now(),
        now=timezone.now(),
    )  # fmt: skip


def register(count: str) -> None:
    for number in range(int(count)):
        say(make(number / 10.0))


def promote(version: str) -> None:
    from ranking import registry

    say(registry.promote(version, now=timezone.now(), by="chaos", reason="a test").previous)


def race(*versions: str) -> None:
    from django.db import connections

    from ranking import registry

    barrier = threading.Barrier(len(versions))

    def run(version: str) -> None:
        try:
            barrier.wait()
            registry.promote(version, now=timezone.now(), by="chaos", reason="a race")
            say(f"{version} promoted")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def half() -> None:
    from ranking.models import ModelVersion

    def die(**_fields: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    ModelVersion.objects.create = die
    make(7.0)


def poison() -> None:
    import numpy as np

    from ranking import model_files, registry
    from ranking.ranker import bundle
    from tests.ranking.feeds import DIMS, PASSES
    from tests.ranking.ranker.graphs import plain_graph

    model_files._checked = bundle.load
    registry._latencies = lambda _model: {}
    version = registry.register(
        plain_graph(DIMS, np.nan), kind="mlp", dims=DIMS, config={}, metrics=PASSES, trained_until=timezone.now(),
        now=timezone.now(),
    )  # fmt: skip
    registry.promote(version, now=timezone.now(), by="chaos", reason="poison")
    say(version)


if __name__ == "__main__":
    main(*sys.argv[1:])
