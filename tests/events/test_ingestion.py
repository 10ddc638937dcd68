"""Ingestion against the database: once each, per-event verdicts, every column, safe under concurrency."""

import json
import threading
import uuid
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction

from events.cleaning.schema import EVENT_TYPES, ForbiddenUser
from events.ingestion import IngestReport, ingest
from events.models import Content, DeadLetter, Event, UserProfile
from tests.events.conftest import NOW, make_event

pytestmark = pytest.mark.django_db
ANY_SIZE = pytest.mark.parametrize("padding", [0, 80], ids=["few", "many"])


def take(events, **options) -> IngestReport:
    return ingest(events, now=NOW, source="test", **options)


def padded(events, padding):
    return [*events, *(make_event(user_id="padding") for _ in range(padding))]


@ANY_SIZE
def test_every_type_is_stored_with_every_column(padding):
    events = [make_event(name) for name in EVENT_TYPES]
    assert take(padded(events, padding)) == IngestReport(len(EVENT_TYPES) + padding, 0, ())
    stored = {str(row.event_id): row for row in Event.objects.all()}
    for event in events:
        row = stored[event["event_id"]]
        assert row.event_type == event["event_type"]
        assert (row.user_id, row.content_id, row.creator_id) == (
            event["user_id"],
            event["content_id"],
            event.get("creator_id"),
        )
        assert row.timestamp == datetime(2026, 11, 23, 11, 59, tzinfo=UTC)
        assert row.received_at == NOW
        for name in ("watch_duration", "comment_text", "platform", "reason", "metadata"):
            assert row.additional_info.get(name) == event.get(name)


@ANY_SIZE
@pytest.mark.parametrize(
    "text", ["back\\slash \\N", "\\.", "tab\tand\nbreak\r", "quote \" ' , ;", "\N{PARTY POPPER} ü", "%s {x}"]
)
def test_awkward_text_survives_unchanged(padding, text):
    comment = make_event("comment", comment_text=text, additional_info={text: [text, None, 1.5, True]})
    identifier = text.replace("\t", "").replace("\n", "").replace("\r", "")
    comment |= {"user_id": identifier, "content_id": identifier, "session_id": identifier}
    assert take(padded([comment], padding)).rejected == ()
    row = Event.objects.get(event_id=comment["event_id"])
    assert (row.user_id, row.content_id, row.session_id) == (identifier,) * 3
    assert row.additional_info == {text: [text, None, 1.5, True], "comment_text": text}


@ANY_SIZE
def test_empty_and_missing_texts_differ(padding):
    event = make_event("follow", content_id=None, position=0, request_id=str(uuid.UUID(int=5)))
    take(padded([event], padding))
    row = Event.objects.get(event_id=event["event_id"])
    assert row.content_id is None
    assert row.session_id is None
    assert (row.position, row.request_id) == (0, uuid.UUID(int=5))


@ANY_SIZE
def test_sending_a_batch_twice_changes_nothing(padding):
    events = padded([make_event(name) for name in EVENT_TYPES], padding)
    take(events)
    before = list(Event.objects.order_by("event_id").values())
    assert take(events) == IngestReport(0, len(events), ())
    assert list(Event.objects.order_by("event_id").values()) == before


@ANY_SIZE
def test_a_duplicate_inside_a_batch_is_counted_once_and_the_first_stays(padding):
    first = make_event("view", watch_duration=1)
    second = first | {"watch_duration": 2}
    assert take(padded([first, second], padding)) == IngestReport(1 + padding, 1, (), conflicts=1)
    assert Event.objects.get(event_id=first["event_id"]).additional_info == {"watch_duration": 1}


def test_the_first_event_of_an_id_stays_whoever_sends_it_again():
    event = make_event()
    take([event])
    assert take([event | {"user_id": "thief"}]).duplicates == 1
    assert Event.objects.get().user_id == "u1"


@ANY_SIZE
def test_bad_events_are_named_and_do_not_cost_their_neighbours(padding):
    events = padded([make_event(), make_event("dance"), make_event(position=-1), b"{", make_event()], padding)
    report = take(events)
    assert [(rejection.index, rejection.code) for rejection in report.rejected] == [
        (1, "unknown_event_type"),
        (2, "invalid_value"),
        (3, "malformed"),
    ]
    assert "-1" in report.rejected[1].detail
    assert report.accepted == len(events) - 3 == Event.objects.count()


def test_the_same_id_with_another_payload_or_user_is_a_conflict_and_the_first_stays():
    first = make_event("view", watch_duration=1)
    take([first])
    for other in ({"watch_duration": 2}, {"user_id": "thief"}, {"content_id": "c2"}, {"session_id": "s"}):
        assert take([first | other]) == IngestReport(0, 1, (), conflicts=1)
    assert Event.objects.get().additional_info == {"watch_duration": 1}


def test_a_retry_with_another_clock_or_order_of_fields_is_no_conflict():
    first = make_event("view", additional_info={"a": 1, "b": 2})
    take([first])
    for other in ("2026-11-20T11:59:00Z", "2026-10-01T00:00:00Z", "2026-11-23T20:00:00Z"):
        again = first | {"timestamp": other, "additional_info": {"b": 2, "a": 1}}
        assert take([again]) == IngestReport(0, 1, (), conflicts=0)
    assert Event.objects.get().timestamp == datetime(2026, 11, 23, 11, 59, tzinfo=UTC)


def test_a_batch_may_reach_over_decades():
    old = [make_event(timestamp=f"{year}-0{month}-15T00:00:00Z") for year in (1997, 2022) for month in (1, 2)]
    edge = make_event(timestamp="2026-11-01T00:30:00+02:00")
    assert take([*old, edge, make_event()], historical=True).accepted == 6
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tableoid::regclass::text FROM event ORDER BY 1")
        tables = [name for (name,) in cursor.fetchall()]
    assert tables == [f"event_{month}" for month in ("1997_01", "1997_02", "2022_01", "2022_02", "2026_10", "2026_11")]


def test_refused_events_are_kept_with_their_batch():
    bad = [make_event("dance"), b"{", make_event(user_id="u\ud800")]
    assert take([make_event(), *bad, make_event("dance", extra=object())]).accepted == 1
    letters = DeadLetter.objects.order_by("pk").values_list("code", "source")
    codes = sorted(code for code, _ in letters)
    assert codes == ["malformed", "unknown_event_type", "unknown_event_type", "unstorable"]
    assert {source for _, source in letters} == {"test"}
    assert bytes(DeadLetter.objects.get(code="malformed").payload) == b"{"


def test_what_an_import_refuses_stays_in_its_file(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert take([make_event("dance")], historical=True, keep_rejected=False).accepted == 0
    assert not DeadLetter.objects.exists()


def test_texts_and_mappings_are_the_same_events():
    event = make_event("view")
    take([event])
    assert take([json.dumps(event).encode()]).duplicates == 1


def test_unknown_users_get_a_profile_and_known_ones_keep_theirs():
    UserProfile.objects.create(user_id="u1", preferences={"persona": "cook"})
    take([make_event(user_id="u1"), make_event(user_id="u2"), make_event(user_id="u2")])
    assert dict(UserProfile.objects.values_list("user_id", "preferences")) == {"u1": {"persona": "cook"}, "u2": {}}


def test_an_upload_registers_its_content():
    metadata = {
        "caption": "hi",
        "duration_s": 9,
        "media_url": "https://cdn.example/a.mp4",
        "thumbnail_url": "javascript:x",
    }
    take([make_event("content_upload", content_id="c9", metadata=metadata)])
    content = Content.objects.get(content_id="c9")
    assert (content.creator_id, content.status, content.metadata) == ("k1", "active", metadata)
    assert (content.duration_s, content.media_url, content.thumbnail_url) == (9, "https://cdn.example/a.mp4", "")
    assert content.upload_timestamp == datetime(2026, 11, 23, 11, 59, tzinfo=UTC)


def test_an_upload_event_cannot_rewrite_or_restore_a_content():
    Content.objects.create(
        content_id="c1", creator_id="owner", upload_timestamp=NOW, status="removed", metadata={"caption": "old"}
    )
    take([make_event("content_upload", content_id="c1", creator_id="k1")])
    content = Content.objects.get()
    assert (content.creator_id, content.status, content.metadata) == ("owner", "removed", {"caption": "old"})


def test_a_token_that_claims_another_user_stores_nothing():
    with pytest.raises(ForbiddenUser):
        take([make_event(user_id="u1"), make_event(user_id="u2")], user_id="u1")
    assert not Event.objects.exists()


def test_imported_logs_may_be_old():
    old = make_event("view", watch_duration=None, long_view=True, timestamp="1997-09-20T00:00:00Z")
    assert take([old]).rejected[0].code in {"timestamp_out_of_range", "unknown_field"}
    assert take([old], historical=True).accepted == 1


# A savepoint and its release come from the test's own transaction; one look for profiles; the driver runs the rest.
@pytest.mark.parametrize("size", [1, 80, 500])
def test_a_batch_costs_a_fixed_number_of_statements(size, django_assert_num_queries):
    events = [make_event(user_id=f"u{number}") for number in range(size)]
    take([make_event()])
    with django_assert_num_queries(3):
        take(events)


def test_several_batches_fit_into_one_transaction():
    with transaction.atomic():
        assert take([make_event() for _ in range(60)]).accepted == 60
        assert take([make_event() for _ in range(60)]).accepted == 60
    assert Event.objects.count() == 120


@pytest.mark.django_db(transaction=True)
def test_concurrent_senders_of_the_same_events_store_each_once():
    events = [make_event(user_id=f"u{number % 40}") for number in range(400)]
    reports: list[IngestReport] = []
    gate = threading.Barrier(4)

    def send(order: int) -> None:
        try:
            gate.wait(timeout=30)
            for start in range(0, 400, 80):
                batch = events[start : start + 80]
                reports.append(take(batch if order % 2 else batch[::-1]))
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=(order,)) for order in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(reports) == 20
    assert sum(report.accepted for report in reports) == 400 == Event.objects.count()
    assert sum(report.duplicates for report in reports) == 1200
    assert UserProfile.objects.count() == 40
