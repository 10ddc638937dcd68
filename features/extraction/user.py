"""What a user's recent past says of the user: habits as numbers, taste as a vector."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from events.columnar.history import History
from features.extraction.definitions import AGE_LIMIT_S, FEATURES, LAG_DECAY, PRIOR_RATE, SESSION_GAP_S
from features.extraction.past import Encounters, Past, encounters, resolve
from features.extraction.snapshot import ContentSnapshot

RATE_DECAY: Final = 0.97
"""Habits are steadier than tastes: the last thirty judged contents make up most of a rate."""
PRIOR_STRENGTH: Final = 3.0
PRIOR_WATCH_RATIO: Final = 0.5
RECENT: Final = 5
_RATES: Final = {
    "user_long_rate": "long_view",
    "user_complete_rate": "complete",
    "user_skip_rate": "skip",
    "user_like_rate": "like",
    "user_share_rate": "share",
}
"""Rate to the outcome it counts."""
_PRIORS: Final = {feature.name: feature.default for feature in FEATURES if feature.name in _RATES}
TASTE_LAGS: Final = 100
"""0.9 ** 100 is 3e-5: nothing older can turn the vector."""


def user_columns(
    past: Past, met: Encounters, followed: NDArray[np.int64], *, now: float, has_taste: bool
) -> dict[str, float]:
    """The user block by feature name.

    Rates are weighted by `0.97 ** lag` over judged contents (the latest has lag 0) and smoothed with three imagined
    contents at the prior rate. A history of nobody gives the defaults.

    Parameters
    ----------
    now : the moment of the request, seconds since 1970 UTC
    """
    judged = np.flatnonzero(met.judged)
    weight = np.power(RATE_DECAY, np.arange(len(judged), dtype=np.float64))
    mass = float(weight.sum())
    ratio = met.watch_ratio[judged]
    timed = np.isfinite(ratio)
    recent = judged[:RECENT]

    weighted = np.stack([getattr(met, hit) for hit in _RATES.values()])[:, judged] @ weight
    rates = {
        name: _smoothed(value, mass, prior=_PRIORS[name]) for name, value in zip(_RATES, weighted.tolist(), strict=True)
    }
    gap = min(max(now - float(past.timestamp[-1]), 0.0), AGE_LIMIT_S) if len(past) else AGE_LIMIT_S
    return {
        "user_events": math.log1p(len(past)),
        "user_judged": math.log1p(len(judged)),
        **rates,
        "user_watch_ratio": _smoothed(
            float(weight[timed] @ ratio[timed]), float(weight[timed].sum()), prior=PRIOR_WATCH_RATIO
        ),
        "user_recent_long_rate": _smoothed(
            float(met.long_view[recent].sum()), len(recent), prior=PRIOR_RATE["long_views"], strength=1.0
        ),
        "user_gap": math.log1p(gap),
        "user_session_depth": math.log1p(session_depth(past, met, now=now)),
        "user_followed": math.log1p(len(followed)),
        "user_has_taste": float(has_taste),
    }


def _smoothed(events: float, people: float, *, prior: float, strength: float = PRIOR_STRENGTH) -> float:
    """`aggregates.smoothed_rate` of one number; arrays of one element are ten times slower."""
    return (events + strength * prior) / (people + strength)


def session_depth(past: Past, met: Encounters, *, now: float) -> int:
    """Contents met since the last pause of more than 30 minutes; 0 when the pause is going on."""
    if len(past) == 0 or now - past.timestamp[-1] > SESSION_GAP_S:
        return 0
    pauses = np.flatnonzero(np.diff(past.timestamp) > SESSION_GAP_S)
    start = past.timestamp[pauses[-1] + 1] if len(pauses) else past.timestamp[0]
    return int((met.at >= start).sum())


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


def taste_vector(history: History, snapshot: ContentSnapshot) -> NDArray[np.float32] | None:
    """`taste` of a history: unit float32 vector (d,), or None on a cold start."""
    return taste(encounters(resolve(history, snapshot), snapshot), snapshot)
