"""How fast the feature store takes in a log, and how fast serving gets at it, beside Valkey and Postgres.

Taken in is from the event log in Postgres to stored counts and states, committed: reading, parsing, counting per hour,
folding, writing. The limit beside it is reading the same rows out of Postgres and doing nothing with them.

Catching up takes in many hours per call. The beat takes in one, and each of its calls lists the open hours, looks up
the states of the hour's contents and writes them back: the last day of the log is taken in that way. Some 14,000 events
of such an hour are about 6,000 contents, so two events bear the cost of each state; a day at a time, seventeen do.
Listing must not grow with the log, and so is a small part of such a call.
"""

import resource
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import redis
from django.conf import settings
from django.db import connection
from numpy.typing import NDArray

from events import windows
from events.catalogue import NewContent, register_contents
from events.columnar.history import History
from events.queries import catalogue_table, counting_log, recent_history
from features import log_windows, materialize, store
from features.extraction import assemble
from features.extraction.aggregates import CounterStates, fold
from features.extraction.definitions import CONTENT_DIM, USER_DIM
from features.extraction.log_clock import LogClock
from features.extraction.snapshot import ContentSnapshot
from recsys.benchmarks.event_rows import LogShape, content_id, fill, user_id
from recsys.benchmarks.results import Bar, Options, Result

LEAST_EVENTS_PER_S: Final = 300_000.0
MOST_FETCH_MS: Final = 0.2
MOST_LISTING: Final = 0.1
"""Share of a call for one hour that finding the hour may take."""
START: Final = datetime(2026, 10, 1, tzinfo=UTC)
SPAN: Final = timedelta(days=2)
"""Read at once when the parts are timed."""
HOURLY: Final = 24
"""Hours at the end of the log that are taken in one by one."""
FETCHED: Final = 500
CANDIDATES: Final = 300
REPEATS: Final = 300
_KEY: Final = "bench-features:"


def run(options: Options) -> Result:
    """Fill the scratch database, take it in, read it back."""
    shape = LogShape(
        events=1_000_000 if options.quick else 10_000_000, users=20_000 if options.quick else 200_000,
        contents=20_000, start=START, days=3 if options.quick else 30,
    )  # fmt: skip
    _register(shape.contents)
    fill(shape)
    end = START + timedelta(days=shape.days)
    until = end + timedelta(hours=1)
    started = time.perf_counter()
    hours, events = materialize.take_in(until=end - timedelta(hours=HOURLY))
    seconds = time.perf_counter() - started
    by_hour = _hour_by_hour(end)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    figures: dict[str, float] = {
        "events": events, "windows": hours, "take_in_s": seconds, "events_per_s": events / seconds,
        "peak_gb": peak_gb, **by_hour, **_parts(shape.days),
    }  # fmt: skip
    materialize.materialize(until=until)
    snapshot = store.snapshot()
    assert snapshot is not None, "materialize has written one"
    # Serving reads this index; the log was filled without it.
    with connection.cursor() as cursor:
        cursor.execute('CREATE INDEX event_user_recent ON event (user_id, "timestamp" DESC)')
    figures |= _fetches(snapshot, recent_history(user_id(17), limit=200))
    return _judge(figures)


def _register(contents: int) -> None:
    register_contents(
        NewContent(
            content_id(number), f"creator-{number % 2_000}", START - timedelta(hours=1),
            {"caption": f"clip about {number % 50} and {number % 7}", "tags": [], "category": f"topic-{number % 40}"},
            duration_s=5.0 + number % 60,
        )
        for number in range(contents)
    )  # fmt: skip


def _hour_by_hour(end: datetime) -> dict[str, float]:
    """Take in the hours before `end` as the beat does, each by a call of its own; beside it, only read each of them."""
    call_s, read_s, listing_s = np.empty(HOURLY), np.empty(HOURLY), np.empty(HOURLY)
    events = 0
    for number in range(HOURLY):
        stop = end - timedelta(hours=HOURLY - 1 - number)
        began = time.perf_counter()
        events += materialize.take_in(until=stop)[1]
        taken_in = time.perf_counter()
        counting_log(stop - timedelta(hours=1), stop)
        read = time.perf_counter()
        windows.open_windows(log_windows.FAMILY, until=stop)
        call_s[number], read_s[number], listing_s[number] = (
            taken_in - began,
            read - taken_in,
            time.perf_counter() - read,
        )
    return {
        "hourly_events": events, "hourly_events_per_s": events / call_s.sum(),
        "hourly_read_alone_events_per_s": events / read_s.sum(), "hourly_call_p50_ms": float(np.median(call_s) * 1e3),
        "hourly_listing_p50_ms": float(np.median(listing_s) * 1e3),
        "hourly_listing_share": float(np.median(listing_s) / np.median(call_s)),
    }  # fmt: skip


def _parts(days: int) -> dict[str, float]:
    """Rates of reading, parsing and counting by themselves, one after another, over a few spans."""
    catalogue = catalogue_table()
    duration_of = dict(zip(catalogue.content_id.tolist(), catalogue.duration_s.tolist(), strict=True))
    read_s = parse_s = fold_s = 0.0
    events = 0
    for span in range(min(days // SPAN.days, 3)):
        start = START + span * SPAN
        began = time.perf_counter()
        log = counting_log(start, start + SPAN)
        read = time.perf_counter()
        events += len(log.parsed())
        parsed = time.perf_counter()
        counted = materialize.count(log, duration_of)
        clock = LogClock.of(np.unique(counted.counts.window))
        fold(counted.counts, CounterStates.empty(len(counted.contents)), clock=clock)
        done = time.perf_counter()
        read_s += read - began
        parse_s += parsed - read
        # `count` parses once more.
        fold_s += (done - parsed) - (parsed - read)
    return {
        "read_alone_events_per_s": events / read_s,
        "parse_alone_events_per_s": events / parse_s,
        "count_and_fold_alone_events_per_s": events / fold_s,
    }


def _fetches(snapshot: ContentSnapshot, history: History) -> dict[str, float]:
    """p50 milliseconds of getting the features of 500 contents and one user, from each place."""
    rng = np.random.default_rng(3)
    asked = [snapshot.content_id[rng.choice(len(snapshot), FETCHED, replace=False)].tolist() for _ in range(20)]
    now = datetime.fromtimestamp(snapshot.until, UTC)
    nothing, candidates = np.empty(0, np.int64), rng.choice(len(snapshot), CANDIDATES, replace=False)
    of_user = assemble(history, snapshot, nothing, now=now).user
    figures = {
        "mapped_contents_p50_ms": _p50_ms(lambda ids: snapshot.features[snapshot.rows(ids)], asked),
        "user_block_p50_ms": _p50_ms(lambda _: assemble(history, snapshot, nothing, now=now).user, asked),
        "history_events": float(len(history)),
        "assemble_300_p50_ms": _p50_ms(lambda _: assemble(history, snapshot, candidates, now=now).context, asked),
    }
    # A table of users beside that of contents, as the peers have it: one more row of another width.
    users = np.tile(of_user, (len(snapshot), 1))
    figures["mapped_p50_ms"] = _p50_ms(
        lambda ids: (snapshot.features[snapshot.rows(ids)], users[len(ids)].copy()), asked
    )
    return figures | _from_valkey(snapshot, of_user, asked) | _from_postgres(snapshot, of_user, asked)


def _from_valkey(
    snapshot: ContentSnapshot, of_user: NDArray[np.float32], asked: Sequence[list[str]]
) -> dict[str, float]:
    client = redis.Redis.from_url(settings.CELERY_BROKER_URL)
    keys = [_KEY + each for each in snapshot.content_id.tolist()]
    values = [row.tobytes() for row in np.asarray(snapshot.features)]
    try:
        for first in range(0, len(keys), 1_000):
            client.mset(dict(zip(keys[first : first + 1_000], values[first : first + 1_000], strict=True)))
        client.set(f"{_KEY}user", of_user.tobytes())

        def fetch(ids: list[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            found = client.mget([_KEY + each for each in ids] + [f"{_KEY}user"])
            vectors = [each for each in found if isinstance(each, bytes)]
            contents = np.frombuffer(b"".join(vectors[:-1]), np.float32).reshape(-1, CONTENT_DIM)
            return contents, np.frombuffer(vectors[-1], np.float32)

        return {"valkey_p50_ms": _p50_ms(fetch, asked)}
    finally:
        for first in range(0, len(keys), 1_000):
            client.delete(*keys[first : first + 1_000])
        client.delete(f"{_KEY}user")
        client.close()


def _from_postgres(
    snapshot: ContentSnapshot, of_user: NDArray[np.float32], asked: Sequence[list[str]]
) -> dict[str, float]:
    ids = snapshot.content_id.tolist()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE bench_vectors (id text PRIMARY KEY, vector real[])")
        for first in range(0, len(ids), 1_000):
            rows = [
                (each, vector)
                for each, vector in zip(
                    ids[first : first + 1_000], snapshot.features[first : first + 1_000].tolist(), strict=True
                )
            ]
            cursor.executemany("INSERT INTO bench_vectors VALUES (%s, %s)", rows)
        cursor.execute("INSERT INTO bench_vectors VALUES ('user', %s)", [of_user.tolist()])
        cursor.execute("ANALYZE bench_vectors")

        def fetch(wanted: list[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            cursor.execute("SELECT id, vector FROM bench_vectors WHERE id = ANY(%s)", [[*wanted, "user"]])
            found = dict(cursor.fetchall())
            return np.array([found[each] for each in wanted], np.float32), np.array(found["user"], np.float32)

        assert fetch(asked[0])[1].shape == (USER_DIM,)
        return {"postgres_p50_ms": _p50_ms(fetch, asked[:5], repeats=REPEATS // 3)}


def _p50_ms(fetch: Callable[[list[str]], object], asked: Sequence[list[str]], *, repeats: int = REPEATS) -> float:
    taken = np.empty(repeats)
    for number in range(repeats):
        ids = asked[number % len(asked)]
        started = time.perf_counter()
        fetch(ids)
        taken[number] = time.perf_counter() - started
    return float(np.median(taken) * 1e3)


def _judge(figures: dict[str, float]) -> Result:
    per_s, limit = figures["events_per_s"], figures["read_alone_events_per_s"]
    hourly_limit, fetch = figures["hourly_read_alone_events_per_s"], figures["mapped_p50_ms"]
    rows = [
        (
            "take in the log, all hours at once",
            f"{per_s:,.0f} events/s, {figures['events']:,.0f} in {figures['windows']:,.0f} hours",
            f"reading alone {limit:,.0f} events/s ({per_s / limit:.0%})",
        ),
        (
            f"hour by hour, the last {HOURLY}",
            f"{figures['hourly_events_per_s']:,.0f} events/s, p50 {figures['hourly_call_p50_ms']:,.0f} ms a call",
            f"listing {figures['hourly_listing_p50_ms']:,.1f} ms of it, reading alone {hourly_limit:,.0f} events/s",
        ),
        ("parse alone", f"{figures['parse_alone_events_per_s']:,.0f} events/s", "in a thread beside the reading"),
        ("count, fold alone", f"{figures['count_and_fold_alone_events_per_s']:,.0f} events/s", ""),
        ("peak memory", f"{figures['peak_gb']:.2f} GB", ""),
        (
            f"fetch {FETCHED} contents + 1 user, p50",
            f"{fetch:.3f} ms mapped",
            f"Valkey {figures['valkey_p50_ms']:.2f} ms, Postgres {figures['postgres_p50_ms']:.1f} ms",
        ),
        (
            "make the user's block, p50",
            f"{figures['user_block_p50_ms']:.2f} ms of {figures['history_events']:.0f} events",
            "what serving does instead of fetching it",
        ),
        (f"assemble {CANDIDATES} candidates, p50", f"{figures['assemble_300_p50_ms']:.2f} ms", "user and all contents"),
    ]
    bars = (
        Bar.at_least("features: events per second taken in, all hours at once", per_s, LEAST_EVENTS_PER_S),
        Bar.at_most("features: listing, share of an hour's call", figures["hourly_listing_share"], MOST_LISTING),
        Bar.at_most("features: p50 ms of a fetch", fetch, MOST_FETCH_MS),
    )
    return Result("features", figures, ("what", "measured", "limit or peer"), rows, bars)
