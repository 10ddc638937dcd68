"""The one ordered list of features: what each column of the ranker's input means.

A feature is one entry here, one line in the module that computes its block (`user`, `content`, `context`) and a value
in the world of the leak test, which fails for an entry it never sees at work. `FEATURE_SET` names the list: it changes
when a name, a parameter or `CODE_VERSION` does, and a model trained with another set is refused at load. Raise
`CODE_VERSION` when the meaning of a feature changes but its entry does not.

Who a feature belongs to (`entity`) is finer than the block it is computed in:

    block     entities
    user      user
    content   content, creator, category           one row per content, ready-made in the snapshot
    context   user x content, user x category, user x creator, context (the moment and the surface)

Counters are kept per content only. They are linear, so those of a creator and of a category are the sums over their
contents: always by the catalogue as it is now, and nothing more to store. A follow that names no content is the user's
(`creator_followed`), not the creator's.

Nothing is computed here.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

CODE_VERSION: Final = 2

HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0
WINDOW_S: Final = HOUR_S
"""Counters are folded per hour: fine enough for a trend, coarse enough that a month is 720 steps."""
HALF_LIVES_S: Final = MappingProxyType({"1h": HOUR_S, "1d": DAY_S, "7d": 7 * DAY_S})
RATED: Final = MappingProxyType(
    {
        "views": "view_rate",
        "long_views": "long_rate",
        "completes": "complete_rate",
        "skips": "skip_rate",
        "likes": "like_rate",
        "shares": "share_rate",
        "comments": "comment_rate",
        "saves": "save_rate",
        "follows": "follow_rate",
        "hides": "hide_rate",
        "reports": "report_rate",
        "replays": "replay_rate",
    }
)
"""Signals that are read as a share of the exposures, and what their rates are called."""
SIGNALS: Final = ("exposures", *RATED, "watch_s", "positions", "placed")
"""What is counted per content: people per window (see `aggregates`), except for the last three: watched seconds, the
sum of the positions of impressions that state one, and how many those are."""
COUNTERS: Final = tuple((signal, label) for label in HALF_LIVES_S for signal in SIGNALS)
"""Columns of a counter state, half-life after half-life."""
COUNTER_COLUMN: Final = MappingProxyType({counter: column for column, counter in enumerate(COUNTERS)})

DURATION_EDGES_S: Final = (7.0, 12.0, 18.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0)
"""Upper ends of the duration buckets within which watch times are compared (D2Q); a last bucket is open, and contents
of unknown length have one of their own."""
WATCH_EDGES_S: Final = tuple(round(0.5 * 2 ** (step / 2), 3) for step in range(21))
"""Edges of the bins of watch times: half a second to 512 s, two bins per doubling."""
WATCH_BUCKETS: Final = len(DURATION_EDGES_S) + 2
WATCH_BINS: Final = len(WATCH_EDGES_S) + 1
POPULATION_HALF_LIFE_S: Final = 7 * DAY_S

HISTORY_LIMIT: Final = 1000
"""Events of a user that features look back on, in training as in serving."""
SESSION_GAP_S: Final = 1800.0
AGE_LIMIT_S: Final = 30 * DAY_S
"""Ages and gaps beyond are all the same: old."""
LAG_DECAY: Final = 0.9
"""Weight of a judged content against the one after it, in taste and affinities."""
AFFINITY_HALF_LIFE_S: Final = DAY_S
FRESH_HALF_LIFE_S: Final = 2 * DAY_S
DEFAULT_DURATION_S: Final = 15.0

Block = Literal["user", "content", "context"]
Entity = Literal[
    "user", "content", "creator", "category", "user x content", "user x category", "user x creator", "context"
]
Fitted = Literal["watch times", "surfaces", "sequential model", "content encoder"]
_BLOCK_OF: Final[Mapping[str, Block]] = {
    "user": "user",
    "content": "content",
    "creator": "content",
    "category": "content",
}


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the ranker's input.

    Attributes
    ----------
    name : unique over all blocks
    entity : who it belongs to
    unit : what one unit of the value is
    default : the value where nothing is known yet
    half_life_s : how fast its evidence fades, in seconds; None where it does not fade with time
    fitted : what learned state it reads, which the snapshot (and so the training set) carries with it; None for none.
        The scale of a column is no part of it: the ranker's own layer keeps that with the model.
    what : one sentence
    dtype : type of the stored value
    """

    name: str
    entity: Entity
    unit: str
    default: float
    half_life_s: float | None
    fitted: Fitted | None
    what: str
    dtype: str = "float32"

    @property
    def block(self) -> Block:
        """The input of the network it stands in."""
        return _BLOCK_OF.get(self.entity, "context")


PRIOR_RATE: Final = MappingProxyType(
    {
        "views": 0.7, "long_views": 0.3, "completes": 0.2, "skips": 0.3, "likes": 0.03, "shares": 0.01,
        "comments": 0.01, "saves": 0.01, "follows": 0.005, "hides": 0.001, "reports": 0.0005, "replays": 0.02,
    }
)  # fmt: skip
"""Rates assumed while nothing was observed at all."""
GAP_LIMIT: Final = float(np.log1p(AGE_LIMIT_S))


def _of(
    entity: Entity, name: str, unit: str, default: float, what: str, half_life_s: float | None = None,
    fitted: Fitted | None = None,
) -> Feature:  # fmt: skip
    return Feature(name, entity, unit, default, half_life_s, fitted, what)


def _rates(entity: Entity, prefix: str, labels: Mapping[str, tuple[str, ...]]) -> Iterator[Feature]:
    """Rates of an entity: half-life label to the signals that are read over it."""
    for label, signals in labels.items():
        for signal in signals:
            yield _of(
                entity, f"{prefix}_{RATED[signal]}_{label}", "share", PRIOR_RATE[signal],
                f"Of those who met it: {signal.replace('_', ' ')}.", HALF_LIVES_S[label],
            )  # fmt: skip


def _exposures(entity: Entity, prefix: str, labels: tuple[str, ...], unit: str) -> Iterator[Feature]:
    for label in labels:
        yield _of(entity, f"{prefix}_exposures_{label}", unit, 0.0, "How much it was met.", HALF_LIVES_S[label])


ALL_RATES: Final = tuple(RATED)
MAIN_RATES: Final = ("long_views", "completes", "skips", "likes")
"""Frequent enough to say something within a day or an hour."""
CONTENT_RATES: Final = MappingProxyType({"1h": ALL_RATES, "1d": ALL_RATES, "7d": ALL_RATES})
GROUP_RATES: Final = MappingProxyType({"1d": MAIN_RATES, "7d": ALL_RATES})
"""Rates of creators and categories."""
USER_RATES: Final = MappingProxyType({"1h": MAIN_RATES, "1d": MAIN_RATES, "7d": ALL_RATES})
CROSS_RATES: Final = MappingProxyType({"1h": ("long_views", "skips"), "1d": MAIN_RATES, "7d": ALL_RATES})
"""Rates of a user with a category and with a creator."""
_WEEK: Final = HALF_LIVES_S["7d"]

FEATURES: Final = (
    _of("user", "user_events", "log(1+events)", 0.0, "Events in the history."),
    _of("user", "user_judged", "log(1+contents)", 0.0, "Contents that the user did more with than pass."),
    _of("user", "user_long_rate", "share", PRIOR_RATE["long_views"], "Long views per judged content, by lag."),
    _of("user", "user_complete_rate", "share", PRIOR_RATE["completes"], "Clips watched to their end, by lag."),
    _of("user", "user_skip_rate", "share", PRIOR_RATE["skips"], "Skips per judged content, by lag."),
    _of("user", "user_like_rate", "share", PRIOR_RATE["likes"], "Likes per judged content, by lag."),
    _of("user", "user_watch_ratio", "watch_s / duration_s", 0.5, "Mean watched share of a clip, at most 2."),
    _of("user", "user_watch_quantile", "quantile", 0.5, "How long the user watches, among all views of clips of such "
        "a length.", _WEEK, "watch times"),
    _of("user", "user_recent_long_rate", "share", PRIOR_RATE["long_views"], "Long views among the last five judged."),
    _of("user", "user_gap", "log(1+s)", GAP_LIMIT, "Time since the last event, at most 30 days."),
    _of("user", "user_session_depth", "log(1+contents)", 0.0, "Contents met in the running session."),
    _of("user", "user_session_length", "log(1+s)", 0.0, "How long the running session has lasted."),
    _of("user", "user_sessions", "log(1+sessions)", 0.0, "Sessions in the history."),
    _of("user", "user_mean_session_length", "log(1+s)", 0.0, "Mean duration of a session, first to last event."),
    _of("user", "user_mean_session_events", "log(1+events)", 0.0, "Mean depth of a session."),
    _of("user", "user_mean_pause", "log(1+s)", GAP_LIMIT, "Mean time between two sessions, at most 30 days."),
    _of("user", "user_active_days", "share", 0.0, "Days with an event among the last seven days."),
    _of("user", "user_followed", "log(1+creators)", 0.0, "Creators followed in the history."),
    _of("user", "user_has_taste", "0 or 1", 0.0, "Whether a taste vector exists."),
    _of("user", "user_stated", "log(1+wishes)", 0.0, "Categories, creators and languages stated in the profile."),
    *_exposures("user", "user", ("1h", "1d", "7d"), "log(1+contents)"),
    *(
        _of("user", f"user_engagement_{label}", "worth", 0.0, "Mean worth of what was met.", half_life)
        for label, half_life in HALF_LIVES_S.items()
    ),
    *_rates("user", "user", USER_RATES),
    *_exposures("content", "content", ("1h", "1d", "7d"), "log(1+people)"),
    *_rates("content", "content", CONTENT_RATES),
    _of("content", "content_watch_1d", "log(1+s)", 0.0, "Watched seconds per person.", HALF_LIVES_S["1d"]),
    _of("content", "content_watch_7d", "log(1+s)", 0.0, "Watched seconds per person.", _WEEK),
    _of("content", "content_watch_quantile", "quantile", 0.5, "How long its viewers watch, among all views of clips "
        "of such a length.", _WEEK, "watch times"),
    _of("content", "content_position", "log(1+positions)", 0.0, "Mean position at which it was shown.", _WEEK),
    _of("content", "content_trend", "log ratio", 0.0, "People of the last day against the daily mean of the week.",
        HALF_LIVES_S["1d"]),
    _of("content", "content_popularity", "log(1+ratio)", 0.0, "Long views against the mean content there was.", _WEEK),
    _of("content", "content_duration", "log(1+s)", float(np.log1p(DEFAULT_DURATION_S)), "Length of the clip."),
    _of("creator", "creator_contents", "log(1+contents)", 0.0, "Contents of the creator uploaded by then."),
    *_exposures("creator", "creator", ("1d", "7d"), "log(1+people)"),
    *_rates("creator", "creator", GROUP_RATES),
    *_exposures("category", "category", ("1d", "7d"), "log(1+people)"),
    *_rates("category", "category", GROUP_RATES),
    _of("user x content", "taste_cosine", "cosine", 0.0, "Taste vector against the content's embedding.",
        fitted="content encoder"),
    _of("user x content", "sequential_score", "score", 0.0, "How often such a history was followed by this content.",
        fitted="sequential model"),
    _of("user x content", "times_seen", "log(1+meetings)", 0.0, "How often the user met this very content."),
    _of("user x content", "language_affinity", "worth", 0.0, "Mean worth of the language, by lag."),
    _of("user x content", "language_stated", "0 or 1", 0.0, "Whether the profile names the language."),
    _of("user x category", "category_affinity", "worth", 0.0, "Mean worth of the category, by lag."),
    _of("user x category", "category_affinity_1d", "worth", 0.0, "The same, fading with time.", AFFINITY_HALF_LIFE_S),
    _of("user x category", "category_share", "share", 0.0, "Share of the user's engagement that went to it.", _WEEK),
    _of("user x category", "category_preference", "-1..1", 0.0, "What explicit feedback in the history adds up to."),
    _of("user x category", "category_stated", "-1, 0 or 1", 0.0, "Liked or muted in the profile."),
    *_exposures("user x category", "user_category", ("7d",), "log(1+contents)"),
    *_rates("user x category", "user_category", CROSS_RATES),
    _of("user x creator", "creator_affinity", "worth", 0.0, "Mean worth of the creator, by lag."),
    _of("user x creator", "creator_followed", "0 or 1", 0.0, "Whether the user follows the creator."),
    _of("user x creator", "creator_refused", "0 or 1", 0.0, "Whether the user hid or reported one of its contents."),
    _of("user x creator", "creator_preference", "-1..1", 0.0, "What explicit feedback in the history adds up to."),
    _of("user x creator", "creator_stated", "-1, 0 or 1", 0.0, "Liked or muted in the profile."),
    *_exposures("user x creator", "user_creator", ("7d",), "log(1+contents)"),
    *_rates("user x creator", "user_creator", CROSS_RATES),
    _of("context", "content_age", "log(1+h)", 0.0, "Time since upload, at most 30 days."),
    _of("context", "content_freshness", "0..1", 1.0, "Decays from 1 at upload.", FRESH_HALF_LIFE_S),
    _of("context", "surface_long_rate", "share", PRIOR_RATE["long_views"], "Long views on this surface, by anybody.",
        POPULATION_HALF_LIFE_S, "surfaces"),
    _of("context", "user_surface_long_rate", "share", PRIOR_RATE["long_views"], "Long views of the user there.", _WEEK),
    _of("context", "user_surface_share", "share", 0.0, "Share of what the user met that was met there.", _WEEK),
    _of("context", "hour_sin", "sine", 0.0, "Hour of the day, by the user's clock, on a circle."),
    _of("context", "hour_cos", "cosine", 1.0, "Hour of the day, by the user's clock, on a circle."),
    _of("context", "weekday_sin", "sine", 0.0, "Day of the week, by the user's clock, on a circle."),
    _of("context", "weekday_cos", "cosine", 1.0, "Day of the week, by the user's clock, on a circle."),
)  # fmt: skip


def names(block: Block) -> tuple[str, ...]:
    """Feature names of one block, in the order of its columns."""
    return tuple(feature.name for feature in FEATURES if feature.block == block)


NAMES: Final = MappingProxyType({"user": names("user"), "content": names("content"), "context": names("context")})
_NAME_SETS: Final = {block: frozenset(listed) for block, listed in NAMES.items()}
USER_DIM: Final = len(NAMES["user"])
CONTENT_DIM: Final = len(NAMES["content"])
CONTEXT_DIM: Final = len(NAMES["context"])
USER: Final = slice(0, USER_DIM)
CONTENT: Final = slice(USER_DIM, USER_DIM + CONTENT_DIM)
CONTEXT: Final = slice(USER_DIM + CONTENT_DIM, USER_DIM + CONTENT_DIM + CONTEXT_DIM)
"""Where each block lies when the three are joined; `FEATURES` is in this order."""


def _digest(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


COUNTER_SET: Final = _digest(
    [COUNTERS, dict(HALF_LIVES_S), WINDOW_S, DURATION_EDGES_S, WATCH_EDGES_S, POPULATION_HALF_LIFE_S, CODE_VERSION]
)
"""Names the layout and meaning of stored counts and states; another one makes all windows be counted anew."""
FEATURE_SET: Final = _digest(
    [
        [asdict(feature) for feature in FEATURES],
        [COUNTER_SET, HISTORY_LIMIT, SESSION_GAP_S, AGE_LIMIT_S, LAG_DECAY, DEFAULT_DURATION_S, dict(PRIOR_RATE)],
        CODE_VERSION,
    ]
)
"""Names this list, with everything that gives the columns their meaning."""


def stack(block: Block, columns: Mapping[str, NDArray[np.float64] | float], n: int) -> NDArray[np.float32]:
    """Columns by name to one matrix in the order of `FEATURES`; values that are not finite become the default.

    Parameters
    ----------
    columns : exactly the features of the block, each of length n or one number for all

    Returns
    -------
    float32 array (n, dimensions of the block)
    """
    wanted = NAMES[block]
    if columns.keys() != _NAME_SETS[block]:
        raise ValueError(f"{block} features computed and defined differ: {sorted(columns.keys() ^ set(wanted))}")
    matrix = np.empty((n, len(wanted)), np.float32)
    for at, name in enumerate(wanted):
        matrix[:, at] = columns[name]
    if not np.isfinite(matrix).all():
        matrix = np.where(np.isfinite(matrix), matrix, DEFAULTS[block])
    return matrix


DEFAULTS: Final = MappingProxyType(
    {
        block: np.array([feature.default for feature in FEATURES if feature.block == block], np.float32)
        for block in ("user", "content", "context")
    }
)
