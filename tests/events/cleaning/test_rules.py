"""Cleaning rules: the clock, watch times, users, and what lands in additional_info."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from events.cleaning.rules import SERVER_FIELDS, CleanEvent, Sending, clean_event, read_event
from events.cleaning.schema import ForbiddenUser, InvalidEvent, decode_event
from tests.events.conftest import NOW, make_event


def clean(event_type: str = "like", *, historical: bool = False, user_id: str | None = None, **fields) -> CleanEvent:
    raw = decode_event(make_event(event_type, **fields))
    return clean_event(raw, now=NOW, historical=historical, user_id=user_id)


def test_an_event_in_order_passes_unchanged():
    event = clean("view", position=3, session_id="s", surface="for_you", additional_info={"app": "2.1"})
    assert event.timestamp == datetime(2026, 11, 23, 11, 59, tzinfo=UTC)
    assert (event.event_type, event.position, event.session_id) == ("view", 3, "s")
    assert event.additional_info == {"app": "2.1", "watch_duration": 4.5, "surface": "for_you"}


def test_a_clock_up_to_23_hours_ahead_is_corrected_and_the_correction_recorded():
    event = clean(timestamp=NOW + timedelta(hours=23))
    assert event.timestamp == NOW
    assert event.additional_info == {"clock_adjusted": "2026-11-24T11:00:00+00:00"}


def test_the_moment_of_arrival_itself_is_not_corrected():
    assert clean(timestamp=NOW).additional_info == {}


@pytest.mark.parametrize(
    ("timestamp", "historical"),
    [
        (NOW + timedelta(hours=23, microseconds=1), True),
        (NOW + timedelta(hours=24), True),
        ("2004-12-31T23:59:59Z", False),
        ("1969-12-31T23:59:59Z", True),
        ("0001-01-01T00:00:00+14:00", False),
        ("9999-12-31T23:59:59-14:00", True),
    ],
)
def test_times_beyond_the_bounds_are_refused(timestamp, historical):
    with pytest.raises(InvalidEvent, match="timestamp_out_of_range"):
        clean(timestamp=timestamp, historical=historical)


def test_an_imported_log_may_be_older_than_2005():
    assert clean(timestamp="1997-09-20T00:00:00Z", historical=True).timestamp.year == 1997


def test_a_watch_time_of_24_hours_is_the_longest():
    assert clean("view", watch_duration=86_400).additional_info["watch_duration"] == 86_400
    with pytest.raises(InvalidEvent, match="watch_out_of_range"):
        clean("skip", watch_duration=86_401)


def test_a_live_view_needs_its_watch_time():
    with pytest.raises(InvalidEvent, match="watch_duration: required"):
        clean("view", watch_duration=None)


def test_an_imported_view_may_state_long_view_instead():
    event = clean("view", watch_duration=None, long_view=False, time_estimated=True, historical=True)
    assert event.additional_info == {"long_view": False, "time_estimated": True}


@pytest.mark.parametrize("name", ["long_view", "time_estimated"])
def test_a_live_event_may_not_carry_what_only_imports_know(name):
    with pytest.raises(InvalidEvent, match=f"unknown_field: {name}"):
        clean("view", **{name: True})


@pytest.mark.parametrize("name", ["watch_duration", "surface", "clock_corrected", "metadata"])
def test_reserved_names_cannot_be_smuggled_into_additional_info(name):
    with pytest.raises(InvalidEvent, match=f"reserved_field: additional_info.{name}"):
        clean(additional_info={name: "x"})


def test_a_user_is_required_from_a_server():
    with pytest.raises(InvalidEvent, match="missing_field: user_id"):
        clean_event(decode_event(make_event(user_id=None)), now=NOW)


def test_a_token_fills_in_its_user_and_refuses_another():
    raw = decode_event(make_event(user_id=None))
    assert clean_event(raw, now=NOW, user_id="u9").user_id == "u9"
    with pytest.raises(ForbiddenUser, match="'u9'"):
        clean_event(decode_event(make_event(user_id="u1")), now=NOW, user_id="u9")


def test_a_token_cannot_upload_for_another_creator():
    raw = decode_event(make_event("content_upload", user_id=None, creator_id="k1"))
    assert clean_event(raw, now=NOW, user_id="k1").user_id == "k1"
    with pytest.raises(ForbiddenUser, match="creator_id"):
        clean_event(raw, now=NOW, user_id="u9")


def test_an_upload_without_user_is_its_creators():
    raw = decode_event(make_event("content_upload", user_id=None))
    assert clean_event(raw, now=NOW).user_id == "k1"


def clean_sent(timestamp, sent_at, **conditions):
    event, unreadable = read_event(make_event(timestamp=timestamp), now=NOW)
    return clean_event(event, now=NOW, sending=Sending(sent_at=sent_at, **conditions), unreadable=unreadable)


@pytest.mark.parametrize(
    "error", [timedelta(hours=-3), timedelta(minutes=7), timedelta(days=365), timedelta(days=-9000)]
)
def test_the_clients_clock_is_corrected_by_what_it_was_off_when_it_sent(error):
    occurred = NOW - timedelta(minutes=2) + error
    event = clean_sent(occurred.isoformat(), NOW + error)
    assert event.timestamp == NOW - timedelta(minutes=2)
    assert event.additional_info["clock_adjusted"] == occurred.isoformat()


def test_the_way_to_the_server_is_no_error_of_a_clock():
    event = clean_sent((NOW - timedelta(minutes=2)).isoformat(), NOW - timedelta(milliseconds=900))
    assert (event.timestamp, event.additional_info) == (NOW - timedelta(minutes=2), {})


def test_an_event_after_it_was_sent_happened_on_arrival():
    assert clean_sent((NOW + timedelta(hours=30)).isoformat(), NOW).timestamp == NOW


def test_a_clock_beyond_all_calendars_is_refused():
    with pytest.raises(InvalidEvent, match="timestamp_out_of_range"):
        clean_sent("9999-12-31T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("said", ["yesterday", "2026-13-01T00:00:00Z", "2026-11-23T11:00:00", "", 1_795_000_000])
def test_a_time_that_cannot_be_read_becomes_that_of_arrival_and_stays_on_record(said):
    for raw in (make_event(timestamp=said), json.dumps(make_event(timestamp=said)).encode()):
        event, unreadable = read_event(raw, now=NOW)
        cleaned = clean_event(event, now=NOW, unreadable=unreadable)
        assert cleaned.timestamp == NOW
        assert str(said) in cleaned.additional_info["clock_adjusted"]
        with pytest.raises(InvalidEvent, match="timestamp"):
            read_event(raw, now=NOW, historical=True)


def test_a_bad_time_hides_no_other_fault():
    with pytest.raises(InvalidEvent, match="position"):
        read_event(make_event(timestamp="soon", position=-1), now=NOW)


def test_what_is_older_than_the_late_window_comes_too_late():
    week_ago = NOW - timedelta(days=7)
    assert clean_sent(week_ago.isoformat(), None, oldest=week_ago).timestamp == week_ago
    with pytest.raises(InvalidEvent, match="too_late"):
        clean_sent((week_ago - timedelta(seconds=1)).isoformat(), None, oldest=week_ago)


@pytest.mark.parametrize(
    ("watch_s", "loops", "kept"),
    [(9.9, None, 9.9), (10.4, None, 10.4), (25.0, None, 10.0), (25.0, 2, 25.0), (99, 2, 30)],
)
def test_nobody_watches_longer_than_the_clip_lasts_in_all_its_rounds(watch_s, loops, kept):
    raw = make_event("view", watch_duration=watch_s, loops=loops)
    info = clean_event(decode_event(raw), now=NOW, duration_s=10.0).additional_info
    assert info["watch_duration"] == kept
    assert info.get("watch_adjusted") == (None if kept == watch_s else watch_s)


def test_bots_and_staff_are_marked():
    sending = Sending(bot=True, internal=frozenset({"u1"}))
    assert clean_event(decode_event(make_event()), now=NOW, sending=sending).additional_info == {
        "bot": True,
        "internal": True,
    }


@pytest.mark.parametrize("name", SERVER_FIELDS)
def test_what_only_the_server_knows_is_refused_wherever_it_stands(name):
    with pytest.raises(InvalidEvent, match="unknown_field"):
        decode_event(make_event(**{name: "x"}))
    with pytest.raises(InvalidEvent, match="reserved_field"):
        clean_event(decode_event(make_event(additional_info={name: "x"})), now=NOW)
