"""A small catalogue and a log of three days, and how to put them into the database."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from events.catalogue import NewContent, register_contents
from events.ingestion import ingest

NOW = datetime(2026, 11, 20, 18, 25, tzinfo=UTC)
TOPICS = {"ocean": "waves tide surf", "neon": "city glow night", "cells": "grow rule pixel"}
CLIPS = [f"{topic}-{number}" for topic in TOPICS for number in range(8)]


def register(content_ids: Iterable[str], *, caption: str | None = None) -> None:
    """Put clips into the catalogue, described by their topic."""
    rows = [
        NewContent(
            content_id=each, creator_id=f"by-{each[-1]}", upload_timestamp=NOW - timedelta(days=5), duration_s=10.0,
            language="en", metadata=described(each, caption),
        )
        for each in content_ids
    ]  # fmt: skip
    register_contents(rows)


def described(content_id: str, caption: str | None = None) -> dict[str, Any]:
    """Metadata of a clip."""
    topic = content_id.partition("-")[0]
    words = caption or f"{TOPICS.get(topic, topic)} {content_id[-1]}x"
    return {"caption": words, "tags": [topic], "category": topic}


def raw(kind: str, user: str, content: str, at: datetime, **more: Any) -> dict[str, Any]:
    """One event as a client sends it."""
    return {
        "event_id": str(uuid.uuid4()), "event_type": kind, "user_id": user, "content_id": content,
        "timestamp": at.isoformat(), **more,
    }  # fmt: skip


def send(rows: list[dict[str, Any]], *, now: datetime = NOW) -> None:
    """Put events into the log."""
    assert ingest(rows, now=now, source="test").accepted == len(rows)


def days_of_events(*, days: float = 3.0, events: int = 400, seed: int = 0) -> list[dict[str, Any]]:
    """People who meet, watch, skip and like clips at random times before NOW."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(events):
        user, clip = f"u{rng.integers(12)}", CLIPS[int(rng.integers(len(CLIPS)))]
        at = NOW - timedelta(seconds=float(rng.uniform(60.0, days * 86_400.0)))
        rows.append(raw("impression", user, clip, at))
        kind = str(rng.choice(["view", "skip", "like", "complete_view"]))
        more = {"watch_duration": float(rng.uniform(0, 12))} if kind in {"view", "skip"} else {}
        rows.append(raw(kind, user, clip, at + timedelta(seconds=8), **more))
    return rows
