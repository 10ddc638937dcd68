"""What everybody does, taken together: how long clips of a length are watched, and how each surface is received.

Two decayed tables, folded per hour like the counters of contents and with the same guarantees:

- watch times in bins, per bucket of clip duration. A watch becomes comparable between short and long clips as the
  quantile among the watches of clips of about its length: D2Q, "Deconfounding Duration Bias in Watch-time Prediction
  for Video Recommendation" (Zhan et al., KDD 2022), with fixed bins instead of sorted samples, so that it is a sum.
- impressions, views and long views per surface (a feed, a profile page, a tab of an imported log).

The tables at a moment only know the hours that were complete by then. They are the fitted state that features name in
`definitions`; a snapshot carries them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from events.columnar.interactions import Interactions
from features.extraction.counting import WATCH_CAP_S, happened
from features.extraction.definitions import (
    DURATION_EDGES_S,
    POPULATION_HALF_LIFE_S,
    PRIOR_RATE,
    WATCH_BINS,
    WATCH_BUCKETS,
    WATCH_EDGES_S,
    WINDOW_S,
)
from features.extraction.engagement import CODE, is_long_view
from features.extraction.log_clock import LogClock

SURFACE_COUNTS: Final = ("impressions", "views", "long views")
PRIOR_WATCHES: Final = 20.0
"""Imagined watches of every bucket, spread evenly."""
PRIOR_SURFACE: Final = 100.0
_DURATION_EDGES: Final = np.array(DURATION_EDGES_S, np.float32)
_WATCH_EDGES: Final = np.array(WATCH_EDGES_S, np.float32)


@dataclass(frozen=True, slots=True)
class Population:
    """Counts per hour, or states after each; w hours, s surfaces.

    Attributes
    ----------
    window : int64 array (w,), numbers of the hours since 1970 UTC, ascending
    watch : float32 array (w, WATCH_BUCKETS * WATCH_BINS)
    surfaces : object array of str (s,)
    surface : float32 array (w, s, len(SURFACE_COUNTS))
    """

    window: NDArray[np.int64]
    watch: NDArray[np.float32]
    surfaces: NDArray[np.object_]
    surface: NDArray[np.float32]

    @classmethod
    def empty(cls, windows: int = 0) -> "Population":
        """Hours in which nobody did anything that counts here."""
        watch = np.zeros((windows, WATCH_BUCKETS * WATCH_BINS), np.float32)
        surface = np.zeros((windows, 0, len(SURFACE_COUNTS)), np.float32)
        return cls(np.zeros(windows, np.int64), watch, np.empty(0, object), surface)

    def __len__(self) -> int:
        return len(self.window)

    def rows(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> "Population":
        """The chosen hours."""
        return Population(self.window[index], self.watch[index], self.surfaces, self.surface[index])

    @classmethod
    def joined(cls, parts: "Sequence[Population]") -> "Population":
        """Hours of several parts, each hour once, in their order."""
        surfaces = np.array(sorted({name for part in parts for name in part.surfaces.tolist()}), object)
        window = np.concatenate([np.empty(0, np.int64), *(part.window for part in parts)])
        order = np.argsort(window)
        tables = np.concatenate([_on(cls.empty(), surfaces), *(_on(part, surfaces) for part in parts)])[order]
        return cls(window[order], *_apart(tables, surfaces))

    def at(self, row: int) -> "Receptions":
        """The tables of one hour; those of nobody for a negative row."""
        if row < 0:
            return Receptions.of(self.empty(1).watch[0], {})
        return Receptions.of(self.watch[row], dict(zip(self.surfaces.tolist(), self.surface[row], strict=True)))


@dataclass(frozen=True, slots=True)
class Receptions:
    """The population at one moment, as features read it.

    Attributes
    ----------
    watch_quantile : float64 array (WATCH_BUCKETS, WATCH_BINS), share of the bucket's watches below the middle of a bin
    long_rate : long views per exposure by surface; "" stands for all of them
    """

    watch_quantile: NDArray[np.float64]
    long_rate: dict[str, float]

    @classmethod
    def of(cls, watch: NDArray[np.float32], surface: dict[str, NDArray[np.float32]]) -> "Receptions":
        """From the folded tables of a moment."""
        table = watch.reshape(WATCH_BUCKETS, WATCH_BINS).astype(np.float64)
        even = (np.arange(WATCH_BINS) + 0.5) / WATCH_BINS
        below = np.cumsum(table, axis=1) - 0.5 * table
        quantile = (below + PRIOR_WATCHES * even) / (table.sum(axis=1, keepdims=True) + PRIOR_WATCHES)
        counts = {name: each.astype(np.float64).tolist() for name, each in sorted(surface.items())}
        everywhere = [sum(each) for each in zip(*counts.values(), strict=True)] if counts else [0.0, 0.0, 0.0]
        overall = _long_rate(everywhere, PRIOR_RATE["long_views"])
        return cls(quantile, {"": overall} | {name: _long_rate(each, overall) for name, each in counts.items() if name})

    def quantile(self, duration_s: NDArray[np.float32], watch_s: NDArray[np.float32]) -> NDArray[np.float64]:
        """Where watches lie among those of clips of about the same length, 0..1.

        >>> nobody = Population.empty().at(-1)
        >>> nobody.quantile(np.array([20.0, np.nan]), np.array([0.1, 600.0])).round(2).tolist()
        [0.02, 0.98]
        """
        return self.watch_quantile[duration_bucket(duration_s), watch_bin(watch_s)]

    def surface_rate(self, surface: str) -> float:
        """Long views per exposure on a surface; the rate of all for one that nobody has used."""
        return self.long_rate.get(surface, self.long_rate[""])


def _long_rate(counts: list[float], prior: float) -> float:
    impressions, views, long_views = counts
    return (long_views + PRIOR_SURFACE * prior) / (max(impressions, views) + PRIOR_SURFACE)


def duration_bucket(duration_s: NDArray[np.float32]) -> NDArray[np.int64]:
    """Bucket of each clip length; the last one is for unknown lengths (NaN).

    >>> duration_bucket(np.array([5.0, 7.0, 500.0, np.nan])).tolist()
    [0, 0, 9, 10]
    """
    bucket = np.searchsorted(_DURATION_EDGES, duration_s, side="left")
    return np.where(np.isnan(duration_s), WATCH_BUCKETS - 1, bucket)


def watch_bin(watch_s: NDArray[np.float32]) -> NDArray[np.int64]:
    """Bin of each watch time."""
    return np.searchsorted(_WATCH_EDGES, watch_s, side="right")


def count_population(log: Interactions, *, content: NDArray[np.int64], duration_s: NDArray[np.float32]) -> Population:
    """Count the population per hour with any event; arguments as in `counting.count_windows`.

    Watches are counted of contents with a code; surfaces from every event that names one. A log in order of time.
    """
    hours = happened(log)
    place = np.searchsorted(hours, (log.timestamp // WINDOW_S).astype(np.int64))
    code = np.append(content, -1)[log.content]
    duration = np.append(duration_s, np.float32(np.nan))[code]
    view = log.event_type == CODE["view"]
    timed = np.flatnonzero(view & (code >= 0) & (log.watch_s > 0))
    size = WATCH_BUCKETS * WATCH_BINS
    watch = np.minimum(log.watch_s[timed], np.float32(WATCH_CAP_S))
    cell = duration_bucket(duration[timed]) * WATCH_BINS + watch_bin(watch)
    table = np.bincount(place[timed] * size + cell, minlength=len(hours) * size).reshape(len(hours), size)
    s = len(log.surfaces)
    there = np.flatnonzero(log.surface >= 0)
    long = is_long_view(log.event_type[there], log.watch_s[there], log.long_view[there], duration[there])
    surface = np.zeros((len(hours), s, len(SURFACE_COUNTS)), np.float32)
    for column, hit in enumerate((log.event_type[there] == CODE["impression"], view[there], long & view[there])):
        at = place[there[hit]] * s + log.surface[there[hit]]
        surface[:, :, column] = np.bincount(at, minlength=len(hours) * s).reshape(len(hours), s)
    return Population(hours, table.astype(np.float32), log.surfaces, surface)


def fold_population(counts: Population, base: Population, *, clock: LogClock) -> Population:
    """States after each hour of `counts`, given the state after the hour before them (`base`, of one hour or none)."""
    surfaces = np.array(sorted({*base.surfaces.tolist(), *counts.surfaces.tolist()}), object)
    ours, theirs = _on(counts, surfaces), _on(base, surfaces)
    state = theirs[-1] if len(theirs) else np.zeros(ours.shape[1], np.float32)
    ends = clock.at(((np.append(base.window[-1:], counts.window) + 1) * WINDOW_S).astype(np.float64))
    elapsed = np.diff(ends) if len(base) else np.append(0.0, np.diff(ends))
    factor = np.exp2(-elapsed / POPULATION_HALF_LIFE_S).astype(np.float32)
    states = np.empty_like(ours)
    for row in range(len(counts)):
        state = state * factor[row] + ours[row]
        states[row] = state
    return Population(counts.window, *_apart(states, surfaces))


def _on(population: Population, surfaces: NDArray[np.object_]) -> NDArray[np.float32]:
    """Both tables side by side, one row per hour, for another list of surfaces that holds all of its own."""
    at = {name: place for place, name in enumerate(surfaces.tolist())}
    surface = np.zeros((len(population), len(surfaces), len(SURFACE_COUNTS)), np.float32)
    surface[:, [at[name] for name in population.surfaces.tolist()]] = population.surface
    return np.concatenate(
        [population.watch, surface.reshape(len(population), len(surfaces) * len(SURFACE_COUNTS))], axis=1
    )


def _apart(
    tables: NDArray[np.float32], surfaces: NDArray[np.object_]
) -> tuple[NDArray[np.float32], NDArray[np.object_], NDArray[np.float32]]:
    """The inverse of `_on`: watches, surfaces, their counts."""
    size = WATCH_BUCKETS * WATCH_BINS
    surface = tables[:, size:].reshape(len(tables), len(surfaces), len(SURFACE_COUNTS))
    return tables[:, :size], surfaces, surface
