"""Figures of one content for its creator: how many people met it, watched it to the end, liked it.

Read from the counts of complete and running hours (`ContentWindow`), so they are as fresh as these, and cost one pass
over the hours instead of one over the log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from features.extraction.definitions import COUNTER_SET, SIGNALS, WINDOW_S

RECENT: Final = timedelta(days=7)
_SELECT: Final = """
    SELECT w.window_start >= %(since)s AS recent, cell %% %(signals)s AS signal, sum(amount)
    FROM content_window w
    CROSS JOIN LATERAL (SELECT array_position(w.contents, %(content)s) - 1 AS at) place
    CROSS JOIN LATERAL unnest(w.cells, w.counts) AS counted (cell, amount)
    WHERE w.counter_set = %(layout)s AND place.at IS NOT NULL AND cell / %(signals)s = place.at
    GROUP BY recent, signal
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened to a content. Counts are people per hour, added up over the hours: who likes twice counts once.

    `completion` is completions per view and None without views; `watch_s` are watched seconds.
    """

    impressions: int
    views: int
    completions: int
    completion: float | None
    likes: int
    shares: int
    comments: int
    saves: int
    hides: int
    reports: int
    watch_s: float


@dataclass(frozen=True, slots=True)
class ContentStats:
    """Figures since the beginning and of the last seven days; `as_of` is the end of the newest hour counted."""

    content_id: str
    total: Figures
    last_7d: Figures
    as_of: datetime | None


def content_stats(content_id: str, *, now: datetime) -> ContentStats:
    """Figures of one content; all zero for one that nobody met. Two queries."""
    with connection.cursor() as cursor:
        cursor.execute(
            _SELECT,
            {"since": now - RECENT, "signals": len(SIGNALS), "content": content_id, "layout": COUNTER_SET},
        )
        rows = cursor.fetchall()
        cursor.execute("SELECT max(window_start) FROM content_window WHERE counter_set = %s", [COUNTER_SET])
        (newest,) = cursor.fetchone()
    recent: dict[str, float] = {}
    total: dict[str, float] = {}
    for is_recent, signal, amount in rows:
        name = SIGNALS[signal]
        total[name] = total.get(name, 0.0) + amount
        if is_recent:
            recent[name] = amount
    as_of = None if newest is None else min(newest + timedelta(seconds=WINDOW_S), now)
    return ContentStats(content_id, _figures(total), _figures(recent), as_of)


def _figures(counted: Mapping[str, float]) -> Figures:
    def count(signal: str) -> int:
        return round(counted.get(signal, 0.0))

    views, completions = count("views"), count("completes")
    return Figures(
        impressions=count("exposures"),
        views=views,
        completions=completions,
        # Somebody may finish a clip in the hour after the view began.
        completion=min(completions / views, 1.0) if views else None,
        likes=count("likes"),
        shares=count("shares"),
        comments=count("comments"),
        saves=count("saves"),
        hides=count("hides"),
        reports=count("reports"),
        watch_s=round(counted.get("watch_s", 0.0), 3),
    )
