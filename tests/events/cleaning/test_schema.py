"""Decoding one event: what is taken, what is refused and with which words."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.cleaning.schema import EVENT_TYPES, EventType, InvalidEvent, decode_event
from tests.events.conftest import make_event


def code_of(raw: Any) -> str:
    with pytest.raises(InvalidEvent) as refused:
        decode_event(raw)
    return refused.value.code


def test_codes_of_event_types_never_change():
    assert EVENT_TYPES == (
        "impression", "view", "complete_view", "replay", "skip", "like", "unlike", "comment", "share", "save", "unsave",
        "follow", "unfollow", "hide", "report", "content_upload", "unhide",
    )  # fmt: skip
    assert tuple(EventType) == EVENT_TYPES


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_type_decodes_alike_from_mapping_and_from_bytes(event_type):
    raw = make_event(event_type)
    assert decode_event(raw) == decode_event(json.dumps(raw).encode())


def test_objects_in_place_of_texts_are_taken_from_importers():
    moment = datetime(2022, 4, 8, tzinfo=UTC)
    event = decode_event(make_event(timestamp=moment, event_id=UUID(int=7)))
    assert (event.timestamp, event.event_id) == (moment, UUID(int=7))


@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize(
    ("change", "code", "names"),
    [
        ({"event_id": None}, "missing_field", "event_id"),
        ({"event_id": "7"}, "invalid_value", "'7'"),
        ({"event_type": "dance"}, "unknown_event_type", "'dance'"),
        ({"event_type": 5}, "unknown_event_type", "5"),
        ({"event_type": ["like"]}, "unknown_event_type", "like"),
        ({"event_type": None}, "missing_field", "event_type"),
        ({"content_id": None}, "missing_field", "content_id"),
        ({"content_id": ""}, "invalid_value", "content_id"),
        ({"content_id": "   "}, "invalid_value", "content_id"),
        ({"content_id": 5}, "invalid_value", "got 5"),
        ({"content_id": "x" * 201}, "invalid_value", "content_id"),
        ({"user_id": "a\u0000b"}, "unstorable", "user_id"),
        ({"user_id": "a\nb"}, "unstorable", "user_id"),
        ({"session_id": "s" * 65}, "invalid_value", "session_id"),
        ({"position": -1}, "invalid_value", "-1"),
        ({"position": 40_000}, "invalid_value", "40000"),
        ({"position": 1.5}, "invalid_value", "1.5"),
        ({"request_id": "nope"}, "invalid_value", "'nope'"),
        ({"timestamp": 1_700_000_000}, "invalid_value", "1700000000"),
        ({"timestamp": "yesterday"}, "invalid_value", "'yesterday'"),
        ({"timestamp": "2026-11-23T11:59:00"}, "invalid_value", "timezone"),
        ({"watch_duration": 3}, "unknown_field", "watch_duration"),
        ({"receved_at": "x"}, "unknown_field", "receved_at"),
        ({"additional_info": [1]}, "invalid_value", "additional_info"),
        ({"additional_info": {"a": 10**30}}, "invalid_value", "additional_info.a"),
        ({"additional_info": {"a": "x" * 9000}}, "too_large", "additional_info"),
        ({"additional_info": {"a": "\u0000"}}, "unstorable", "additional_info.a"),
        ({"additional_info": {"\u0000": 1}}, "unstorable", "additional_info"),
    ],
)  # fmt: skip
def test_a_fault_is_refused_with_its_code_and_named(change, code, names, as_bytes):
    raw = {name: value for name, value in (make_event() | change).items() if value is not None}
    with pytest.raises(InvalidEvent) as refused:
        decode_event(json.dumps(raw).encode() if as_bytes else raw)
    assert refused.value.code == code
    assert names in refused.value.detail


@pytest.mark.parametrize(
    ("event_type", "change", "code"),
    [
        ("view", {"watch_duration": -0.1}, "invalid_value"),
        ("view", {"watch_duration": "4"}, "invalid_value"),
        ("view", {"watch_duration": True}, "invalid_value"),
        ("view", {"watch_duration": float("nan")}, "invalid_value"),
        ("comment", {"comment_text": None}, "missing_field"),
        ("comment", {"comment_text": "x" * 2001}, "invalid_value"),
        ("comment", {"comment_text": "\ud800"}, "unstorable"),
        ("share", {"platform": None}, "missing_field"),
        ("report", {"reason": None}, "missing_field"),
        ("follow", {"creator_id": None}, "missing_field"),
        ("content_upload", {"creator_id": None}, "missing_field"),
        ("content_upload", {"metadata": {"a": float("inf")}}, "invalid_value"),
    ],
)
def test_fields_of_a_type_are_checked(event_type, change, code):
    assert code_of(make_event(event_type, **change)) == code


def test_a_follow_needs_no_content():
    assert decode_event(make_event("follow", content_id=None)).content_id is None


def test_a_comment_may_hold_line_breaks_and_emoji():
    text = "wow\n\tsee \N{PARTY POPPER}"
    assert decode_event(make_event("comment", comment_text=text)).comment_text == text


def test_ids_of_any_script_are_taken():
    assert decode_event(make_event(user_id="пользователь 7 \N{PARTY POPPER}\u00a0")).user_id.startswith("польз")


def test_nesting_of_eight_levels_is_taken_and_of_nine_refused():
    def nested(levels: int) -> dict[str, Any]:
        return {"a": nested(levels - 1)} if levels > 1 else {"a": 1}

    decode_event(make_event(additional_info=nested(8)))
    assert code_of(make_event(additional_info=nested(9))) == "too_large"


@pytest.mark.parametrize(
    ("info", "names"),
    [
        ({"a": "x" * 1_025}, "additional_info.a: 1025 characters"),
        ({"x" * 1_025: 1}, "additional_info: 1025 characters"),
        ({"a": [{"b": "x" * 2_000}]}, "additional_info.a[].b: 2000 characters"),
        ({f"k{number}": 1 for number in range(101)}, "additional_info: 101 keys"),
        ({f"k{number}": "x" * 1_000 for number in range(9)}, "8192 are kept"),
    ],
)
def test_free_fields_are_bounded(info, names):
    with pytest.raises(InvalidEvent) as refused:
        decode_event(make_event(additional_info=info))
    assert refused.value.code == "too_large"
    assert names in refused.value.detail
    raw = json.dumps(make_event(additional_info=info)).encode()
    with pytest.raises(InvalidEvent, match="too_large"):
        decode_event(raw)


def test_free_fields_at_their_bounds_are_taken():
    info = {"a": "x" * 1_024, **{f"k{number}": 1 for number in range(99)}}
    assert decode_event(make_event(additional_info=info)).additional_info == info


def test_a_caption_may_be_longer_than_a_free_field():
    metadata = {"caption": "x" * 3_000}
    assert decode_event(make_event("content_upload", metadata=metadata)).metadata == metadata


def test_an_event_of_more_than_32_kilobytes_is_refused_unread():
    raw = json.dumps({**make_event(), "additional_info": {"a": "x" * 33_000}}).encode()
    with pytest.raises(InvalidEvent, match="at most 32768"):
        decode_event(raw)


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b"nope", b"[]", b"3", b"null", b'"x"', b"\xff", 3, None, "x", []),
        b'{"event_type":"like","additional_info":{"a":' + b"[" * 9000,
    ],
)
def test_what_is_no_object_is_refused(raw):
    assert code_of(raw) in {"malformed", "too_large"}


def test_lone_surrogates_are_refused_however_they_arrive():
    assert code_of(make_event(user_id="\ud800")) == "unstorable"
    assert code_of(json.dumps(make_event(user_id="\ud800")).encode()) == "malformed"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
hostile_events = st.dictionaries(
    st.sampled_from([*make_event("view"), "additional_info", "metadata", "session_id", "position"])
    | st.text(max_size=8),
    json_values,
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(hostile_events)
def test_hostile_objects_end_in_an_event_or_a_named_refusal(changes):
    raw = {**make_event("view"), **changes}
    try:
        event = decode_event(raw)
    except InvalidEvent as error:
        refused = error
    else:
        assert b"\\u0000" not in json.dumps(event.additional_info).encode().replace(b"\\\\", b"")
        return
    assert refused.code
    assert refused.detail.encode()  # the answer can be sent


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_hostile_bytes_end_in_a_named_refusal(raw):
    assert code_of(raw) in {"malformed", "missing_field", "unknown_event_type", "unknown_field", "too_large"}
