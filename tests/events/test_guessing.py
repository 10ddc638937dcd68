"""Keys and tokens that do not hold: each address may be wrong some times, and what holds goes on working elsewhere."""

import time
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from events import api_keys, client_tokens
from tests.events.conftest import make_event

pytestmark = pytest.mark.django_db
EVENTS = "/api/v1/events"
BEACON = "/api/v1/events/beacon"


@pytest.fixture(autouse=True)
def _three_failures(settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "failure": (0.5, 3)}


@pytest.fixture
def address():
    """One that no other test has used up."""
    return f"10.2.{uuid.uuid4().int % 256}.{uuid.uuid4().int % 256}"


def send(secret, address):
    client = APIClient(REMOTE_ADDR=address)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client.post(EVENTS, {"events": [make_event()]}, format="json")


def guess():
    body = "sk_" + uuid.uuid4().hex + "A" * 11
    return body + api_keys._checksum(body)


@pytest.mark.parametrize("secret", [guess, lambda: "sk_short", lambda: "no.jwt.atall", lambda: "x" * 10_000])
def test_an_address_that_guesses_is_told_to_wait(address, secret):
    answers = [send(secret(), address) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert answers[-1].json()["error"]["code"] == "too_many_requests"
    assert 1 <= int(answers[-1]["Retry-After"]) <= 2


def test_a_right_guess_is_not_even_noticed_while_the_address_is_blocked(address):
    _, secret = api_keys.create_key("shop")
    for _ in range(4):
        send(guess(), address)
    assert send(secret, address).status_code == 429
    assert send(secret, "10.9.9.9").status_code == 202


def test_a_server_that_is_known_is_not_locked_out_by_a_guesser_beside_it(address, server_key):
    assert send(server_key, address).status_code == 202
    for _ in range(5):
        send(guess(), address)
    assert send(server_key, address).status_code == 202
    assert send(guess(), address).status_code == 429


def test_users_with_tokens_are_not_locked_out_by_a_guesser_behind_their_proxy(address):
    token, _ = client_tokens.mint("u1", now=timezone.now())
    for wrong in (guess, lambda: "no.jwt.atall"):
        assert [send(wrong(), address).status_code for _ in range(5)][-1] == 429
        assert [send(token, address).status_code for _ in range(3)] == [202] * 3
        body = {"token": token, "events": [make_event()]}
        assert APIClient(REMOTE_ADDR=address).post(BEACON, body, format="json").status_code == 202
    assert send(token[:-4] + "AAAA", address).status_code == 429


def test_a_blocked_guesser_costs_no_query(address, django_assert_num_queries):
    for _ in range(4):
        send(guess(), address)
    with django_assert_num_queries(0):
        assert send(guess(), address).status_code == 429


def test_the_beacon_counts_as_well(address):
    def beacon():
        body = {"token": guess(), "events": [make_event()]}
        return APIClient(REMOTE_ADDR=address).post(BEACON, body, format="json").status_code

    assert [beacon() for _ in range(5)] == [401, 401, 401, 429, 429]


def test_an_expired_token_is_no_guess(address):
    token, _ = client_tokens.mint("u1", now=timezone.now() - timedelta(days=2))
    assert [send(token, address).json()["error"]["code"] for _ in range(6)] == ["token_expired"] * 6


def test_the_address_may_try_again_after_the_time_it_was_told(address, server_key):
    for _ in range(4):
        answer = send(guess(), address)
    assert send(server_key, address).status_code == 429
    time.sleep(int(answer["Retry-After"]))
    assert send(server_key, address).status_code == 202


def test_nothing_is_counted_where_limits_are_off(address, settings):
    settings.RATE_LIMITS = {}
    assert {send(guess(), address).status_code for _ in range(6)} == {401}
