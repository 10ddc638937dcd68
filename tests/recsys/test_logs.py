"""A log line says whose it is, and nothing that opens anything."""

import json
import logging
import sys

import pytest

from recsys.logs import MASK, REQUEST_ID, TASK_ID, Lines, Objects, scrubbed

SECRETS = [
    ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
    ("sent 'authorization': 'Bearer abcdef0123456789'", "abcdef0123456789"),
    ("no key sk_0123456789abcdefghij here", "sk_0123456789abcdefghij"),
    ("no key pk_0123456789abcdefghij here", "pk_0123456789abcdefghij"),
    ("token eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1In0.c2lnbmF0dXJl", "eyJzdWIiOiJ1In0"),
    ("postgres://recsys:hunter22@db:5432/recsys is away", "hunter22"),
    ("redis://:hunter22@cache/0", "hunter22"),
    ("password=hunter22 refused", "hunter22"),
    ('{"token": "hunter22"}', "hunter22"),
    ("Cookie: sessionid=hunter22", "hunter22"),
    ("duplicate key\nDETAIL:  Key (comment)=(what a user wrote) already exists.\n", "what a user wrote"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_secrets_and_values_are_masked(text, secret):
    assert secret in text
    assert secret not in scrubbed(text)
    assert MASK in scrubbed(text)


@pytest.mark.parametrize(
    "text",
    [
        "promoted ranker-20261123T101500-0123abcd; before: None",
        "12 tokens were counted",
        "https://cdn.example.com/a:b@c",
    ],
)
def test_what_is_no_secret_stays(text):
    assert scrubbed(text) == text


def record(text="%s done", *args, **more):
    return logging.LogRecord("recsys.test", logging.INFO, __file__, 1, text, args, more.get("exc_info"))


def test_json_is_one_object_a_line_with_the_ids():
    token = REQUEST_ID.set("request-0001")
    try:
        entry = record("two\nlines %s", "here")
        entry.fields = {"status": 200}
        line = Objects().format(entry)
    finally:
        REQUEST_ID.reset(token)
    assert "\n" not in line
    said = json.loads(line)
    assert said["message"] == "two\nlines here"
    assert (said["level"], said["logger"], said["request_id"], said["status"]) == (
        "INFO", "recsys.test", "request-0001", 200,
    )  # fmt: skip
    assert "task_id" not in said


def test_a_traceback_is_masked_in_both_formats():
    try:
        raise ValueError("no such key sk_0123456789abcdefghij")
    except ValueError:
        fault = record("it failed", exc_info=sys.exc_info())
    for formatter in (Objects(), Lines("{message}", style="{")):
        text = formatter.format(fault)
        assert "Traceback" in text
        assert "sk_0123456789abcdefghij" not in text


def test_a_line_for_people_ends_with_the_task():
    token = TASK_ID.set("t-1")
    try:
        assert Lines("{message}", style="{").format(record("%s done", "all")) == "all done [task_id=t-1]"
    finally:
        TASK_ID.reset(token)
    assert Lines("{message}", style="{").format(record("%s done", "all")) == "all done"
