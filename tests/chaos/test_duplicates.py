"""F11 and F12: the same batch many times over, and one id for two events."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from events import partitions, telemetry
from events.ingestion import ingest
from events.models import Event
from tests.chaos.checker import check
from tests.chaos.ledger import make_batch
from tests.events.conftest import NOW, event_just_now, make_event

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]
TIMES = 10


def test_a_batch_sent_ten_times_at_once_is_stored_once(system, ledger):
    rng = random.Random(11)
    for size in (1, 30, 200):  # alone, together with others, as a transaction of its own
        events = make_batch(rng, size=size, refused=0)
        together = threading.Barrier(TIMES)

        def send(_, events=events, together=together):
            together.wait(30)
            answer = system.call("POST", "/api/v1/events", {"events": events})
            assert ledger.note_answer(events, answer)
            return answer.body

        with ThreadPoolExecutor(TIMES) as pool:
            bodies = list(pool.map(send, range(TIMES)))
        assert sum(body["accepted"] for body in bodies) == size
        assert sum(body["duplicates"] for body in bodies) == size * (TIMES - 1)
    check(system, ledger, least=231)


@pytest.mark.django_db
@pytest.mark.parametrize("days", [0, 1, 6, 34])
def test_a_batch_that_comes_again_days_later_is_known(days, settings):
    events = [make_event() for _ in range(60)]
    assert ingest(events, now=NOW, source="test").accepted == 60
    later = NOW + timedelta(days=days)
    partitions.prune_ids(now=later)
    report = ingest(events, now=later, source="test")
    assert (report.accepted, report.duplicates, report.conflicts) == (0, 60, 0)
    assert Event.objects.count() == 60


@pytest.mark.django_db
def test_the_shortest_memory_that_can_be_set_still_knows_a_batch_after_six_days(settings):
    settings.EVENT_DEDUP_DAYS = 7
    test_a_batch_that_comes_again_days_later_is_known(6, settings)


@pytest.mark.django_db
@pytest.mark.parametrize("changes", [{"content_id": "other"}, {"user_id": "u2"}, {"event_type": "save"}])
def test_the_first_event_under_an_id_stays_and_another_one_is_counted(server, changes):
    first = make_event(content_id="c1")
    before = telemetry.CONFLICTS.labels("api")._value.get()
    answers = [
        server.post("/api/v1/events", {"events": [event]}, format="json") for event in (first, first, first | changes)
    ]
    assert [answer.json()["accepted"] for answer in answers] == [1, 0, 0]
    assert [answer.json()["duplicates"] for answer in answers] == [0, 1, 1]
    assert telemetry.CONFLICTS.labels("api")._value.get() == before + 1
    stored = Event.objects.get()
    assert (stored.content_id, stored.user_id, stored.event_type) == ("c1", "u1", "like")


@pytest.mark.django_db
def test_another_user_neither_overwrites_an_id_nor_learns_whose_it_is(as_user):
    first = event_just_now(user_id="u1")
    assert as_user("u1").post("/api/v1/events", {"events": [first]}, format="json").json()["accepted"] == 1
    thief = as_user("u2").post("/api/v1/events", {"events": [first | {"user_id": "u2"}]}, format="json")
    own = as_user("u1").post("/api/v1/events", {"events": [first]}, format="json")
    assert thief.status_code == own.status_code == 202
    assert thief.json() == own.json() == {"accepted": 0, "duplicates": 1, "rejected": []}
    assert Event.objects.get().user_id == "u1"
