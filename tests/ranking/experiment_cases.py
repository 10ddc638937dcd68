"""Experiments for tests: set up in a line, started, and users of a known arm."""

from typing import Any

from ranking import assignment
from ranking import experiment_lifecycle as lifecycle
from ranking.experiments.allocation import held_out
from ranking.experiments.draft import Draft, parse
from tests.ranking.feeds import NOW

METRICS = ("watch_min_per_user", "retention_d1", "negative_rate", "views", "ctr")
NO_TRENDING = {"for_you": {"trending": 0, "popular": 0}}


def draft(key: str = "hooks", treatment: dict[str, Any] | None = None, **more: Any) -> Draft:
    """Two arms, all users, one goal."""
    arms = [{"key": "control"}, {"key": "treatment", "overrides": NO_TRENDING if treatment is None else treatment}]
    return parse({"key": key, "title": key.title(), "arms": arms, "goals": ["views"], **more}, metrics=METRICS)


def run(told: Draft) -> Draft:
    """Create and start it."""
    lifecycle.create(told, by="ada", now=NOW)
    lifecycle.start(told.key, by="ada", reason="to learn", plan={"days": 3}, now=NOW)
    assignment.forget()
    return told


def user_in(told: Draft, arm: str | None, number: int = 0, phase: int = 1) -> str:
    """A user of an arm, whom no holdout keeps out."""
    found = (
        user
        for user in (f"user-{n}" for n in range(100_000))
        if told.allocation(phase).arm_of(user) == arm and not held_out(user, 0.02)
    )
    return [next(found) for _ in range(number + 1)][-1]
