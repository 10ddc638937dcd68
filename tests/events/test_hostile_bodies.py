"""Whatever bytes arrive, the door answers 4xx or a verdict per event, in JSON, and keeps nothing of it in memory."""

import gc
import json
import resource
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.cleaning.schema import EVENT_TYPES
from tests.events.conftest import make_event

EVENTS = "/api/v1/events"
pytestmark = pytest.mark.django_db
QUIET = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NASTY_TEXTS = st.sampled_from(
    ['"\\u0000"', '"\\ud800"', '"\\udfff\\ud800"', '""', '"\\u202e"', '"' + "x" * 40_000 + '"']
)
NASTY_NUMBERS = st.sampled_from(
    ["1" + "0" * 30, "-1" + "0" * 30, "NaN", "Infinity", "1e999", "-1e999", "9" * 5_000, "1e-999", "-0", "1.5", "0x10"]
)
NASTY_NESTS = st.sampled_from(
    ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000, '{"a":1,"a":2}', "[[]]", "{}"]
)
VALUES = st.one_of(
    NASTY_TEXTS,
    NASTY_NUMBERS,
    NASTY_NESTS,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=8,
    ).map(json.dumps),
)
FIELDS = (
    *make_event(),
    "position",
    "request_id",
    "session_id",
    "surface",
    "additional_info",
    "watch_duration",
    "loops",
)


@st.composite
def batches(draw):
    """A batch whose second event has one or two fields replaced by something hostile."""
    event = {name: json.dumps(value) for name, value in make_event(draw(st.sampled_from(EVENT_TYPES))).items()}
    for field in draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=2)):
        event[field] = draw(VALUES)
    spoilt = "{" + ",".join(f'"{name}":{value}' for name, value in event.items()) + "}"
    return f'{{"events":[{json.dumps(make_event())},{spoilt}]}}'.encode()


def judged(response):
    """The answer, which is JSON and blames the sender or judges each event."""
    assert response["Content-Type"] == "application/json"
    answer = response.json()
    if response.status_code == 202:
        assert answer["accepted"] + answer["duplicates"] + len(answer["rejected"]) == 2
    else:
        assert 400 <= response.status_code < 500, response.content
        assert set(answer) == {"error"}
    return response.status_code


@QUIET
@given(body=batches())
def test_a_hostile_field_costs_its_event_or_its_batch(server, body):
    judged(server.generic("POST", EVENTS, body, content_type="application/json"))


@QUIET
@given(body=st.binary(max_size=300) | batches().map(lambda body: body[: len(body) // 2]))
def test_bytes_that_are_no_batch_are_refused(server, body):
    assert judged(server.generic("POST", EVENTS, body, content_type="application/json")) == 400


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + b'{"events":[]}',
        b"[" * 100_000,
        b'{"events":' + b"[" * 100_000,
        b'{"events":[' + b"9" * 5_000 + b"]",
        b'{"events":[],"events":7}',
        b'{"events":[{}],"sent_at":"never"}',
        b'{"events":[{}],"historical":1}',
        b"",
        b"null",
    ],
)
def test_known_evils_are_answered_with_400(server, body):
    assert judged(server.generic("POST", EVENTS, body, content_type="application/json")) == 400


@pytest.mark.parametrize("evil", [b'"\xff\xfe"', b'{"event_type":"\xed\xa0\x80"}', b'{"timestamp":1e999}', b"1e999"])
def test_an_evil_event_costs_only_itself(server, evil):
    body = b'{"events":[' + json.dumps(make_event()).encode() + b"," + evil + b"]}"
    response = server.generic("POST", EVENTS, body, content_type="application/json")
    assert judged(response) == 202
    assert response.json()["accepted"] == 1


@pytest.mark.django_db(transaction=True)
def test_memory_stays_flat(server, caplog):
    # The log capture would keep every request that is answered with 400.
    caplog.set_level("ERROR", logger="django.request")
    nest = b'{"additional_info":' + b"[" * 500 + b"]" * 500 + b"}"
    evils = [b'{"events":[' + b",".join([event] * 500) + b"]}" for event in (nest, nest[:-1], b'{"a":"\xff"}')]

    def send(times):
        for _ in range(times):
            for evil in evils:
                server.generic("POST", EVENTS, evil, content_type="application/json")
        gc.collect()
        return resident_mb()

    marks = [send(15) for _ in range(6)]
    assert marks[-1] - marks[0] < 30, marks


def resident_mb():
    """Resident memory of this process now: its peak would hide whatever grows below an earlier test's."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
