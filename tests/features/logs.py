"""Small logs, catalogues, snapshots and histories for the tests of this folder, made from plain tuples and counts."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from events.cleaning.schema import EVENT_TYPES
from events.columnar.history import History
from events.columnar.interactions import ABSENT, Interactions
from features.embeddings.behaviour import SequentialItemModel
from features.embeddings.index import VectorIndex
from features.extraction.content import content_block
from features.extraction.definitions import COUNTERS
from features.extraction.population import Population
from features.extraction.snapshot import ContentSnapshot, encode, popularity

T0 = 1_789_999_200.0
"""A full hour in September 2026."""
HOUR = 3600.0
CODE = {name: code for code, name in enumerate(EVENT_TYPES)}

Row = tuple[str, str, str | None, float, dict[str, Any]]
"""Event type, user, content, time (s), and optionally `watch_s`, `long_view`, `creator`, `surface`, `position`."""


def texts(values: Sequence[str]) -> np.ndarray:
    """An object array of texts."""
    column = np.empty(len(values), object)
    column[:] = list(values)
    return column


def event(kind: str, user: str, content: str | None, at: float, **more: Any) -> Row:
    """One row of a log."""
    return kind, user, content, at, more


def log_of(rows: Sequence[Row]) -> Interactions:
    """A log ordered by time, with vocabularies in the order of appearance."""
    rows = sorted(rows, key=lambda row: row[3])

    def coded(values: list[str | None]) -> tuple[np.ndarray, np.ndarray]:
        vocabulary = list(dict.fromkeys(value for value in values if value is not None))
        at = {value: code for code, value in enumerate(vocabulary)}
        return np.array([ABSENT if v is None else at[v] for v in values], np.int32), texts(vocabulary)

    user, users = coded([row[1] for row in rows])
    content, contents = coded([row[2] for row in rows])
    creator, creators = coded([row[4].get("creator") for row in rows])
    surface, surfaces = coded([row[4].get("surface") for row in rows])
    absent = np.full(len(rows), ABSENT, np.int32)
    return Interactions(
        event_type=np.array([CODE[row[0]] for row in rows], np.uint8),
        user=user, content=content, creator=creator,
        timestamp=np.array([row[3] for row in rows], np.float64),
        watch_s=np.array([row[4].get("watch_s", np.nan) for row in rows], np.float32),
        long_view=np.array([row[4].get("long_view", -1) for row in rows], np.int8),
        session=absent, request=absent,
        users=users, contents=contents, creators=creators, sessions=texts([]), requests=texts([]),
        surface=surface, surfaces=surfaces,
        position=np.array([row[4].get("position", ABSENT) for row in rows], np.int16),
    )  # fmt: skip


def history_of(rows: Sequence[Row], *, user: str, before: float) -> History:
    """What `events.queries.recent_history` gives of a user at a moment: uploads left out, the last 1,000 events."""
    mine = [r for r in sorted(rows, key=lambda row: row[3]) if r[1] == user and r[3] < before]
    mine = [row for row in mine if row[0] != "content_upload"][-1000:]
    return History(
        event_type=np.array([CODE[row[0]] for row in mine], np.uint8),
        content_id=texts([row[2] or "" for row in mine]),
        creator_id=texts([row[4].get("creator") or "" for row in mine]),
        timestamp=np.array([row[3] for row in mine], np.float64),
        watch_s=np.array([row[4].get("watch_s", np.nan) for row in mine], np.float32),
        long_view=np.array([row[4].get("long_view", -1) for row in mine], np.int8),
        surface=texts([row[4].get("surface") or "" for row in mine]),
    )


def snapshot_of(
    n: int,
    *,
    categories: int = 3,
    creators: int = 4,
    duration_s: float = 20.0,
    embedding: np.ndarray | None = None,
    counters: np.ndarray | None = None,
    sequential: SequentialItemModel | None = None,
) -> ContentSnapshot:
    """n contents c000, c001, ...: category g(row % categories), creator k(row % creators), uploaded a day before T0."""
    creator, creator_names = encode(texts([f"k{row % creators}" for row in range(n)]))
    category, category_names = encode(texts([f"g{row % categories}" for row in range(n)]))
    language, languages = encode(texts(["en" if row % 2 else "" for row in range(n)]))
    if embedding is None:
        embedding = np.random.default_rng(5).normal(size=(n, 6)).astype(np.float32)
        embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    counters = np.zeros((n, len(COUNTERS)), np.float32) if counters is None else counters
    uploaded, durations, nobody = np.full(n, T0 - 24 * HOUR), np.full(n, duration_s, np.float32), Population.empty(1)
    features = content_block(
        counters, creator=creator, creators=len(creator_names), category=category, categories=len(category_names),
        duration_s=durations, upload_timestamp=uploaded, until=T0, receptions=nobody.at(0),
    )  # fmt: skip
    return ContentSnapshot(
        version="test", until=T0,
        content_id=texts([f"c{row:03d}" for row in range(n)]),
        creator=creator, category=category, language=language,
        creators=creator_names, categories=category_names, languages=languages,
        upload_timestamp=uploaded, duration_s=durations,
        active=np.ones(n, np.bool_), embedding=embedding, text_hash=np.zeros(n, np.uint64),
        look=np.full(n, -1, np.int32), sound=np.full(n, -1, np.int32),
        counters=counters, features=features, popularity=popularity(counters),
        watch=nobody.watch[0], surfaces=nobody.surfaces, surface=nobody.surface[0],
        index=VectorIndex.build(embedding), sequential=sequential, encoder_version="test",
    )  # fmt: skip


def random_rows(rng: np.random.Generator, *, events: int, users: int, contents: int, hours: float) -> list[Row]:
    """A log of every event type in the `hours` before T0; some contents are none of the snapshot's."""
    rows: list[Row] = []
    for kind, user, content, ago in zip(
        rng.choice(EVENT_TYPES, events),
        rng.integers(0, users, events),
        rng.integers(0, contents + 2, events),
        rng.uniform(0.0, hours * HOUR, events),
        strict=True,
    ):
        more: dict[str, Any] = {"creator": f"k{rng.integers(0, 6)}"} if rng.random() < 0.5 else {}
        if kind in {"view", "skip"}:
            more["watch_s"] = float(rng.exponential(12.0))
        if kind == "view" and rng.random() < 0.2:
            more["long_view"] = int(rng.integers(0, 2))
        if rng.random() < 0.7:
            more["surface"] = str(rng.choice(["for_you", "profile"]))
        if kind == "impression" and rng.random() < 0.7:
            more["position"] = int(rng.integers(0, 12))
        about = None if kind in {"follow", "unfollow"} and rng.random() < 0.5 else f"c{content:03d}"
        rows.append(event(str(kind), f"u{user}", about, float(np.round(T0 - ago, 3)), **more))
    return rows
