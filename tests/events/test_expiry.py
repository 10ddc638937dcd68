"""Contents that end by themselves: gone at the moment, everywhere, and noticed by whoever reads what changed."""

from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from events import api_keys, authentication, catalogue, client_tokens, figures, queries, tasks
from events.catalogue import NewContent
from events.catalogue_reader import CatalogueReader
from events.models import Content

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def register(content_id: str, expires_at=None) -> None:
    now = timezone.now()
    catalogue.register_content(NewContent(content_id, "k1", now, {"category": "sea"}, expires_at=expires_at))


@pytest.fixture
def three() -> None:
    register("open")
    register("later", timezone.now() + HOUR)
    register("ended", timezone.now() - HOUR)


def test_no_query_of_what_may_be_shown_finds_an_expired_content(three):
    every = ["open", "later", "ended"]
    assert queries.eligible(every) == set(queries.eligible_cards(every)) == {"open", "later"}
    assert set(queries.newest_contents(9)) == {"open", "later"}
    assert figures.active_by_category() == {"sea": 2}
    table = queries.catalogue_table()
    assert set(table.content_id[table.active]) == {"open", "later"}


def test_a_card_says_that_its_content_is_expired(three):
    cards = queries.content_cards(["open", "ended"])
    assert (cards["open"].is_shown, cards["ended"].is_shown) == (True, False)
    assert cards["ended"].status == "active"


def test_an_end_that_comes_by_itself_reaches_those_who_read_what_changed():
    register("soon", timezone.now() + HOUR)
    register("open")
    reader = CatalogueReader()
    assert reader.read().active.tolist() == [True, True]
    # The hour passes.
    past = timezone.now() - HOUR
    Content.objects.filter(content_id="soon").update(expires_at=past, updated_at=past - HOUR)
    before = queries.catalogue_changed_at()
    tasks.note_expired()
    assert queries.catalogue_changed_at() > before
    table = reader.read()
    assert dict(zip(table.content_id, table.active, strict=True)) == {"open": np.True_, "soon": np.False_}
    assert catalogue.note_expired(now=timezone.now()) == 0


def test_the_door_takes_an_end_and_hides_what_has_ended_from_end_users():
    authentication.forget_keys()
    _, secret = api_keys.create_key("tests")
    server = APIClient(headers={"Authorization": f"Bearer {secret}"})
    user = APIClient(headers={"Authorization": f"Bearer {client_tokens.mint('mia', now=timezone.now())[0]}"})
    url = "/api/v1/contents/c1"
    answer = server.put(url, {"creator_id": "k", "expires_at": "2020-01-01T00:00:00Z"}, format="json")
    assert (answer.status_code, answer.json()["expires_at"]) == (201, "2020-01-01T00:00:00Z")
    assert (server.get(url).status_code, user.get(url).status_code) == (200, 404)
    assert server.put(url, {"creator_id": "k", "expires_at": None}, format="json").json()["expires_at"] is None
    assert user.get(url).status_code == 200
