"""What is known of a content by itself: how people lately received it, its creator and its category.

Nothing here depends on the user or on the minute of the request, so a snapshot holds the block of every content
ready-made, and serving only picks rows.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.extraction.aggregates import smoothed_rate, summed
from features.extraction.definitions import (
    CONTENT_DIM,
    CONTENT_RATES,
    COUNTER_COLUMN,
    DAY_S,
    DEFAULT_DURATION_S,
    GROUP_RATES,
    HALF_LIVES_S,
    PRIOR_RATE,
    RATED,
    SIGNALS,
    stack,
)
from features.extraction.population import Receptions

PRIOR_STRENGTH: Final = 20.0
"""People whose opinion is worth as much as the mean of all contents."""
POPULATION_STRENGTH: Final = 100.0
AT_ONCE: Final = 100_000
"""Contents whose columns are held in float64 at once."""
PER_WEEK: Final = HALF_LIVES_S["7d"] / DAY_S
_LABELS: Final = tuple(HALF_LIVES_S)
_RATED: Final = slice(SIGNALS.index(next(iter(RATED))), SIGNALS.index(next(iter(RATED))) + len(RATED))
_PRIORS: Final = np.array([PRIOR_RATE[signal] for signal in RATED])
Columns = dict[str, NDArray[np.float64]]


def content_block(
    counters: NDArray[np.float32],
    *,
    creator: NDArray[np.int32],
    creators: int,
    category: NDArray[np.int32],
    categories: int,
    duration_s: NDArray[np.float32],
    upload_timestamp: NDArray[np.float64],
    until: float,
    receptions: Receptions,
    rows: NDArray[np.int64] | None = None,
    held: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """The content block, float32 (n, CONTENT_DIM), as of the moment of the counters.

    A rate is pulled towards the rate of all contents over the same half-life, which itself is pulled towards a constant
    while the whole log has little to say: `(a + 20 m) / (people + 20)`, `m = (A + 100 p) / (People + 100)`. Counters of
    a creator or category are the sums over its contents. Contents uploaded after `until` are not there yet: they count
    neither as contents of their creator nor in the mean content. One that is registered late, with an old upload time,
    counts since that time: rows recomputed for moments in between have other values of `creator_contents` and
    `content_popularity` than were served then. Going by the time of registration instead would empty the past of every
    imported log, whose contents are all registered at once and years later.

    Parameters
    ----------
    counters : float32 array (m, len(COUNTERS)), of the whole catalogue, or of the rows `held`
    creator, category : int arrays (m,), codes below `creators` and `categories`, negative where there is none
    duration_s : float32 array (m,), NaN where unknown
    upload_timestamp : float64 array (m,), seconds since 1970 UTC
    until : seconds since 1970 UTC, the moment the counters are as of
    receptions : the population as of the same moment
    rows : the contents to answer for; all by default
    held : rows that the counters are of, ascending; the others count nothing. All by default
    """
    chosen = np.arange(len(creator)) if rows is None else rows
    there = upload_timestamp <= until
    # Whoever nobody has met adds nothing, and in a large catalogue that is nearly everybody.
    met = np.flatnonzero(counters.any(axis=1))
    counted, counters = met if held is None else held[met], counters[met]
    total = counters.sum(axis=0, dtype=np.float64)
    groups = []
    for name, code, n in (("creator", creator, creators), ("category", category, categories)):
        # The last row is that of nobody, which the code -1 reads.
        asked = np.zeros(n + 1, np.bool_)
        asked[code[chosen]] = True
        asked[-1] = False
        member = np.flatnonzero(asked[code[counted]])
        table = np.vstack([summed(counters[member], code[counted[member]], n), np.zeros((1, len(total)), np.float32)])
        groups.append((code, _group(name, table.astype(np.float64), total)))
    contents = np.append(np.bincount(creator[there & (creator >= 0)], minlength=creators), 0)
    block = np.empty((len(chosen), CONTENT_DIM), np.float32)
    for start in range(0, len(chosen), AT_ONCE):
        part = chosen[start : start + AT_ONCE]
        columns = _own(_of(part, counted, counters), total, duration_s[part], receptions, int(there.sum()))
        for code, of_group in groups:
            columns |= {key: values[code[part]] for key, values in of_group.items()}
        columns["creator_contents"] = np.log1p(contents[creator[part]])
        block[start : start + AT_ONCE] = stack("content", columns, len(part))
    return block


def _of(rows: NDArray[np.int64], counted: NDArray[np.int64], counters: NDArray[np.float32]) -> NDArray[np.float64]:
    """Counters of some rows, of which only the ascending ones in `counted` have any."""
    found = np.zeros((len(rows), counters.shape[1]))
    if len(counted):
        at = np.minimum(np.searchsorted(counted, rows), len(counted) - 1)
        here = counted[at] == rows
        found[here] = counters[at[here]]
    return found


def newcomer_block(
    duration_s: NDArray[np.float32], total: NDArray[np.float64], receptions: Receptions, catalogue_size: int
) -> NDArray[np.float32]:
    """The rows that `content_block` has for contents nobody has met, of creators and categories that nobody knows.

    Parameters
    ----------
    duration_s : float32 array (n,), NaN where unknown
    total : float64 array (len(COUNTERS),), sums over the catalogue
    catalogue_size : contents uploaded by the moment of the counters
    """
    nothing = np.zeros((len(duration_s), len(total)))
    columns: dict[str, NDArray[np.float64] | float] = {**_own(nothing, total, duration_s, receptions, catalogue_size)}
    for kind in ("creator", "category"):
        columns |= _group(kind, nothing, total)
    return stack("content", columns | {"creator_contents": 0.0}, len(duration_s))


def _own(
    mine: NDArray[np.float64],
    total: NDArray[np.float64],
    duration_s: NDArray[np.float32],
    receptions: Receptions,
    catalogue_size: int,
) -> Columns:
    """Features of the entity "content"."""

    def count(signal: str, label: str) -> NDArray[np.float64]:
        return np.asarray(mine[:, COUNTER_COLUMN[signal, label]])

    def per(signal: str, people: str, label: str) -> NDArray[np.float64]:
        """Mean of a sum, pulled to that of all contents."""
        everybody = total[COUNTER_COLUMN[signal, label]], total[COUNTER_COLUMN[people, label]]
        mean = smoothed_rate(*everybody, prior=0.0, strength=POPULATION_STRENGTH)
        return smoothed_rate(count(signal, label), count(people, label), prior=mean, strength=PRIOR_STRENGTH)

    typical = total[COUNTER_COLUMN["long_views", "7d"]] / max(catalogue_size, 1)
    return {
        **{f"content_exposures_{label}": np.log1p(count("exposures", label)) for label in _LABELS},
        **dict(_named("content", _rates(mine, total), CONTENT_RATES)),
        "content_watch_1d": np.log1p(per("watch_s", "exposures", "1d")),
        "content_watch_7d": np.log1p(per("watch_s", "exposures", "7d")),
        "content_watch_quantile": _watch_quantile(count("watch_s", "7d"), count("views", "7d"), duration_s, receptions),
        "content_position": np.log1p(per("positions", "placed", "7d")),
        "content_trend": np.log1p(count("exposures", "1d")) - np.log1p(count("exposures", "7d") / PER_WEEK),
        "content_popularity": np.log1p(count("long_views", "7d") / max(typical, 1e-9)),
        "content_duration": np.log1p(np.nan_to_num(duration_s.astype(np.float64), nan=DEFAULT_DURATION_S)),
    }


def _watch_quantile(
    watch_s: NDArray[np.float64], viewers: NDArray[np.float64], duration_s: NDArray[np.float32], receptions: Receptions
) -> NDArray[np.float64]:
    """Where the mean watch time of its viewers lies in the bucket of its duration, pulled to the middle."""
    mean = watch_s / np.maximum(viewers, 1e-6)
    quantile = receptions.quantile(duration_s, mean.astype(np.float32))
    return smoothed_rate(viewers * quantile, viewers, prior=0.5, strength=PRIOR_STRENGTH)


def _group(name: str, table: NDArray[np.float64], total: NDArray[np.float64]) -> Columns:
    """Features of creators or categories, one entry per group."""
    return {
        **{f"{name}_exposures_{h}": np.log1p(table[:, COUNTER_COLUMN["exposures", h]]) for h in GROUP_RATES},
        **dict(_named(name, _rates(table, total), GROUP_RATES)),
    }


def _rates(counters: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smoothed rates, (n, half-lives, rated signals)."""
    by_label = (-1, len(_LABELS), len(SIGNALS))
    mine, everybody = counters.reshape(by_label), total.reshape(by_label)
    mean = smoothed_rate(everybody[:, :, _RATED], everybody[:, :, :1], prior=_PRIORS, strength=POPULATION_STRENGTH)
    return smoothed_rate(mine[:, :, _RATED], mine[:, :, :1], prior=mean, strength=PRIOR_STRENGTH)


def _named(
    prefix: str, rates: NDArray[np.float64], wanted: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """The wanted ones of all rates under their feature names."""
    signals = list(RATED)
    for label, chosen in wanted.items():
        for signal in chosen:
            yield f"{prefix}_{RATED[signal]}_{label}", rates[:, _LABELS.index(label), signals.index(signal)]
