"""Bodies: gzip with a bound on what comes out, and JSON answers to whatever is no batch."""

import gzip
import io
import json
import time
import tracemalloc
import zlib

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory
from rest_framework.exceptions import ParseError

from events.bodies import read_body
from tests.events.conftest import make_event

pytestmark = pytest.mark.django_db
EVENTS = "/api/v1/events"


def post(client, body, encoding="gzip"):
    return client.generic("POST", EVENTS, body, content_type="application/json", HTTP_CONTENT_ENCODING=encoding)


def batch(count=3):
    return json.dumps({"events": [make_event() for _ in range(count)]}).encode()


def code_of(response):
    assert response["Content-Type"] == "application/json"
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", " gzip "])
def test_a_packed_batch_is_taken(server, encoding):
    assert post(server, gzip.compress(batch()), encoding).json()["accepted"] == 3


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "x" * 999])
def test_any_other_packing_is_refused(server, encoding):
    assert code_of(post(server, zlib.compress(batch()), encoding)) == (415, "unsupported_encoding")


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        gzip.compress(b'{"events": []}')[:-9],
        gzip.compress(b'{"events": []}')[:5],
        gzip.compress(b'{"events": []}') + b"more",
        gzip.compress(b"{}") + gzip.compress(b"{}"),
        zlib.compress(b"{}"),
        gzip.compress(b'{"events": ['),
        gzip.compress(b'{"events": []}')[:-8] + bytes(8),
    ],
)
def test_a_body_that_lies_about_its_packing_is_refused(server, body):
    assert code_of(post(server, body)) == (400, "parse_error")


def test_a_bomb_is_defused_in_little_time_and_memory(server):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1 << 20)
    bomb = b"".join(packer.compress(zeros) for _ in range(1024)) + packer.flush()
    assert len(bomb) > 900_000
    tracemalloc.start()
    started = time.perf_counter()
    answer = post(server, bomb)
    seconds, peak = time.perf_counter() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code_of(answer) == (413, "body_too_large")
    assert seconds < 1.0
    assert peak < 50 * 2**20


def test_the_limit_counts_unpacked_bytes(server, settings):
    body = batch(40)
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = len(body)
    assert post(server, gzip.compress(body)).status_code == 202
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = len(body) - 1
    assert post(server, gzip.compress(body)).status_code == 413


def test_an_event_above_its_own_limit_costs_only_itself(server):
    large = make_event("comment", additional_info={"text": "x" * 33_000})
    report = server.post(EVENTS, {"events": [large, make_event()]}, format="json").json()
    assert (report["accepted"], report["rejected"][0]["code"]) == (1, "too_large")


@pytest.mark.parametrize("keys", [100, 101])
def test_additional_info_holds_a_hundred_keys(server, keys):
    event = make_event(additional_info={f"k{number}": 1 for number in range(keys)})
    report = server.post(EVENTS, {"events": [event]}, format="json").json()
    assert [fault["code"] for fault in report["rejected"]] == ["too_large"] * (keys > 100)


@pytest.mark.parametrize("missing", [1, 30, 5_000])
def test_a_body_that_is_shorter_than_stated_is_refused_though_its_json_is_whole(missing):
    body = batch()
    stated = len(body) + missing
    environ = {**RequestFactory()._base_environ(), "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(stated)}
    with pytest.raises(ParseError, match=f"{len(body)} of {stated} bytes"):
        read_body(WSGIRequest(environ))
    assert read_body(WSGIRequest({**environ, "wsgi.input": io.BytesIO(body + b" " * missing)}))[: len(body)] == body


@pytest.mark.parametrize("path", [EVENTS, f"{EVENTS}/beacon", "/api/v1/contents/c1", "/api/v1/users/u1"])
def test_a_body_in_chunks_is_told_that_it_needs_a_length(server, path):
    method = "POST" if path.startswith(EVENTS) else "PUT"
    more = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    answer = server.generic(method, path, b"", content_type="application/json", **more)
    assert code_of(answer) == (411, "length_required")


def test_a_request_without_any_body_is_an_empty_batch(server):
    assert code_of(server.generic("POST", EVENTS, b"", content_type="application/json")) == (400, "empty_batch")
