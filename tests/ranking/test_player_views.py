"""The player's doors: whom they let act as whom, and only while the demo player is on."""

import json
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from events.catalogue import NewProfile, update_profiles
from events.client_tokens import verify

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _demo_player(settings):
    settings.DEMO_PLAYER = True


def config_of(response):
    found = re.search(r'<script id="player-config" type="application/json">(.*?)</script>', response.content.decode())
    return json.loads(found.group(1))


def test_a_visitor_is_a_new_guest_and_stays_the_same_one(client):
    first = config_of(client.get("/"))
    assert re.fullmatch(r"guest-[0-9a-f]{12}", first["userId"])
    assert verify(first["token"], now=timezone.now()) == first["userId"]
    assert config_of(client.get("/"))["userId"] == first["userId"]
    assert config_of(Client().get("/"))["userId"] != first["userId"]


def test_starting_over_makes_another_guest(client):
    first = config_of(client.get("/"))["userId"]
    response = client.post("/")
    assert (response.status_code, response["Location"]) == (302, "/")
    assert config_of(client.get("/"))["userId"] != first


def test_a_cookie_that_names_a_real_user_is_replaced_by_a_guest(client):
    client.cookies["recsys_guest"] = "demo-0001"
    assert config_of(client.get("/"))["userId"].startswith("guest-")


def test_the_page_of_a_named_user_renews_the_token_of_that_user(client):
    config = config_of(client.get("/?user=anna@example.org"))
    assert config["userId"] == "anna@example.org"
    answer = client.post(config["tokenUrl"]).json()
    assert verify(answer["token"], now=timezone.now()) == "anna@example.org"
    assert timedelta(minutes=59) < timezone.datetime.fromisoformat(answer["expires_at"]) - timezone.now()


def test_a_malformed_user_is_refused_by_both_doors(client):
    assert client.get("/", {"user": "<script>"}).status_code == 400
    response = client.post("/player/token?user=%3Cscript%3E")
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_user_id"
    assert "<script>" in response.json()["error"]["message"]


def test_a_token_needs_somebody_to_speak_for_and_the_csrf_token(client):
    assert client.post("/player/token").status_code == 400
    strict = Client(enforce_csrf_checks=True)
    strict.get("/")
    assert strict.post("/player/token").status_code == 403


def test_the_personas_are_offered_with_their_labels(client):
    update_profiles([NewProfile(user_id="demo-0001", demographics={}, preferences={"persona": "Ocean <lover>"})])
    page = client.get("/").content.decode()
    assert 'href="/?user=demo-0001"' in page
    assert "Ocean &lt;lover&gt;" in page


def test_without_the_demo_player_nobody_gets_a_token(client, settings):
    settings.DEMO_PLAYER = False
    response = client.get("/?user=anna")
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login")
    assert client.post("/").status_code == 302
    response = client.post("/player/token?user=anna")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


def test_the_page_holds_a_token_and_is_never_stored(client):
    assert "no-store" in client.get("/")["Cache-Control"]
