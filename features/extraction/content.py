"""What is known of a content by itself: how people lately received it, how long and how old it is."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.extraction.aggregates import smoothed_rate
from features.extraction.definitions import COUNTER_COLUMN, DAY_S, DEFAULT_DURATION_S, HALF_LIVES_S, PRIOR_RATE
from features.extraction.temporal import age_s, freshness

PRIOR_STRENGTH: Final = 20.0
"""People whose opinion is worth as much as the mean of all contents."""
POPULATION_STRENGTH: Final = 100.0
PER_WEEK: Final = HALF_LIVES_S["7d"] / DAY_S


def content_columns(
    counters: NDArray[np.float32],
    total: NDArray[np.float64] | NDArray[np.float32],
    *,
    duration_s: NDArray[np.float32],
    upload_timestamp: NDArray[np.float64],
    now: NDArray[np.float64] | float,
    catalogue_size: int,
) -> dict[str, NDArray[np.float64]]:
    """The content block by feature name, each of length n.

    A rate is pulled towards the rate of all contents over the same half-life, which itself is pulled towards a constant
    while the whole log has little to say: `(a + 20 m) / (people + 20)`, `m = (A + 100 p) / (People + 100)`.

    Parameters
    ----------
    counters : (n, len(COUNTERS)), decayed counts as of the moment
    total : (len(COUNTERS),) or (n, len(COUNTERS)), their sum over all contents as of the moment
    now : seconds since 1970 UTC, one moment or one per row
    catalogue_size : number of contents the total is over
    """
    mine: NDArray[np.float64] = counters.T.astype(np.float64)
    everybody = np.asarray(total, np.float64).T

    def count(signal: str, label: str) -> NDArray[np.float64]:
        return np.asarray(mine[COUNTER_COLUMN[signal, label]])

    def mean(signal: str, label: str, constant: float) -> NDArray[np.float64]:
        people = everybody[COUNTER_COLUMN["exposures", label]]
        events = everybody[COUNTER_COLUMN[signal, label]]
        return smoothed_rate(events, people, prior=constant, strength=POPULATION_STRENGTH)

    def rate(signal: str, label: str) -> NDArray[np.float64]:
        prior = mean(signal, label, PRIOR_RATE[signal])
        return smoothed_rate(count(signal, label), count("exposures", label), prior=prior, strength=PRIOR_STRENGTH)

    watch = smoothed_rate(
        count("watch_s", "7d"), count("exposures", "7d"), prior=mean("watch_s", "7d", 0.0), strength=PRIOR_STRENGTH
    )
    typical = everybody[COUNTER_COLUMN["long_views", "7d"]] / max(catalogue_size, 1)
    age = age_s(upload_timestamp, now)
    return {
        **{f"content_exposures_{h}": np.log1p(count("exposures", h)) for h in HALF_LIVES_S},
        **{f"content_long_rate_{h}": rate("long_views", h) for h in HALF_LIVES_S},
        "content_skip_rate_1d": rate("skips", "1d"),
        "content_skip_rate_7d": rate("skips", "7d"),
        "content_complete_rate_7d": rate("completes", "7d"),
        "content_like_rate_7d": rate("likes", "7d"),
        "content_share_rate_7d": rate("shares", "7d"),
        "content_refusal_rate_7d": rate("refusals", "7d"),
        "content_watch_7d": np.log1p(watch),
        "content_trend": np.log1p(count("exposures", "1d")) - np.log1p(count("exposures", "7d") / PER_WEEK),
        "content_popularity": np.log1p(count("long_views", "7d") / np.maximum(typical, 1e-9)),
        "content_duration": np.log1p(np.nan_to_num(duration_s.astype(np.float64), nan=DEFAULT_DURATION_S)),
        "content_age": np.log1p(age / 3600.0),
        "content_freshness": freshness(age),
    }
