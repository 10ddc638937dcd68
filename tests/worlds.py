"""Synthetic worlds with known answers.

`families` is the checkerboard of short video: contents fall into families that share category, creators and a corner
of the embedding space, and the right feed for who watches one family only is that family.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from events.cleaning.schema import EVENT_TYPES
from events.columnar.history import History
from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import FeedQuery

NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
CLIP_S = 8.0


@dataclass(frozen=True)
class Families:
    """A shelf whose rows belong to families; `family[row]` is the known answer."""

    shelf: Shelf
    family: np.ndarray


def families(
    *, count: int = 4, size: int = 16, creators_each: int = 3, dim: int = 16, noise: float = 0.25, seed: int = 7
) -> Families:
    """`count` families of `size` active contents in shuffled rows, all uploaded within the last 20 days."""
    rng = np.random.default_rng(seed)
    n = count * size
    family = rng.permutation(np.repeat(np.arange(count), size))
    embedding = np.eye(dim)[family] + noise * rng.normal(size=(n, dim)) / np.sqrt(dim)
    embedding = (embedding / np.linalg.norm(embedding, axis=1, keepdims=True)).astype(np.float32)
    content_id = np.array([f"clip-{row:03d}" for row in range(n)], dtype=object)

    def nearest(vector, k, allowed):
        cosine = embedding @ vector
        rows = np.argsort(-cosine, kind="stable")
        rows = rows[allowed[rows]][:k]
        return rows, cosine[rows]

    def successors(rows):
        return np.bincount(family[rows], minlength=count)[family].astype(np.float32) / max(len(rows), 1)

    shelf = Shelf(
        version=f"families-{count}x{size}-{seed}",
        content_id=content_id,
        row_of={each: row for row, each in enumerate(content_id)},
        creator=(family * creators_each + rng.integers(creators_each, size=n)).astype(np.int32),
        category=family.astype(np.int32),
        uploaded_s=NOW.timestamp() - rng.uniform(0.0, 20 * 86_400.0, size=n),
        duration_s=np.full(n, CLIP_S, np.float32),
        active=np.ones(n, np.bool_),
        embedding=embedding,
        popularity=rng.gamma(2.0, 10.0, size=n).astype(np.float32),
        nearest=nearest,
        successors=successors,
        look=np.full(n, -1, np.int32),
        sound=np.full(n, -1, np.int32),
    )
    return Families(shelf, family)


def history(*events, end: datetime = NOW, gap_s: float = 10.0) -> History:
    """A history of (event type, content id[, watched seconds[, creator id]]), oldest first, the last one at `end`."""
    n = len(events)
    padded = [(*event, *((np.nan, "")[len(event) - 2 :])) for event in events]
    return History(
        event_type=np.array([EVENT_TYPES.index(event[0]) for event in padded], np.uint8),
        content_id=np.array([event[1] for event in padded], dtype=object),
        creator_id=np.array([event[3] for event in padded], dtype=object),
        timestamp=end.timestamp() - gap_s * np.arange(n - 1, -1, -1, dtype=np.float64),
        watch_s=np.array([event[2] for event in padded], np.float32),
        long_view=np.full(n, -1, np.int8),
    )


def watched(content_id: str) -> list[tuple]:
    """The events of a clip watched to its end."""
    return [("impression", content_id), ("view", content_id, CLIP_S), ("complete_view", content_id)]


def skipped(content_id: str) -> list[tuple]:
    """The events of a clip swiped away after half a second."""
    return [("impression", content_id), ("skip", content_id, 0.5)]


def query(
    *,
    past: History | None = None,
    seen=(),
    user_vector=None,
    size: int = 10,
    seed: int = 1,
    now: datetime = NOW,
    spare: int = 0,
    begins: bool = True,
) -> FeedQuery:
    """A request with everything that does not matter filled in."""
    return FeedQuery(
        user_id="u1",
        now=now,
        history=History.empty() if past is None else past,
        seen=np.array(sorted(seen), dtype=np.int64),
        user_vector=user_vector,
        surface="for_you",
        arm="default",
        size=size,
        seed=seed,
        spare=spare,
        begins=begins,
    )


@dataclass(frozen=True)
class Crowd:
    """Engaged people per thing and hour, (things, hours), and of the whole platform, (hours,)."""

    people: np.ndarray
    platform: np.ndarray

    def plus(self, thing: int, hours: slice, people) -> "Crowd":
        """The same with people who turn to one thing, and who were not there otherwise."""
        more, platform = self.people.copy(), self.platform.copy()
        more[thing, hours] += people
        platform[hours] += people
        return Crowd(more, platform)


def crowd(
    *, things: int = 300, hours: int = 30 * 24, people: float = 400.0, restless: float = 0.3, seed: int = 3
) -> Crowd:
    """A world without trends: things as popular as Zipf says, days that peak at 20:00, and chance.

    `restless` is the deviation of ln(popularity) of a thing from hour to hour, beside the scatter of counts; 0 leaves
    only the latter.
    """
    rng = np.random.default_rng(seed)
    hour_of_day = 0.1 + 0.9 * (1.0 + np.cos(2 * np.pi * (np.arange(hours) - 20) / 24)) / 2
    share = 1.0 / np.arange(1, things + 1)
    expected = people * hour_of_day * (share / share.sum())[:, None]
    counts = rng.poisson(expected * rng.lognormal(-(restless**2) / 2, restless, size=expected.shape))
    return Crowd(counts.astype(np.int64), counts.sum(axis=0).astype(np.int64))
