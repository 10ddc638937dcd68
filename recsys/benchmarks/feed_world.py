"""A made-up app of any size, straight into the tables by COPY: topics, creators, people with tastes, what they watched.

- A content has the topic of its creator, or in one case of seven another one, and a popularity of its own (lognormal:
  a few have most of the audience). Captions and tags are words of the topic.
- A person loves one to three topics, unequally, and is more or less active (lognormal).
- Somebody meets contents of a loved topic in two cases of three, else whatever is popular, never before its upload, and
  watches the longer the more they love it. Praise and refusal follow from what was watched.

So every stage of the feed has something to find: text and behaviour agree on topics, and popularity is uneven.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from events import partitions
from recsys.benchmarks import event_rows

TOPICS: Final = (
    "cooking", "travel", "dance", "pets", "science", "comedy", "football", "gardens", "makeup", "cars", "music",
    "history", "fitness", "gaming", "drawing", "fishing", "fashion", "space", "coding", "surfing", "chess", "baking",
    "trains", "magic",
)  # fmt: skip
WORDS_PER_TOPIC: Final = 40
LANGUAGES: Final = ("en", "es", "de", "pt")
PER_CREATOR: Final = 20
UPLOADED_DAYS: Final = 60.0
WATCHED_DAYS: Final = 14.0
DAY_S: Final = 86_400.0
CHUNK: Final = 100_000
AFTER_COPY: Final = "VACUUM ANALYZE content, user_profile, event"
EVENTS_PER_MEETING: Final = 2.4
"""A little less than an impression, a view and what follows come to, so that enough are made."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is; `events` of all kinds."""

    contents: int
    users: int
    events: int


@dataclass(frozen=True, slots=True)
class World:
    """What was drawn; c contents, u users, t topics.

    Attributes
    ----------
    topic, creator : int arrays (c,)
    uploaded_s : float array (c,), seconds since 1970 UTC
    appeal : float array (c,), chance to be met, relative
    duration_s : float array (c,)
    taste : float array (u, t), rows sum to 1
    activity : float array (u,), adds up to 1
    """

    topic: NDArray[np.int64]
    creator: NDArray[np.int64]
    uploaded_s: NDArray[np.float64]
    appeal: NDArray[np.float64]
    duration_s: NDArray[np.float64]
    taste: NDArray[np.float64]
    activity: NDArray[np.float64]


def fill(size: Size, *, now: datetime, seed: int = 7) -> World:
    """Draw a world that ends a minute before `now`, and write its catalogue, profiles and log."""
    rng = np.random.default_rng(seed)
    end_s = now.timestamp() - 60.0
    world = draw(size, end_s=end_s, rng=rng)
    _copy_contents(world, rng, now)
    _copy_profiles(size.users, rng, now)
    first = datetime.fromtimestamp(end_s - WATCHED_DAYS * DAY_S, now.tzinfo)
    partitions.ensure({partitions.month_of(first), partitions.month_of(now)})
    event_rows.copy(_log(world, size.events, end_s, rng))
    with connection.cursor() as cursor:
        cursor.execute(AFTER_COPY)
    return world


def draw(size: Size, *, end_s: float, rng: np.random.Generator) -> World:
    """Tastes, topics and popularity, all up to `end_s`, seconds since 1970 UTC."""
    topics = len(TOPICS)
    creators = max(size.contents // PER_CREATOR, topics)
    creator = rng.integers(creators, size=size.contents)
    strays = rng.random(size.contents) < 1.0 / 7.0
    topic = np.where(strays, rng.integers(topics, size=size.contents), creator % topics)
    taste = np.zeros((size.users, topics))
    loved = rng.random((size.users, topics)).argsort(axis=1)[:, :3]
    shares = np.sort(rng.dirichlet((1.0, 1.0, 1.0), size.users), axis=1)[:, ::-1]
    np.put_along_axis(taste, loved, shares, axis=1)
    activity = rng.lognormal(sigma=0.8, size=size.users)
    return World(
        topic=topic,
        creator=creator,
        uploaded_s=end_s - rng.random(size.contents) * UPLOADED_DAYS * DAY_S,
        appeal=rng.lognormal(sigma=1.3, size=size.contents),
        duration_s=np.round(rng.uniform(6.0, 60.0, size.contents), 1),
        taste=taste,
        activity=activity / activity.sum(),
    )


def word(topic: int, number: int) -> str:
    """A word that only contents of a topic use."""
    return f"{TOPICS[topic]}{number}"


def _copy_contents(world: World, rng: np.random.Generator, now: datetime) -> None:
    words = rng.integers(WORDS_PER_TOPIC, size=(len(world.topic), 3))
    columns = zip(
        world.topic.tolist(), world.creator.tolist(), world.uploaded_s.tolist(), world.duration_s.tolist(),
        words.tolist(), rng.integers(len(LANGUAGES), size=len(world.topic)).tolist(), strict=True,
    )  # fmt: skip
    lines = []
    for number, (topic, creator, uploaded_s, duration_s, (one, two, tag), language) in enumerate(columns):
        name = TOPICS[topic]
        lines.append(
            f"{event_rows.content_id(number)}\tcreator-{creator}\t{_moment(uploaded_s)}\t"
            f'{{"caption": "{name} {word(topic, one)} {word(topic, two)}", "tags": ["{name}", "{word(topic, tag)}"], '
            f'"category": "{name}"}}\tactive\t{duration_s}\t{LANGUAGES[language]}\t/media/{number}.mp4\t'
            f"/media/{number}.webp\teveryone\t{{}}\t{{}}\t{now.isoformat()}\n"
        )
    _copy(
        "content (content_id, creator_id, upload_timestamp, metadata, status, duration_s, language, media_url, "
        "thumbnail_url, age_rating, geo_allow, geo_deny, updated_at)",
        lines,
    )


def _copy_profiles(users: int, rng: np.random.Generator, now: datetime) -> None:
    born = rng.integers(1960, 2006, size=users).tolist()
    lines = [
        f'{event_rows.user_id(number)}\t{{"birth_year": {year}, "country": "DE"}}\t{{}}\t{now.isoformat()}\t'
        f"{now.isoformat()}\n"
        for number, year in enumerate(born)
    ]
    _copy("user_profile (user_id, demographics, preferences, created_at, updated_at)", lines)


def _copy(target: str, lines: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {target} FROM STDIN", io.StringIO("".join(lines)))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat()


class _Finder:
    """Draws contents of a topic, or of any, by appeal."""

    def __init__(self, world: World) -> None:
        self._by_topic = np.argsort(world.topic, kind="stable")
        self._mass = np.cumsum(world.appeal[self._by_topic])
        bounds = np.searchsorted(world.topic[self._by_topic], np.arange(len(TOPICS) + 1))
        self._edge = np.append(0.0, self._mass)[bounds]

    def of(self, topic: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """One content per entry; -1 asks for any topic."""
        low = np.where(topic >= 0, self._edge[topic], 0.0)
        high = np.where(topic >= 0, self._edge[topic + 1], self._mass[-1])
        place = np.searchsorted(self._mass, low + (high - low) * rng.random(len(topic)), side="right")
        return self._by_topic[np.minimum(place, len(self._mass) - 1)]


def _log(world: World, events: int, end_s: float, rng: np.random.Generator) -> Iterator[bytes]:
    """Exactly `events` events in parts."""
    finder, people = _Finder(world), np.cumsum(world.activity)
    left = events
    while left:
        n = min(CHUNK, max(int(left / EVENTS_PER_MEETING), 1))
        user = np.minimum(np.searchsorted(people, rng.random(n)), len(people) - 1)
        wanted = (np.cumsum(world.taste[user], axis=1) < rng.random((n, 1))).sum(axis=1)
        content = finder.of(np.where(rng.random(n) < 2.0 / 3.0, np.minimum(wanted, len(TOPICS) - 1), -1), rng)
        first_s = np.maximum(world.uploaded_s[content], end_s - WATCHED_DAYS * DAY_S)
        when = first_s + (end_s - first_s) * rng.random(n)
        order = np.argsort(when)
        for part, count in _meetings(world, user[order], content[order], when[order], left, rng):
            left -= count
            yield part


def _meetings(
    world: World,
    user: NDArray[np.int64],
    content: NDArray[np.int64],
    when: NDArray[np.float64],
    most: int,
    rng: np.random.Generator,
) -> Iterator[tuple[bytes, int]]:
    """What comes of people meeting contents, at most so many events; each kind of event is a part."""
    love = np.sqrt(world.taste[user, world.topic[content]])
    share = np.clip(rng.beta(1.2, 2.5, len(user)) + 0.9 * love * rng.random(len(user)), 0.02, 1.0)
    watch_s = np.maximum(share * world.duration_s[content], 0.2)
    left_at = when + watch_s
    chance = rng.random(len(user))
    liked, skipped = share > 0.75, watch_s < 2.0
    kinds = (
        ("impression", np.ones(len(user), np.bool_), when),
        ("view", ~skipped, left_at),
        ("skip", skipped, left_at),
        ("like", liked & (chance < 0.25), left_at),
        ("save", liked & (chance > 0.95), left_at),
        ("share", liked & (chance > 0.90) & (chance <= 0.93), left_at),
        ("hide", (share < 0.1) & (chance < 0.02), left_at),
        ("complete_view", share >= 1.0, left_at),
    )
    for kind, chosen, moment in kinds:
        at = np.flatnonzero(chosen)[:most]
        most -= len(at)
        if len(at):
            seconds = watch_s[at] if kind in {"view", "skip"} else None
            yield event_rows.rows(kind, moment[at], user[at], content[at], rng, watch_s=seconds), len(at)
