"""Dead letters: kept once however often they are sent, replayed once, discarded with a note, forgotten in time."""

import json
import threading
from datetime import datetime, timedelta

import pytest
from django.db import connection

from events import dead_letters, partitions, replays
from events.cleaning.rules import Sending
from events.dead_letters import Refused, keep
from events.ingestion import ingest
from events.models import DeadLetter, Event
from tests.events.conftest import NOW, make_event

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=2)


def refused(event=None, code="missing_field", **fields):
    payload = event if isinstance(event, bytes) else json.dumps(event or make_event()).encode()
    return Refused(
        payload, code, "watch_duration: required for a view; got None", fields.pop("user_id", None), **fields
    )


def kept(event=None, **fields):
    letter = refused(event, **fields)
    assert keep([letter], now=NOW, source="api") == 1
    return DeadLetter.objects.latest("pk")


def test_the_same_bad_event_is_one_row_that_counts():
    letter = refused(make_event("view", watch_duration=None))
    assert keep([letter, letter, refused()], now=NOW, source="api") == 2
    assert keep([letter], now=LATER, source="beacon") == 0
    row = DeadLetter.objects.get(times=3)
    assert (row.received_at, row.last_at, row.source, row.state) == (NOW, LATER, "api", "open")


def test_two_senders_of_the_same_bytes_have_two_letters():
    event = make_event(user_id=None)
    assert keep([refused(event, user_id="a"), refused(event, user_id="b")], now=NOW, source="api") == 2


def test_nothing_costs_no_statement(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert keep([], now=NOW, source="api") == 0
    with django_assert_num_queries(1):
        assert keep([refused(), refused()], now=NOW, source="api") == 2


@pytest.mark.parametrize("payload", [b"\x00\xff\xfe{", b'"\\ud800"', b"", b"[" * 5000, b'{"a": 1e999, "b": "\\u0000"}'])
def test_bytes_that_are_no_text_are_kept_and_shown(payload):
    hostile = Refused(payload, "malformed", "half \ud800 and \x00", "u\x001")
    assert keep([hostile], now=NOW, source="api") == 1
    letter = DeadLetter.objects.get()
    assert bytes(letter.payload) == payload
    for reveal in (True, False):
        dead_letters.shown_payload(letter, reveal=reveal).encode()
        [row] = dead_letters.export(reveal=reveal)
        json.dumps(row).encode()


def test_a_huge_event_is_cut_and_cannot_be_replayed_as_it_is():
    letter = kept(make_event(additional_info={"a": "x" * 40_000}))
    assert (len(bytes(letter.payload)), dead_letters.is_cut(letter)) == (32 * 1024, True)
    report = replays.replay([letter.pk], now=LATER)
    assert "only 32768 of" in report.failed[letter.pk]
    assert not Event.objects.exists()


def test_groups_count_by_reason():
    keep([refused(), refused(), refused(code="too_late")], now=NOW, source="api")
    dead_letters.discard([DeadLetter.objects.filter(code="missing_field").first().pk], note="old app", by="m", now=NOW)
    found = [(group.code, group.open, group.discarded, group.times) for group in dead_letters.groups()]
    assert found == [("missing_field", 1, 1, 2), ("too_late", 1, 0, 1)]
    assert dead_letters.depth() == 2


def test_a_fixed_letter_is_stored_once_however_often_it_is_replayed():
    event = make_event("view", watch_duration=None)
    letter = kept(event)
    fixed = {letter.pk: json.dumps({**event, "watch_duration": 3}).encode()}
    assert replays.replay([letter.pk, letter.pk], now=LATER, by="m", edits=fixed) == replays.ReplayReport(1, 0, 0, {})
    assert replays.replay([letter.pk], now=LATER, by="m", edits=fixed) == replays.ReplayReport(0, 0, 0, {})
    row = Event.objects.get()
    assert (str(row.event_id), row.received_at) == (event["event_id"], NOW)
    letter.refresh_from_db()
    assert (letter.state, letter.note, letter.settled_by, letter.settled_at) == ("replayed", "edited", "m", LATER)
    # The client goes on sending the broken one: counted, and not opened again.
    assert keep([refused(event)], now=LATER, source="api") == 0
    assert dead_letters.depth() == 0


@pytest.mark.django_db(transaction=True)
def test_two_people_replaying_at_once_store_it_once():
    letter, reports = kept(), []

    def replay():
        reports.append(replays.replay([letter.pk], now=LATER))
        connection.close()

    threads = [threading.Thread(target=replay) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.stored for report in reports) == Event.objects.count() == 1


def test_a_letter_that_is_refused_again_stays_open_with_the_new_reason():
    letter = kept(make_event("dance"))
    report = replays.replay([letter.pk], now=LATER)
    assert report.failed[letter.pk].startswith("unknown_event_type: ")
    letter.refresh_from_db()
    assert (letter.state, letter.code) == ("open", "unknown_event_type")
    assert DeadLetter.objects.count() == 1
    # An edit that is refused is not what was sent: its reason is told, the letter stays.
    report = replays.replay([letter.pk], now=LATER, edits={letter.pk: b"{}"})
    assert "event_type" in report.failed[letter.pk]
    letter.refresh_from_db()
    assert letter.code == "unknown_event_type"


def test_one_bad_letter_costs_its_neighbours_nothing():
    letters = [kept(), kept(make_event("dance")), kept()]
    report = replays.replay([letter.pk for letter in letters], now=LATER)
    assert (report.stored, list(report.failed)) == (2, [letters[1].pk])


def test_a_letter_of_a_user_speaks_for_that_user_only():
    letter = kept(make_event(user_id="victim"), user_id="sender")
    assert replays.replay([letter.pk], now=LATER).failed[letter.pk].startswith("forbidden_user")
    assert not Event.objects.exists()


def test_an_event_the_log_has_already_settles_its_letter():
    event = make_event()
    first, second = kept(event), kept({**event, "content_id": "other"})
    assert replays.replay([first.pk, second.pk], now=LATER) == replays.ReplayReport(1, 1, 1, {})
    second.refresh_from_db()
    assert (second.state, "another event" in second.note) == ("replayed", True)


def test_discarding_needs_a_note_and_settles_open_letters_only():
    first, second = kept(), kept()
    replays.replay([first.pk], now=LATER)
    with pytest.raises(ValueError, match="note"):
        dead_letters.discard([second.pk], note="  ", by="m", now=LATER)
    assert dead_letters.discard([first.pk, second.pk], note="test data", by="m", now=LATER) == 1
    second.refresh_from_db()
    assert (second.state, second.note, second.settled_by) == ("discarded", "test data", "m")


def test_letters_are_forgotten_after_the_last_time_they_came():
    letter = refused()
    keep([letter, refused()], now=NOW, source="api")
    keep([letter], now=NOW + timedelta(days=10), source="api")
    assert dead_letters.drop_expired(now=NOW + timedelta(days=31)) == 1
    assert dead_letters.drop_expired(now=NOW + timedelta(days=41)) == 1
    with pytest.raises(ValueError, match="at least a day"):
        dead_letters.drop_expired(now=NOW, keep_days=0)


@pytest.mark.parametrize(
    "fields",
    [
        {"userId": "anna@example.com"},
        {"uid": "anna@example.com"},
        {"uid": 4917012345},
        {"anna@example.com": 1},
        {"platform": "anna@example.com"},
        {"platform": "anna", "user_id": "anna"},
        {"timestamp": "anna@example.com"},
        {"event_type": "anna@example.com"},
        {"position": "anna"},
        {"additional_info": {"platform": "anna", "x": [{"y": "anna", "timestamp": "4917012345"}]}},
        {"content_id": "anna"},
        {"time_stamp": "anna@example.com", "user": ["anna"]},
    ],
)
def test_a_value_is_shown_only_where_it_is_known_to_name_nobody(fields):
    event = {**make_event(user_id=None), **fields}
    report = ingest([json.dumps({**event, "extra": "anna"}).encode()], now=NOW, source="api")
    assert len(report.rejected) == 1
    [row] = dead_letters.export(reveal=False)
    text = json.dumps(row)
    assert "anna" not in text
    assert "4917012345" not in text


def test_what_names_nobody_is_shown():
    kept(make_event("veiw", position=3, watch_duration=7.5, platform="sms"))
    [row] = dead_letters.export(reveal=False)
    shown = json.loads(row["payload"])
    assert (shown["event_type"], shown["position"], shown["watch_duration"]) == ("veiw", 3, 7.5)
    assert (shown["timestamp"], shown["platform"]) == ("2026-11-23T11:59:00Z", "sms")
    assert shown["user_id"] == "••• text of 2"


def test_people_are_masked_wherever_they_stand():
    event = make_event(user_id="anna", session_id="s-anna", additional_info={"device": "anna's phone", "shade": "red"})
    letter = kept(event, user_id="anna")
    DeadLetter.objects.update(detail="user_id: this token speaks for 'anna', not for 'otto'; got 'anna'")
    [row] = dead_letters.export(reveal=False)
    assert "anna" not in json.dumps(row)
    assert {"shade", "device"} <= set(json.loads(row["payload"])["additional_info"])
    [row] = dead_letters.export(reveal=True)
    assert json.loads(row["payload"]) == event
    assert (
        dead_letters.shown_payload(DeadLetter(payload=b"anna{", size=5), reveal=False) == "(5 bytes that are no JSON)"
    )
    assert letter.user_id == row["user_id"] == "anna"


ANONYMOUS = f"anon:{'7' * 20}"
SENT = NOW - timedelta(minutes=30)


def refused_of(event, **known):
    """The letter of an event whose watch time is missing, sent by somebody of whom this is known; and it mended."""
    report = ingest([event], now=NOW, source="api", sending=Sending(**known))
    assert [one.code for one in report.rejected] == ["missing_field"]
    letter = DeadLetter.objects.get()
    return letter, lambda **fields: {letter.pk: json.dumps({**event, "watch_duration": 3, **fields}).encode()}


def test_a_letter_of_a_publishable_key_is_never_mended_into_an_event_of_a_known_user():
    letter, mended = refused_of(make_event("view", watch_duration=None, user_id=ANONYMOUS), anonymous=True)
    report = replays.replay([letter.pk], now=LATER, edits=mended(user_id="victim"))
    assert report.failed[letter.pk].startswith("forbidden_user")
    upload = {letter.pk: json.dumps(make_event("content_upload", user_id=ANONYMOUS)).encode()}
    assert replays.replay([letter.pk], now=LATER, edits=upload).failed[letter.pk].startswith("forbidden_user")
    assert replays.replay([letter.pk], now=LATER, edits=mended()).stored == 1
    assert Event.objects.get().user_id == ANONYMOUS


def test_a_replayed_letter_is_marked_and_its_clock_corrected_like_its_good_twin(settings):
    settings.INTERNAL_USERS = frozenset({"staff"})
    known = {"sent_at": SENT, "bot": True, "internal": settings.INTERNAL_USERS}
    event = make_event("view", watch_duration=None, user_id="staff", timestamp="2026-11-23T11:29:00Z")
    letter, mended = refused_of(event, **known)
    assert replays.replay([letter.pk], now=LATER, edits=mended()).stored == 1
    twin = {**event, "event_id": make_event()["event_id"], "watch_duration": 3}
    ingest([twin], now=NOW, source="api", sending=Sending(**known))
    replayed, sent = Event.objects.all()
    assert replayed.additional_info == sent.additional_info
    assert {"bot", "internal", "clock_adjusted"} < set(replayed.additional_info)
    assert replayed.timestamp == sent.timestamp == NOW - timedelta(minutes=1)


def test_senders_of_other_kinds_have_letters_of_their_own():
    event = json.dumps(make_event()).encode()
    kinds = [{}, {"anonymous": True}, {"bot": True}, {"anonymous": True, "bot": True}]
    letters = [Refused(event, "missing_field", "x", None, **kind) for kind in kinds]
    assert keep(letters, now=NOW, source="api") == 4


def test_a_replayed_id_is_remembered_from_its_replay_on(settings):
    event, replayed_at = make_event(), NOW + timedelta(days=29)
    letter = kept(event)
    assert replays.replay([letter.pk], now=replayed_at).stored == 1
    after = replayed_at + timedelta(days=settings.EVENT_DEDUP_DAYS - 1)
    partitions.prune_ids(now=after)
    assert ingest([event], now=after, source="api").duplicates == 1
    assert Event.objects.get().received_at == NOW
    assert partitions.prune_ids(now=after + timedelta(days=2)) == 1


def test_an_edited_replay_keeps_what_was_sent_on_beside_what_was_sent():
    letter, mended = refused_of(make_event("view", watch_duration=None))
    untouched = kept()
    replays.replay([letter.pk, untouched.pk], now=LATER, edits=mended())
    for row in (letter, untouched):
        row.refresh_from_db()
    assert bytes(letter.sent_on) == mended()[letter.pk]
    assert b"watch_duration" not in bytes(letter.payload)
    assert untouched.sent_on is None


@pytest.mark.parametrize(
    "sent_at", ["4321-10-01T16:10:31+22:43", "0001-01-01T00:00:00+20:00", "9999-12-31T23:59:59-20:00"]
)
def test_whatever_clock_a_batch_names_its_letters_are_kept(sent_at):
    sending = Sending(sent_at=datetime.fromisoformat(sent_at))
    assert ingest([b'{"event_type": "poke"}'], now=NOW, source="api", sending=sending).rejected
    assert DeadLetter.objects.count() == 1
