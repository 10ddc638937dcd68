"""The one ordered list of features: what each column of the ranker's input means.

A feature is one entry here, one line in the module that computes its block (`user`, `content`, `context`) and a test.
`FEATURE_SET` names the list: it changes when a name, a parameter or `CODE_VERSION` does, and a model trained with
another set is refused at load. Raise `CODE_VERSION` when the meaning of a feature changes but its entry does not.

Nothing is computed here.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

CODE_VERSION: Final = 1

HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0
WINDOW_S: Final = HOUR_S
"""Counters are folded per hour: fine enough for a trend, coarse enough that a month is 720 steps."""
HALF_LIVES_S: Final = MappingProxyType({"1h": HOUR_S, "1d": DAY_S, "7d": 7 * DAY_S})
SIGNALS: Final = ("exposures", "long_views", "completes", "skips", "likes", "shares", "refusals", "watch_s")
"""What is counted per content: people per window (see `aggregates`), except `watch_s`, which is seconds."""
COUNTERS: Final = tuple((signal, label) for label in HALF_LIVES_S for signal in SIGNALS)
"""Columns of a counter state, half-life after half-life."""
COUNTER_COLUMN: Final = MappingProxyType({counter: column for column, counter in enumerate(COUNTERS)})
COUNTER_HALF_LIFE_S: Final[NDArray[np.float64]] = np.array([HALF_LIVES_S[label] for _, label in COUNTERS])

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


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the ranker's input.

    Attributes
    ----------
    name : unique over all blocks
    block : who it belongs to: the user, the content, or the meeting of both at a moment
    unit : what one unit of the value is
    default : the value where nothing is known yet
    half_life_s : how fast its evidence fades, in seconds; None where it does not fade with time
    what : one sentence
    """

    name: str
    block: Block
    unit: str
    default: float
    half_life_s: float | None
    what: str


def _user(name: str, unit: str, default: float, what: str) -> Feature:
    return Feature(name, "user", unit, default, None, what)


def _content(name: str, unit: str, default: float, what: str, half_life: str | None = None) -> Feature:
    return Feature(name, "content", unit, default, HALF_LIVES_S[half_life] if half_life else None, what)


def _context(name: str, unit: str, default: float, what: str, half_life_s: float | None = None) -> Feature:
    return Feature(name, "context", unit, default, half_life_s, what)


PRIOR_RATE: Final = MappingProxyType(
    {"long_views": 0.3, "completes": 0.2, "skips": 0.3, "likes": 0.03, "shares": 0.01, "refusals": 0.001}
)
"""Rates assumed while nothing was observed at all."""
_GAP = float(np.log1p(AGE_LIMIT_S))

FEATURES: Final = (
    _user("user_events", "log(1+events)", 0.0, "Events in the history."),
    _user("user_judged", "log(1+contents)", 0.0, "Contents that the user did more with than pass."),
    _user("user_long_rate", "share", PRIOR_RATE["long_views"], "Long views per judged content, the latest count most."),
    _user("user_complete_rate", "share", PRIOR_RATE["completes"], "Clips watched to their end per judged content."),
    _user("user_skip_rate", "share", PRIOR_RATE["skips"], "Skips per judged content."),
    _user("user_like_rate", "share", PRIOR_RATE["likes"], "Likes per judged content."),
    _user("user_share_rate", "share", PRIOR_RATE["shares"], "Shares, saves and comments per judged content."),
    _user("user_watch_ratio", "watch_s / duration_s", 0.5, "Mean watched share of a clip, at most 2."),
    _user("user_recent_long_rate", "share", PRIOR_RATE["long_views"], "Long views among the last five judged."),
    _user("user_gap", "log(1+s)", _GAP, "Time since the last event, at most 30 days."),
    _user("user_session_depth", "log(1+contents)", 0.0, "Contents met in the running session."),
    _user("user_followed", "log(1+creators)", 0.0, "Creators followed in the history."),
    _user("user_has_taste", "0 or 1", 0.0, "Whether a taste vector exists."),
    *(_content(f"content_exposures_{h}", "log(1+people)", 0.0, "People who met it.", h) for h in HALF_LIVES_S),
    *(
        _content(f"content_long_rate_{h}", "share", PRIOR_RATE["long_views"], "Long views per person.", h)
        for h in HALF_LIVES_S
    ),
    _content("content_skip_rate_1d", "share", PRIOR_RATE["skips"], "Skips per person.", "1d"),
    _content("content_skip_rate_7d", "share", PRIOR_RATE["skips"], "Skips per person.", "7d"),
    _content("content_complete_rate_7d", "share", PRIOR_RATE["completes"], "Complete views per person.", "7d"),
    _content("content_like_rate_7d", "share", PRIOR_RATE["likes"], "Likes per person.", "7d"),
    _content("content_share_rate_7d", "share", PRIOR_RATE["shares"], "Shares, saves, comments per person.", "7d"),
    _content("content_refusal_rate_7d", "share", PRIOR_RATE["refusals"], "Hides and reports per person.", "7d"),
    _content("content_watch_7d", "log(1+s)", 0.0, "Watched seconds per person.", "7d"),
    _content("content_trend", "log ratio", 0.0, "People of the last day against the daily mean of the week.", "1d"),
    _content("content_popularity", "log(1+ratio)", 0.0, "Long views against the mean content.", "7d"),
    _content("content_duration", "log(1+s)", float(np.log1p(DEFAULT_DURATION_S)), "Length of the clip."),
    _content("content_age", "log(1+h)", 0.0, "Time since upload, at most 30 days."),
    Feature("content_freshness", "content", "0..1", 1.0, FRESH_HALF_LIFE_S, "Decays from 1 at upload."),
    _context("taste_cosine", "cosine", 0.0, "Taste vector against the content's embedding."),
    _context("sequential_score", "score", 0.0, "How often such a history was followed by this content."),
    _context("category_affinity", "worth", 0.0, "Mean worth of the category, the latest contents count most."),
    _context("category_affinity_1d", "worth", 0.0, "The same, fading with time.", AFFINITY_HALF_LIFE_S),
    _context("creator_affinity", "worth", 0.0, "Mean worth of the creator, the latest contents count most."),
    _context("language_affinity", "worth", 0.0, "Mean worth of the language, the latest contents count most."),
    _context("creator_followed", "0 or 1", 0.0, "Whether the user follows the creator."),
    _context("creator_refused", "0 or 1", 0.0, "Whether the user hid or reported something of the creator."),
    _context("times_seen", "log(1+meetings)", 0.0, "How often the user met this very content."),
    _context("hour_sin", "sine", 0.0, "Hour of the day (UTC) on a circle."),
    _context("hour_cos", "cosine", 1.0, "Hour of the day (UTC) on a circle."),
    _context("weekday_sin", "sine", 0.0, "Day of the week (UTC) on a circle."),
    _context("weekday_cos", "cosine", 1.0, "Day of the week (UTC) on a circle."),
)


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


COUNTER_SET: Final = _digest([COUNTERS, dict(HALF_LIVES_S), WINDOW_S, CODE_VERSION])
"""Names the layout and meaning of stored counter states; another one makes all windows be folded anew."""
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
