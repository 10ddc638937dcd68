"""What is derived from the log depends on what happened, not on how it arrived: whole tables, compared byte for byte.

A log is loaded in order and once; then shuffled, in pieces, with every event sent twice and some late, through the API
or the service, with runs that die at any statement. The tables of the derived rows must be the same to the last byte.
"""

import io
import random
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from rest_framework.test import APIClient

from dashboards import rollups
from dashboards.models import KpiContent, KpiDay, KpiUser, KpiUsers
from dashboards.stats import exposures
from dashboards.stats.user_sets import numbers_of, unpacked
from events import api_keys, authentication, log_writer, sessions, throttling, traffic
from events.ingestion import ingest
from tests.events.test_sessions import fixture

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 4, 10, 12, tzinfo=UTC)
# Every column but numbers that a sequence gave away.
TABLES = {
    "session": "*",
    "window_fill": "family, window_start, state, events, started_at, finished_at",
    "automated_hour": "user_id, window_start",
    "kpi_cell": "*",
    "kpi_point": "kpi, grain, start, day, value",
    "kpi_day": (
        "day, log_rows, excluded_rows, late_rows, carries, session_mark, watch_ms, session_ms, settled, filled_at"
    ),
}
# Numbers of users and contents depend on who came first, so what is named by them is compared by name.
SET_COLUMNS = ("role", "dimension", "day", "value", "users")
NUMBERED = ("kpi_users", "kpi_user", "kpi_content")


@pytest.fixture(autouse=True)
def _fresh():
    """Keys, profiles and lengths are remembered for longer than a test's rows live."""
    authentication.forget_keys()
    log_writer.forget()
    throttling.forget()


def busy_log():
    """A week of twenty users on two devices: sessions over midnight, refusals, a program, many at the same moment."""
    rng = random.Random(11)
    start = datetime(2026, 3, 7, 20, tzinfo=UTC)
    events = []

    def add(kind, user, moment, **fields):
        event = {"event_id": str(uuid.UUID(int=rng.getrandbits(128))), "event_type": kind, "user_id": user}
        content = {"content_id": f"c{rng.randrange(30)}", "timestamp": moment.isoformat(), "session_id": f"s-{user}"}
        events.append({**event, **content, "additional_info": {"device": f"d{rng.randrange(2)}"}, **fields})

    for visit in range(60):
        user, moment = f"u{rng.randrange(20)}", start + timedelta(seconds=rng.randrange(6 * 86_400))
        for _ in range(rng.randrange(1, 8)):
            add("impression", user, moment)
            add("view", user, moment, watch_duration=rng.choice([0.5, 3.25, 61.125, 1e-3]))
            if rng.random() < 0.2:
                add(rng.choice(["like", "hide", "unhide", "save"]), user, moment)
            moment += timedelta(seconds=rng.choice([0, 7, 900, 2400]), microseconds=rng.randrange(10**6) * (visit % 2))
    for number in range(60):
        add("view", "crawler", start + timedelta(minutes=3, seconds=number), watch_duration=0)
    return events


def rebuild():
    traffic.mark_automated(until=NOW)
    sessions.rebuild_sessions(until=NOW)
    rollups.measure_kpis(until=NOW)


def tables():
    """Every derived table as sorted lines of text."""
    found = {}
    with connection.cursor() as cursor:
        for table, columns in TABLES.items():
            buffer = io.BytesIO()
            cursor.copy_expert(f"COPY (SELECT {columns} FROM {table}) TO STDOUT", buffer)
            found[table] = b"\n".join(sorted(buffer.getvalue().splitlines()))
    return found | {"by name": numbered()}


def numbered():
    """Who was active on each day and who was new, and how often each content was shown: by name."""
    users, contents = (dict(model.objects.values_list("number", "name")) for model in (KpiUser, KpiContent))

    def names(data, of):
        return sorted(of[number] for number in numbers_of(unpacked(bytes(data), 64)).tolist())

    sets = [(*key, names(data, users)) for *key, data in KpiUsers.objects.values_list(*SET_COLUMNS)]
    days = []
    for day in KpiDay.objects.order_by("day"):
        content, creator, *rest = exposures.unpacked(bytes(day.exposure)).tolist()
        shown = zip(map(contents.get, content), map(users.get, creator), *rest, strict=True)
        days.append((day.day, names(day.new_users, users), names(day.new_contents, contents), sorted(shown, key=repr)))
    return sorted(sets), days


def empty():
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join((*TABLES, *NUMBERED))}, event, event_dedup, dead_letter")


def by_service(events):
    report = ingest(events, now=NOW, source="test")
    assert report.rejected == ()
    return report.accepted


def by_api(events):
    secret = api_keys.create_key("test")[1]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    answer = client.post("/api/v1/events", {"events": events}, format="json")
    assert (answer.status_code, answer.json()["rejected"]) == (202, [])
    return answer.json()["accepted"]


class PowerCut(BaseException):
    """What a process that dies leaves behind: an open transaction, rolled back."""


def dies_at(number):
    """Lets the statements of a run pass until the one with this number."""
    seen = iter(range(10_000))

    def execute(run, sql, parameters, many, context):
        if next(seen) == number:
            raise PowerCut(sql[:60])
        return run(sql, parameters, many, context)

    return connection.execute_wrapper(execute)


@pytest.fixture(params=["the worked fixture", "a busy week"])
def log(request):
    events = list(fixture()) if request.param == "the worked fixture" else busy_log()
    assert by_service(events) == len(events)
    rebuild()
    expected = tables()
    assert all(expected[name] for name in ("session", "window_fill", "kpi_cell", "kpi_point"))
    assert bool(expected["automated_hour"]) == (request.param == "a busy week")
    empty()
    return events, expected


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("send", [by_service, by_api])
def test_a_shuffled_doubled_late_copy_gives_the_same_tables(log, send, seed):
    events, expected = log
    chance = random.Random(seed)
    doubled = events * 2
    chance.shuffle(doubled)
    late, doubled = doubled[: len(doubled) // 20 + 1], doubled[len(doubled) // 20 + 1 :]
    size = max(len(doubled) // 3, 1)
    accepted = 0
    for start in range(0, len(doubled), size):
        accepted += send(doubled[start : start + size])
        rebuild()
    accepted += send(late)
    rebuild()
    assert accepted == len(events)
    assert tables() == expected


@pytest.mark.parametrize("order", ["reversed", "one by one"])
def test_the_order_of_arrival_does_not_matter(log, order):
    events, expected = log
    if order == "reversed":
        by_service(events[::-1])
    else:
        for event in events[:40]:
            by_service([event])
            rebuild()
        by_service(events[40:] or events[:1])
    rebuild()
    assert tables() == expected


def test_runs_that_die_at_any_statement_change_nothing_in_the_end(log):
    events, expected = log
    half = len(events) // 2
    by_service(events[half:])
    died = 0
    for number in range(400):
        try:
            with dies_at(number):
                rebuild()
        except PowerCut:
            died += 1
            if number == 25:
                by_service(events[:half])
        else:
            break
    assert died > 25
    rebuild()
    assert tables() == expected


def test_a_batch_that_dies_at_any_statement_is_sent_again_and_stored_once(log):
    events, expected = log
    for number in range(100):
        try:
            with dies_at(number):
                by_service(events)
        except PowerCut:
            continue
        break
    assert number >= 3
    by_service(events)
    rebuild()
    assert tables() == expected
