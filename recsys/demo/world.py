"""The behaviour of the demo world: thirty days of people watching clips, as a log of raw events.

The model, per impression of clip `c` to user `u`:

    appeal z = 3.0 (taste[u, family(c)] - 0.35) + quality[c] + charm[creator(c)] - 0.35 times_seen + N(0, 0.5)
    exit hazard per second h = 0.12 exp(-0.8 z), doubled during the first 2 s (the swipe)
    watched = min(exponential time with hazard h, duration) + replays * duration
    P(another replay | completed) = 0.45 sigmoid(1.4 (z - 1.6))
    P(like) = 0.36 sigmoid(1.6 (z - 1)), other actions alike (`_ACTIONS`); hide and report fall with z

A session goes on after each impression with probability sigmoid(1.7 + 0.8 satisfaction), 3 to 12 impressions long,
where satisfaction is the mean appeal so far. A satisfying session shortens the gap to the next visit (factor exp(-0.55
satisfaction)) and lowers the chance to leave for good; newcomers leave more easily. Visits fall at habitual local hours
(`population.at_habitual_hour`).

What was shown follows popularity and novelty with only a faint personal tilt (the log of an app before it had this
feed), so the known answer, "each user prefers their family", is in how they watched and only slightly in what they
were shown.

Everything is vectorised over users: a round is one session of every active user, a step one impression of each. The
result is decided by the random generator alone; event ids are hashes of (namespace, user, session, position, type,
repetition), so the same world made twice has the same ids. It does not read the clock, and it knows nothing of how
events are stored.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from recsys.demo import FAMILIES
from recsys.demo.population import DAY_S, Population, at_habitual_hour

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Flags = NDArray[np.bool_]

SKIP_BELOW_S = 2.0
COMPLETE_FROM = 0.95
_LONGEST_SESSION = 12
_SHORTEST_SESSION = 3
_MAX_REPLAYS = 3
# A visit is a new session only after half an hour away; the usual definition of a session.
_AWAY_S = 1_860.0

# Order of the codes in `Trace.kind`.
EVENT_TYPES: tuple[str, ...] = (
    "impression", "view", "skip", "complete_view", "replay", "like", "comment", "share", "save", "follow", "hide",
"report", )  # fmt: skip
_CODE = {name: code for code, name in enumerate(EVENT_TYPES)}
# Highest probability, slope over appeal and appeal of half the probability, of everything a viewer may do.
_ACTIONS: dict[str, tuple[float, float, float]] = {
    "like": (0.36, 1.6, 1.0),
    "comment": (0.035, 1.5, 1.2),
    "share": (0.040, 1.5, 1.3),
    "save": (0.060, 1.6, 1.2),
    "follow": (0.050, 1.7, 1.4),
    "hide": (0.018, -1.6, -0.9),
    "report": (0.003, -1.6, -1.1),
}
# Done at most once per user and clip (follow: per user and creator).
_ONCE = ("like", "save", "hide", "report")

_COMMENTS = (
    "how is this so calming", "had to watch that twice", "more of this please", "the sound though",
    "sending this to my sister", "what palette is that", "loop is seamless", "stayed for the ending",
    "ok that got me", "new wallpaper found", "can't stop staring", "this deserves more views",
)  # fmt: skip
_PLATFORMS = ("whatsapp", "instagram", "copy_link", "messages", "telegram")
_REASONS = ("spam", "flashing lights", "misleading caption", "other")


@dataclass(frozen=True, slots=True)
class Clip:
    """What the world must know of one content."""

    content_id: str
    creator_id: str
    family: str
    duration_s: float
    uploaded_s: float


@dataclass(frozen=True, slots=True)
class Trace:
    """The log as columns in order of time, one row per event; `detail` picks among texts, `times` counts replays."""

    clips: Sequence[Clip]
    population: Population
    user: Ints
    clip: Ints
    kind: Ints
    timestamp: Floats
    session: Ints
    position: Ints
    watch_s: Floats
    times: Ints
    detail: Ints

    def __len__(self) -> int:
        return len(self.user)


def upload_ages(count: int, *, days: int, rng: np.random.Generator) -> Floats:
    """How long before the end of the world each of `count` clips went online, whole seconds, in random order.

    Half of them within the day before the world starts, one in twelve during its last two days, the others evenly
    between.
    """
    whole_s, fresh_s = days * DAY_S, min(2.0, days) * DAY_S
    early, late = (count + 1) // 2, count // 12
    ages = np.concatenate(
        [
            rng.uniform(whole_s, whole_s + DAY_S, early),
            rng.uniform(fresh_s, whole_s, count - early - late),
            rng.uniform(3600.0, fresh_s, late),
        ]
    )
    shuffled: Floats = np.ceil(rng.permutation(ages))
    return shuffled


def simulate(clips: Sequence[Clip], population: Population, *, until: datetime, rng: np.random.Generator) -> Trace:
    """Let the population watch the clips until `until`.

    Raises ``ValueError`` when there is no clip or `until` has no time zone.
    """
    if not clips:
        raise ValueError("the world has no clips to show")
    if until.tzinfo is None:
        raise ValueError(f"until must carry a time zone, got {until!r}")
    run = _Run(clips, population, until.timestamp(), rng)
    while run.round():
        pass
    columns = {name: np.concatenate([_nothing(name), *parts]) for name, parts in run.columns.items()}
    order = np.lexsort((columns["kind"], columns["user"], columns["timestamp"]))
    return Trace(clips=clips, population=population, **{name: column[order] for name, column in columns.items()})


def _nothing(column: str) -> NDArray[Any]:
    """The column of a world in which nothing happened."""
    return np.empty(0, dtype=np.float64 if column in ("timestamp", "watch_s") else np.intp)


def _sigmoid(value: Floats) -> Floats:
    probability: Floats = 1.0 / (1.0 + np.exp(-value))
    return probability


@dataclass
class _Run:
    """State of one simulation: when each user comes next, what they have seen and done, and the events so far."""

    clips: Sequence[Clip]
    people: Population
    end_s: float
    rng: np.random.Generator
    columns: dict[str, list[NDArray[Any]]] = field(init=False)

    def __post_init__(self) -> None:
        clips, people, rng = self.clips, self.people, self.rng
        self.columns = {
            name: []
            for name in ("user", "clip", "kind", "timestamp", "session", "position", "watch_s", "times", "detail")
        }
        creators = sorted({clip.creator_id for clip in clips})
        self.creator = np.array([creators.index(clip.creator_id) for clip in clips])
        family = np.array([FAMILIES.index(clip.family) for clip in clips])
        self.duration_s = np.array([clip.duration_s for clip in clips])
        self.uploaded_s = np.array([clip.uploaded_s for clip in clips])
        quality = rng.normal(0.0, 0.45, len(clips))
        self.merit = quality + rng.normal(0.0, 0.25, len(creators))[self.creator]
        # Popularity is skewed and follows merit only in part, as on any real platform.
        self.exposure = np.exp(0.8 * quality + rng.normal(0.0, 0.9, len(clips)))
        self.affinity = people.taste[:, family]
        self.seen = np.zeros((len(people), len(clips)), dtype=np.int16)
        self.done = {name: np.zeros((len(people), len(clips)), dtype=bool) for name in _ONCE}
        self.following = np.zeros((len(people), len(creators)), dtype=bool)
        self.sessions = np.zeros(len(people), dtype=np.intp)
        self.next_s = people.joined_s.copy()

    def round(self) -> bool:
        """One session of everybody who comes before the end; False when nobody does."""
        users = np.flatnonzero(self.next_s < self.end_s)
        if len(users) == 0:
            return False
        clock = self.next_s[users].copy()
        appeal_sum, count = np.zeros(len(users)), np.zeros(len(users))
        watching = np.ones(len(users), dtype=bool)
        for position in range(_LONGEST_SESSION):
            here = np.flatnonzero(watching)
            shown, chosen = self._choose(users[here], clock[here])
            watching[here[~shown]] = False
            here, chosen = here[shown], chosen[shown]
            if len(here) == 0:
                break
            appeal, spent_s = self._watch(users[here], chosen, clock[here], position)
            # An impression that runs past the end is cut with everything after it.
            clock[here] += spent_s
            appeal_sum[here] += appeal
            count[here] += 1
            stays = self.rng.random(len(here)) < _sigmoid(1.7 + 0.8 * appeal_sum[here] / count[here])
            watching[here] = (stays | (position + 1 < _SHORTEST_SESSION)) & (clock[here] < self.end_s)
        self._return(users, clock, appeal_sum / np.maximum(count, 1))
        return True

    def _choose(self, users: Ints, clock: Floats) -> tuple[Flags, Ints]:
        """A clip for each user by popularity, novelty and a faint personal tilt; whether there was any to show."""
        age_days = (clock[:, None] - self.uploaded_s[None, :]) / DAY_S
        weight = self.exposure * (1.0 + 3.0 * np.exp(-np.maximum(age_days, 0.0) / 2.0))
        weight = weight * (0.7 + 0.6 * self.affinity[users]) * 0.2 ** self.seen[users]
        weight[(age_days < 0) | self.done["hide"][users]] = 0.0
        total = np.cumsum(weight, axis=1)
        draw = self.rng.random(len(users)) * total[:, -1]
        return total[:, -1] > 0, np.minimum((total <= draw[:, None]).sum(axis=1), len(self.clips) - 1)

    def _watch(self, users: Ints, clips: Ints, clock: Floats, position: int) -> tuple[Floats, Floats]:
        """Log one impression per user with all that follows; returns the appeal and the seconds until the next one."""
        rng, duration_s = self.rng, self.duration_s[clips]
        appeal = 3.0 * (self.affinity[users, clips] - 0.35) + self.merit[clips]
        appeal += rng.normal(0.0, 0.5, len(users)) - 0.35 * self.seen[users, clips]
        # With the hazard doubled before SKIP_BELOW_S, the exponential time is spent twice as fast there.
        stamina = rng.exponential(1.0, len(users)) / (0.12 * np.exp(-0.8 * appeal))
        exit_s = np.where(stamina < 2 * SKIP_BELOW_S, stamina / 2, stamina - SKIP_BELOW_S)
        watched_s = np.minimum(exit_s, duration_s)
        complete = watched_s >= COMPLETE_FROM * duration_s
        again = (exit_s > duration_s) & (rng.random(len(users)) < 0.45 * _sigmoid(1.4 * (appeal - 1.6)))
        replays = np.where(again, np.minimum(rng.geometric(0.7, len(users)), _MAX_REPLAYS), 0)
        watched_s = np.round(watched_s + replays * duration_s, 2)
        session = self.sessions[users]

        def log(name: str, rows: Flags, at_s: Floats, times: int = 0) -> None:
            rows = rows & (clock + at_s <= self.end_s)
            size = int(rows.sum())
            carries_watch = name in ("view", "skip")
            values: dict[str, NDArray[Any]] = {
                "user": users[rows],
                "clip": clips[rows],
                "kind": np.full(size, _CODE[name]),
                "timestamp": (clock + at_s)[rows],
                "session": session[rows],
                "position": np.full(size, position),
                "watch_s": watched_s[rows] if carries_watch else np.full(size, np.nan),
                "times": np.full(size, times),
                "detail": rng.integers(0, 1 << 16, size),
            }
            for column, value in values.items():
                self.columns[column].append(value)

        everyone = np.ones(len(users), dtype=bool)
        swiped = (watched_s < SKIP_BELOW_S) & ~complete
        log("impression", everyone, np.zeros(len(users)))
        log("skip", swiped, watched_s)
        log("view", ~swiped, watched_s)
        log("complete_view", complete, duration_s)
        for times in range(1, _MAX_REPLAYS + 1):
            log("replay", replays >= times, times * duration_s, times)
        self._act(users, clips, appeal, watched_s, log)
        self.seen[users, clips] += 1
        return appeal, watched_s + 0.4 + rng.exponential(0.9, len(users))

    def _act(self, users: Ints, clips: Ints, appeal: Floats, watched_s: Floats, log: Any) -> None:
        """Likes, comments and the rest, at some moment of the watching."""
        for name, (top, slope, middle) in _ACTIONS.items():
            acts = self.rng.random(len(users)) < top * _sigmoid(slope * (appeal - middle))
            if name in _ONCE:
                acts &= ~self.done[name][users, clips]
                self.done[name][users[acts], clips[acts]] = True
            if name == "follow":
                creators = self.creator[clips]
                acts &= ~self.following[users, creators]
                self.following[users[acts], creators[acts]] = True
            log(name, acts, watched_s * self.rng.uniform(0.3, 1.0, len(users)))

    def _return(self, users: Ints, left_s: Floats, satisfaction: Floats) -> None:
        """Decide when, and whether, each user comes back."""
        rng, people = self.rng, self.people
        self.sessions[users] += 1
        newness = np.exp(-(self.sessions[users] - 1) / 2.5)
        leaves = rng.random(len(users)) < _sigmoid(-4.6 + 3.0 * newness - 1.0 * satisfaction)
        gap_s = people.usual_gap_s[users] * np.exp(-0.55 * satisfaction) * rng.gamma(1.6, 1 / 1.6, len(users))
        back_s = at_habitual_hour(
            left_s + _AWAY_S + gap_s,
            utc_offset_s=people.utc_offset_s[users],
            hour_shift=people.hour_shift[users],
            rng=rng,
        )
        # The habitual hour of that day may already be over: then the user comes when the gap ends.
        back_s = np.where(back_s < left_s + _AWAY_S, left_s + _AWAY_S + gap_s, back_s)
        self.next_s[users] = np.where(leaves, np.inf, back_s)


def raw_events(trace: Trace, *, namespace: str, chunk: int = 5_000) -> Iterator[list[dict[str, Any]]]:
    """The log as raw events, shaped like the API's, in order of time, in lists of at most `chunk`.

    `namespace` separates the ids of worlds made from different seeds.
    """
    for start in range(0, len(trace), chunk):
        stop = min(start + chunk, len(trace))
        moments = (trace.timestamp[start:stop] * 1000).astype("datetime64[ms]")
        stamps = np.datetime_as_string(moments, unit="ms")
        yield [
            _raw_event(trace, row, f"{stamp}Z", namespace)
            for row, stamp in zip(range(start, stop), stamps, strict=True)
        ]


def _raw_event(trace: Trace, row: int, timestamp: str, namespace: str) -> dict[str, Any]:
    name = EVENT_TYPES[trace.kind[row]]
    user_id = trace.population.user_ids[trace.user[row]]
    clip = trace.clips[trace.clip[row]]
    session_id = f"{user_id}-{trace.session[row]:03d}"
    position = int(trace.position[row])
    key = f"{namespace}|{session_id}|{position}|{name}|{trace.times[row]}"
    event: dict[str, Any] = {
        "event_id": str(UUID(bytes=hashlib.blake2b(key.encode(), digest_size=16).digest(), version=4)),
        "event_type": name,
        "user_id": user_id,
        "content_id": clip.content_id,
        "timestamp": timestamp,
        "session_id": session_id,
        "position": position,
        "surface": "feed",
    }
    detail = int(trace.detail[row])
    if name in ("view", "skip"):
        event["watch_duration"] = float(trace.watch_s[row])
    elif name == "comment":
        event["comment_text"] = _COMMENTS[detail % len(_COMMENTS)]
    elif name == "share":
        event["platform"] = _PLATFORMS[detail % len(_PLATFORMS)]
    elif name == "report":
        event["reason"] = _REASONS[detail % len(_REASONS)]
    elif name == "follow":
        event["creator_id"] = clip.creator_id
    return event
