"""What a user's recent past says of the user: habits as numbers, taste as a vector."""

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from events.columnar.history import History
from features.extraction.counting import WATCH_CAP_S
from features.extraction.definitions import (
    AGE_LIMIT_S,
    DAY_S,
    FEATURES,
    HALF_LIVES_S,
    LAG_DECAY,
    PRIOR_RATE,
    SESSION_GAP_S,
    USER_RATES,
)
from features.extraction.engagement import CODE
from features.extraction.habits import Habits, named, places
from features.extraction.past import Encounters, Past, encounters, resolve
from features.extraction.population import Receptions
from features.extraction.snapshot import UNKNOWN, ContentSnapshot

RATE_DECAY: Final = 0.97
"""Habits are steadier than tastes: the last thirty judged contents make up most of a rate."""
PRIOR_STRENGTH: Final = 3.0
PRIOR_WATCH_RATIO: Final = 0.5
RECENT: Final = 5
ACTIVE_DAYS: Final = 7
_RATES: Final = {
    "user_long_rate": "long_views",
    "user_complete_rate": "completes",
    "user_skip_rate": "skips",
    "user_like_rate": "likes",
}
"""Rate to the outcome it counts."""
_PRIORS: Final = {feature.name: feature.default for feature in FEATURES if feature.name in _RATES}
_RATE_PLACES: Final = places("user", USER_RATES)
TASTE_LAGS: Final = 100
"""0.9 ** 100 is 3e-5: nothing older can turn the vector."""


def user_columns(
    past: Past,
    met: Encounters,
    habits: Habits,
    *,
    followed: int,
    wishes: int,
    watch_quantile: float,
    now: float,
    has_taste: bool,
) -> dict[str, float]:
    """The user block by feature name.

    Rates without a half-life in their name are weighted by `0.97 ** lag` over judged contents (the latest has lag 0)
    and smoothed with three imagined contents at the prior rate. A history of nobody gives the defaults.

    Parameters
    ----------
    habits : of everything the user met, as of `now`
    followed, wishes : how many creators are followed, how much the profile states
    watch_quantile : see the function of that name
    now : the moment of the request, seconds since 1970 UTC
    """
    judged = np.flatnonzero(met.judged)
    weight = np.power(RATE_DECAY, np.arange(len(judged), dtype=np.float64))
    mass = float(weight.sum())
    ratio = met.watch_ratio[judged]
    timed = np.isfinite(ratio)
    recent = judged[:RECENT]

    rates = {
        name: _smoothed(float((met.happened(hit)[judged] * weight).sum()), mass, prior=_PRIORS[name])
        for name, hit in _RATES.items()
    }
    gap = min(max(now - float(past.timestamp[-1]), 0.0), AGE_LIMIT_S) if len(past) else AGE_LIMIT_S
    return {
        "user_events": math.log1p(len(past)),
        "user_judged": math.log1p(len(judged)),
        **rates,
        "user_watch_ratio": _smoothed(
            float((weight[timed] * ratio[timed]).sum()), float(weight[timed].sum()), prior=PRIOR_WATCH_RATIO
        ),
        "user_watch_quantile": watch_quantile,
        "user_recent_long_rate": _smoothed(
            float(met.happened("long_views")[recent].sum()), len(recent), prior=PRIOR_RATE["long_views"], strength=1.0
        ),
        "user_gap": math.log1p(gap),
        **session_columns(past, met, now=now),
        "user_active_days": active_days(past, now=now),
        "user_followed": math.log1p(followed),
        "user_has_taste": float(has_taste),
        "user_stated": math.log1p(wishes),
        **{f"user_exposures_{label}": math.log1p(habits.met(label)[0]) for label in HALF_LIVES_S},
        **{f"user_engagement_{label}": float(habits.mean_worth(label)[0]) for label in HALF_LIVES_S},
        **{name: float(values[0]) for name, values in named(habits.rates(), _RATE_PLACES).items()},
    }


def _smoothed(events: float, people: float, *, prior: float, strength: float = PRIOR_STRENGTH) -> float:
    """`aggregates.smoothed_rate` of one number; arrays of one element are ten times slower."""
    return (events + strength * prior) / (people + strength)


def session_columns(past: Past, met: Encounters, *, now: float) -> dict[str, float]:
    """Sessions of the history, which a pause of more than 30 minutes ends; the running one counts as far as it came."""
    if len(past) == 0:
        lengths, running, depth, length = np.empty(0), False, 0, 0.0
        events, pauses = 0, np.empty(0)
    else:
        steps = np.diff(past.timestamp)
        cut = np.flatnonzero(steps > SESSION_GAP_S)
        first = past.timestamp[np.append(0, cut + 1)]
        lengths, pauses = past.timestamp[np.append(cut, len(past) - 1)] - first, steps[cut]
        running, events = now - past.timestamp[-1] <= SESSION_GAP_S, len(past)
        depth = int((met.at >= first[-1]).sum()) if running else 0
        length = max(now - float(first[-1]), 0.0) if running else 0.0
    sessions = len(lengths)
    return {
        "user_session_depth": math.log1p(depth),
        "user_session_length": math.log1p(length),
        "user_sessions": math.log1p(sessions),
        "user_mean_session_length": math.log1p(lengths.sum() / sessions) if sessions else 0.0,
        "user_mean_session_events": math.log1p(events / sessions) if sessions else 0.0,
        "user_mean_pause": math.log1p(min(pauses.sum() / len(pauses), AGE_LIMIT_S) if len(pauses) else AGE_LIMIT_S),
    }


def active_days(past: Past, *, now: float) -> float:
    """Share of the last seven days (24 hours each, counted back from now) in which the user did anything."""
    days = np.floor((now - past.timestamp) / DAY_S)
    # An event from the future comes from a client whose clock is ahead: it was today.
    return float(len(set(np.maximum(days[days < ACTIVE_DAYS], 0.0).tolist())) / ACTIVE_DAYS)


def watch_quantile(past: Past, snapshot: ContentSnapshot, receptions: Receptions, *, now: float) -> float:
    """Mean quantile of the user's watches among those of clips of about the same length, fading by the week."""
    view = np.flatnonzero((past.event_type == CODE["view"]) & (past.watch_s > 0) & (past.row != UNKNOWN))
    quantile = receptions.quantile(
        snapshot.duration_s[past.row[view]], np.minimum(past.watch_s[view], np.float32(WATCH_CAP_S))
    )
    weight = np.exp2(-np.maximum(now - past.timestamp[view], 0.0) / HALF_LIVES_S["7d"])
    return _smoothed(float((weight * quantile).sum()), float(weight.sum()), prior=0.5)


def taste(met: Encounters, snapshot: ContentSnapshot) -> NDArray[np.float32] | None:
    """Unit vector of what the user enjoys, in the content embedding space; None when the past says nothing.

    `v = sum_i 0.9 ** lag_i * worth_i * embedding_i` over the last 100 judged contents, divided by its length. Skips and
    refusals have negative worth and push the vector away.
    """
    telling = np.flatnonzero(met.worth)[:TASTE_LAGS]
    if len(telling) == 0:
        return None
    weight = LAG_DECAY ** np.arange(len(telling)) * met.worth[telling]
    vector = weight @ snapshot.embedding[met.row[telling]]
    length = float(np.linalg.norm(vector))
    # Opposite judgements of equal contents cancel out up to rounding.
    return None if length < 1e-6 else (vector / length).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Recollection:
    """What one history comes to on one snapshot: all that sources and features ask of it, made once per request.

    Attributes
    ----------
    past : its events as codes
    met : the contents of them
    taste : see the function of that name
    """

    past: Past
    met: Encounters
    taste: NDArray[np.float32] | None

    @classmethod
    def of(cls, past: Past, snapshot: ContentSnapshot) -> Self:
        """From the events."""
        met = encounters(past, snapshot)
        return cls(past, met, taste(met, snapshot))


def recollect(history: History, snapshot: ContentSnapshot) -> Recollection:
    """The recollection of the last events of a history."""
    return Recollection.of(resolve(history, snapshot), snapshot)


def taste_vector(history: History, snapshot: ContentSnapshot) -> NDArray[np.float32] | None:
    """`taste` of a history: unit float32 vector (d,), or None on a cold start."""
    return recollect(history, snapshot).taste
