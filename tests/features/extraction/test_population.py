import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.extraction.definitions import WATCH_BINS, WATCH_BUCKETS
from features.extraction.log_clock import LogClock
from features.extraction.population import Population, count_population, fold_population
from tests.features.logs import HOUR, T0, event, log_of, random_rows


def counted(rows, duration_s=20.0):
    log = log_of(rows)
    n = len(log.contents)
    return count_population(log, content=np.arange(n), duration_s=np.full(n, duration_s, np.float32))


def folded(population):
    return fold_population(population, Population.empty(), clock=LogClock.of(population.window))


def test_a_watch_is_counted_in_its_bucket_and_bin():
    population = counted([event("view", "ann", "c0", T0, watch_s=9.0), event("skip", "ann", "c0", T0 + 1, watch_s=1.0)])
    table = population.watch.reshape(WATCH_BUCKETS, WATCH_BINS)
    # 20 s lies in 18..30, 9 s in 8..11.3.
    assert np.argwhere(table).tolist() == [[3, 9]]


def test_the_quantile_is_the_share_of_shorter_watches_of_such_clips():
    rows = [event("view", f"u{number}", "c0", T0 + number, watch_s=1.2) for number in range(900)]
    rows += [event("view", f"u{number}", "c0", T0 + number, watch_s=15.0) for number in range(100)]
    receptions = folded(counted(rows)).at(0)
    found = receptions.quantile(np.full(3, 20.0, np.float32), np.array([0.6, 5.0, 400.0], np.float32))
    assert found == pytest.approx([0.0, 0.9, 1.0], abs=0.02)
    assert receptions.quantile(np.array([100.0]), np.array([5.0]))[0] == pytest.approx(7.5 / 22), "nobody knows"


def test_surfaces_are_rated_by_long_views_per_impression():
    rows = []
    for number in range(1000):
        surface = "good" if number % 2 else "bad"
        rows.append(event("impression", f"u{number}", "c0", T0 + number, surface=surface))
        watch_s = 20.0 if number % 2 else 1.0
        rows.append(event("view", f"u{number}", "c0", T0 + number + 1, watch_s=watch_s, surface=surface))
    receptions = folded(counted(rows)).at(0)
    assert receptions.surface_rate("good") == pytest.approx(0.91, abs=0.02)
    assert receptions.surface_rate("bad") < 0.1
    assert receptions.surface_rate("never seen") == pytest.approx(0.48, abs=0.02)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 20))
def test_folding_in_two_parts_gives_the_same_bits_as_at_once(seed, cut):
    population = counted(random_rows(np.random.default_rng(seed), events=150, users=4, contents=3, hours=20))
    clock, early = LogClock.of(population.window), population.window < T0 // HOUR - 20 + cut
    whole = folded(population)
    first = fold_population(population.rows(early), Population.empty(), clock=clock)
    base = first.rows(np.arange(len(first))[-1:])
    second = fold_population(population.rows(~early), base, clock=clock)
    both = Population.joined([first, second])
    assert np.array_equal(both.watch, whole.watch)
    assert np.array_equal(both.surface, whole.surface)
    assert both.surfaces.tolist() == whole.surfaces.tolist()
