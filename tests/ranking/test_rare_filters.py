"""A filter finds what it names, however rare that is and whoever proposed it."""

from datetime import timedelta

import pytest
from django.db import connection

from events.catalogue import NewContent, register_contents
from events.tags import contents_tagged
from features import store
from features.materialize import materialize
from ranking import tagged
from ranking.shelves import current_stock
from tests.ranking.feeds import CLIP_S, NOW

URL = "/api/v1/feed"
RARE = {"rare-0", "rare-1", "rare-2"}


@pytest.fixture
def crowded(snapshot) -> None:
    """Three contents like no others, behind more newer ones than a page looks at."""
    old = NOW - timedelta(days=300)
    register_contents(
        NewContent(f"usual-{number:03d}", f"maker-{number % 9}", NOW - timedelta(days=9, minutes=number),
                   {"category": "neon", "tags": ["usual"]}, duration_s=CLIP_S, language="en")
        for number in range(400)
    )  # fmt: skip
    register_contents(
        NewContent(
            each, "hermit", old, {"category": "moss", "tags": ["Lichen", "grey"]}, duration_s=CLIP_S, language="eo"
        )
        for each in sorted(RARE)
    )
    materialize(until=NOW)
    store.forget()


def walk(server, **told) -> list[str]:
    page = server.get(URL, {"user_id": "mia", "limit": 2, **told}).json()
    shown = [item["content_id"] for item in page["items"]]
    while page["next_cursor"] and len(shown) < 20:
        page = server.get(URL, {"user_id": "mia", "limit": 2, **told, "cursor": page["next_cursor"]}).json()
        shown += [item["content_id"] for item in page["items"]]
    return shown


@pytest.mark.parametrize(
    "told",
    [
        {"filter": 'tags = "Lichen"'},
        {"filter": 'tags in ("grey", "nobody has it") and duration_s < 9'},
        {"filter": 'not tags in ("usual", "ocean", "neon", "fractal", "automata")'},
        {"filter": 'category = "moss"'},
        {"filter": 'language = "eo"'},
        {"filter": 'creator_id = "hermit"'},
        {"filter": 'content_id in ("rare-0", "rare-1", "rare-2")'},
        {"filter": "age_h > 5000"},
        {"filter": 'tags = "grey"', "surface": "latest"},
        {"filter": 'tags = "grey"', "surface": "trending"},
        {"categories": "moss"},
        {"categories": "moss", "surface": "category"},
        {"languages": "eo"},
        {"surface": "creator", "creator_id": "hermit"},
    ],
)
def test_a_rare_filter_finds_all_that_there_is(crowded, server, told):
    shown = walk(server, **told)
    assert len(shown) == 3
    assert set(shown) == RARE


def test_a_tag_that_nobody_has_gives_an_empty_page(crowded, server):
    assert walk(server, filter='tags = "nobody has it"') == []


def test_a_boost_by_tag_lifts_what_has_it(crowded, server):
    told = {"user_id": "mia", "limit": 20, "boost": 'tags = "ocean" => 3', "explain": True, "exploration": 0.0}
    page = server.post(URL, told, format="json").json()
    for item in page["items"]:
        assert item["explanation"]["signals"]["boost"] == (3.0 if "ocean" in item["content"]["tags"] else 0.0)
    assert sum("ocean" in item["content"]["tags"] for item in page["items"]) >= 8


def test_contents_without_any_tag_are_found_as_such(crowded):
    register_contents(
        [
            NewContent("bare", "k", NOW, {}),
            NewContent("empty", "k", NOW, {"tags": []}),
            NewContent("odd", "k", NOW, {"tags": "grey"}),
        ]
    )
    assert contents_tagged([""]) == ["bare", "empty", "odd"]
    assert contents_tagged(["", "Lichen"]) == ["bare", "empty", "odd", *sorted(RARE)]
    assert contents_tagged([]) == []


def test_tags_are_looked_up_by_their_index(crowded):
    with connection.cursor() as cursor:
        # On a small table the planner would rather read all of it.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT content_id FROM content WHERE metadata -> 'tags' ?| %s", [["grey"]])
        assert "content_tags" in "\n".join(row for (row,) in cursor.fetchall())


def test_a_rare_tag_is_asked_for_anew_and_a_common_one_now_and_then(crowded, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(tagged, "COMMON", 100)
    monkeypatch.setattr(tagged, "_kept", {})
    snapshot = current_stock().snapshot
    usual, rare = frozenset({"usual"}), frozenset({"grey"})
    with django_assert_num_queries(1):
        assert len(tagged.rows_tagged(snapshot, usual)) == 400
        assert len(tagged.rows_tagged(snapshot, usual)) == 400
    with django_assert_num_queries(2):
        assert len(tagged.rows_tagged(snapshot, rare)) == len(tagged.rows_tagged(snapshot, rare)) == 3
    monkeypatch.setattr(tagged, "KEPT_S", -1.0)
    monkeypatch.setattr(tagged, "_kept", {})
    with django_assert_num_queries(2):
        assert len(tagged.rows_tagged(snapshot, usual)) == len(tagged.rows_tagged(snapshot, usual)) == 400
