"""Walks through the feed: no repeats, the same page for the same cursor, whoever asks at the same time."""

import random
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from events import api_keys, authentication
from events.catalogue import NewContent, register_contents, set_moderation_state
from events.ingestion import ingest
from features import store, trends
from features.materialize import materialize
from ranking import registry
from tests.ranking.feeds import event

URL = "/api/v1/feed"
CONTENTS = 1_100
PAGES, PAGE, CLIENTS = 50, 20, 4
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(transactional_db: None, settings: Any, tmp_path: Any) -> Iterator[Ask]:
    """Ask the server for a page, from any thread; there are 1,100 contents with a snapshot, and committed rows."""
    settings.SNAPSHOT_DIR, settings.MODEL_DIR = tmp_path / "snapshots", tmp_path / "models"
    settings.FEED_MAX_IN_WORK, settings.FEED_BUDGET_MS = 100, 60_000
    for module in (registry, store, trends):
        module.forget()
    authentication.forget_keys()
    now = timezone.now()
    register_contents(
        NewContent(
            f"c{number:04d}", f"maker-{number % 97}", now - timedelta(minutes=number),
            {"caption": f"clip {number}", "category": f"kind-{number % 11}"}, duration_s=8.0, language="en",
        )
        for number in range(CONTENTS)
    )  # fmt: skip
    raw = [event("like", f"u{n % 50}", f"c{(n * n) % CONTENTS:04d}", now - timedelta(minutes=n)) for n in range(600)]
    assert ingest(raw, now=now, source="test", historical=True).accepted == 600
    materialize(until=now)
    store.forget()
    _, secret = api_keys.create_key("tests")

    def get(user_id: str, **parameters: Any) -> dict[str, Any]:
        client = APIClient(headers={"Authorization": f"Bearer {secret}"})
        try:
            answer = client.get(URL, {"user_id": user_id, "limit": PAGE, **parameters})
            assert answer.status_code == 200, answer.json()
            body: dict[str, Any] = answer.json()
            return body
        finally:
            connection.close()

    yield get
    for module in (registry, store, trends):
        module.forget()
    authentication.forget_keys()


def ids(page: dict[str, Any]) -> list[str]:
    return [item["content_id"] for item in page["items"]]


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return {**one, "took_ms": 0} == {**other, "took_ms": 0}


def test_fifty_pages_of_four_clients_hold_no_duplicate_and_every_cursor_gives_its_page_again(ask):
    def walk(pages: int) -> list[tuple[str | None, dict[str, Any]]]:
        cursor, found = None, []
        for _ in range(pages):
            page = ask("mia", **({"cursor": cursor} if cursor else {}))
            found.append((cursor, page))
            cursor = page["next_cursor"]
        return found

    with ThreadPoolExecutor(CLIENTS) as clients:
        walks = list(clients.map(walk, [13, 13, 12, 12]))
        pages = [step for each in walks for step in each]
        shown = [content_id for _, page in pages for content_id in ids(page)]
        assert len(pages) == PAGES
        assert len(shown) == len(set(shown)) == PAGES * PAGE
        assert not any(page["repeats"] for _, page in pages)
        # Meanwhile the user did things, and liked what was on those pages.
        now = timezone.now()
        assert ingest([event("like", "mia", each, now) for each in shown[:300]], now=now, source="test").accepted == 300
        continued = [(cursor, page) for cursor, page in pages if cursor]
        random.Random(1).shuffle(continued)
        again = list(clients.map(lambda step: ask("mia", cursor=step[0]), continued * 2))
    assert all(same(page, repeated) for (_, page), repeated in zip(continued * 2, again, strict=True))


def test_clients_that_race_with_one_cursor_get_one_page(ask):
    cursor = ask("mia")["next_cursor"]
    for _ in range(10):
        with ThreadPoolExecutor(8) as clients:
            pages = list(clients.map(lambda _, at=cursor: ask("mia", cursor=at), range(8)))
        assert all(same(page, pages[0]) for page in pages)
        cursor = pages[0]["next_cursor"]


def test_the_pool_is_used_up_before_anything_comes_again(ask):
    shown, cursor = [], None
    while len(shown) < CONTENTS:
        page = ask("mia", limit=50, **({"cursor": cursor} if cursor else {}))
        assert not page["repeats"]
        shown += ids(page)
        cursor = page["next_cursor"]
    assert len(set(shown)) == CONTENTS
    # A walk repeats nothing, so this one ends; a new one may offer again what nobody looked at.
    assert (page["has_more"], cursor) == (False, None)
    page = ask("mia", limit=50)
    assert (len(ids(page)), page["repeats"]) == (50, False)


def test_what_was_swiped_away_before_the_last_thousand_events_does_not_come_while_there_is_more(ask):
    now = timezone.now()
    swipes = [
        event("skip", "mia", f"c{number:04d}", now - timedelta(minutes=1_060 - number), watch_duration=0.4)
        for number in range(1_060)
    ]
    assert ingest(swipes, now=now, source="test", historical=True).accepted == 1_060
    page = ask("mia", limit=40)
    assert sorted(ids(page)) == [f"c{number:04d}" for number in range(1_060, CONTENTS)]
    assert not page["repeats"]
    # Next come those forty once more, for nobody looked at them; then, and only then, what was met longest ago.
    assert set(ids(ask("mia", limit=10))) <= set(ids(page))
    now = timezone.now()
    looks = [event("impression", "mia", content_id, now) for content_id in ids(page)]
    assert ingest(looks, now=now, source="test").accepted == 40
    page = ask("mia", limit=10)
    assert ids(page) == [f"c{number:04d}" for number in range(10)]
    assert page["repeats"]


def hide_and_look(ask: Ask, trials: int) -> int:
    """Hide contents of open pages; returns in how many trials the content was on a page just before."""
    rng = random.Random(5)
    walks = {f"w{number}": [] for number in range(CLIENTS)}
    for user, pages in walks.items():
        cursor = ask(user, limit=10)["next_cursor"]
        for _ in range(3):
            pages.append((cursor, ask(user, limit=10, cursor=cursor)))
            cursor = pages[-1][1]["next_cursor"]
    opened = [(user, cursor, page) for user, pages in walks.items() for cursor, page in pages]
    shown = 0
    with ThreadPoolExecutor(CLIENTS) as clients:
        for trial in range(trials):
            user, cursor, page = opened[trial % len(opened)]
            hidden = rng.choice(ids(page))
            before = ask(user, limit=10, cursor=cursor)
            # Whoever comes first gets the best of the shelf, so a newcomer's page would show it too.
            fresh = ids(ask(f"before-{trial}", limit=10))[0]
            shown += hidden in ids(before)
            for content_id in {hidden, fresh}:  # one content may be both
                assert set_moderation_state(content_id, status="hidden")
            asked = [(user, {"cursor": cursor}), *((f"after-{trial}-{client}", {}) for client in range(CLIENTS - 1))]
            answers = list(clients.map(lambda each: ask(each[0], limit=10, **each[1]), asked))
            for answer in answers:
                assert not {hidden, fresh} & set(ids(answer))
            rest = [content_id for content_id in ids(before) if content_id not in {hidden, fresh}]
            assert ids(answers[0]) == rest
            assert all(len(answer["items"]) == 10 for answer in answers[1:])
            for content_id in {hidden, fresh}:
                assert set_moderation_state(content_id, status="active")
    return shown


def test_what_a_moderator_hides_is_gone_from_the_next_answer_of_everybody_old_cursors_included(ask):
    assert hide_and_look(ask, 200) == 200


@pytest.mark.slow
def test_a_thousand_hidden_contents_are_gone_from_the_next_answer(ask):
    assert hide_and_look(ask, 1_000) == 1_000


@pytest.mark.django_db
def test_a_tampered_cursor_is_refused_as_json(snapshot):
    authentication.forget_keys()
    _, secret = api_keys.create_key("tests")
    client = APIClient(headers={"Authorization": f"Bearer {secret}"})
    cursor = client.get(URL, {"user_id": "mia"}).json()["next_cursor"]
    assert client.get(URL, {"user_id": "mia", "cursor": cursor}).status_code == 200
    for changed, user_id, code in (
        (cursor[:-1] + ("x" if cursor[-1] != "x" else "y"), "mia", "invalid_cursor"),
        (str(uuid.uuid4()), "mia", "invalid_cursor"),
        (cursor, "ben", "cursor_mismatch"),
    ):
        answer = client.get(URL, {"user_id": user_id, "cursor": changed})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
