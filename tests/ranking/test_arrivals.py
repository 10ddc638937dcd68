"""A new upload is in the feeds before the next snapshot is."""

import uuid
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from events.catalogue import NewContent, register_contents, set_moderation_state
from events.ingestion import ingest
from events.models import Content
from features import arrivals, store
from features.materialize import materialize
from ranking.feed import FeedRequest, build_feed
from ranking.hot import categories
from ranking.models import Served
from ranking.shelves import Stock, current_stock, refresh_stock, shelf_of
from ranking.similar import SimilarRequest, similar
from tests.ranking.feeds import CLIP_S, NOW, event, family_of


@pytest.fixture
def kept(snapshot, monkeypatch):
    """A process that keeps its stock up to date by hand."""
    monkeypatch.setattr(store, "RECHECK_S", 0.0)
    monkeypatch.setattr(arrivals, "ERASED_S", 0.0)
    refresh_stock()


def upload(name, *, creator="newcomer", category="neon", at=NOW):
    register_contents(
        [
            NewContent(
                content_id=name, creator_id=creator, upload_timestamp=at, duration_s=CLIP_S, language="en",
                metadata={"caption": "glow grid light city", "tags": [category], "category": category},
            )
        ]
    )  # fmt: skip


def shown(user="viewer", **request):
    # An id made of the request keeps exploration the same on every run.
    asked = FeedRequest(user, request.pop("limit", 10), **request)
    feed = build_feed(asked, now=NOW, request_id=uuid.uuid5(uuid.NAMESPACE_OID, f"{user} {request}"))
    return [item.content_id for item in feed.items]


def follow(user, creator):
    raw = event("follow", user, "", NOW - timedelta(minutes=1)) | {"creator_id": creator}
    raw.pop("content_id")
    assert ingest([raw], now=NOW, source="test").accepted == 1


def test_it_is_on_every_surface_that_lists(kept):
    upload("neon-new")
    follow("fan", "newcomer")
    assert "neon-new" not in shown("a", surface="latest")
    refresh_stock()
    assert shown("b", surface="latest")[0] == "neon-new"
    assert shown("c", surface="creator", creator_id="newcomer") == ["neon-new"]
    assert shown("fan", surface="following") == ["neon-new"]
    assert "neon-new" in shown("d", surface="category", categories=frozenset({"neon"}), limit=20)


def test_a_category_that_nobody_had_is_a_category(kept):
    upload("chess-new", category="chess")
    refresh_stock()
    assert shown("a", surface="category", categories=frozenset({"chess"})) == ["chess-new"]
    assert ("chess", 1) in categories().items


def test_it_has_contents_like_it_and_is_like_others(kept):
    upload("neon-new")
    refresh_stock()
    page = similar(SimilarRequest("neon-new", count=5), now=NOW)
    assert page.fallback_level == "similar"
    assert {family_of(candidate.content_id) for candidate, _ in page.items} == {"neon"}
    others = [similar(SimilarRequest(f"neon-{clip:02d}", count=20), now=NOW) for clip in range(16)]
    assert any("neon-new" in {candidate.content_id for candidate, _ in page.items} for page in others)


@pytest.mark.parametrize("ranked", [False, True])
def test_everybody_may_be_the_one_it_is_guaranteed_to(kept, champion, ranked):
    if ranked:
        champion()
    # All others are too old to be promised anything.
    Content.objects.update(upload_timestamp=NOW - timedelta(days=30), updated_at=timezone.now())
    materialize(until=NOW)
    refresh_stock()
    upload("neon-new")
    refresh_stock()
    stock = current_stock()
    assert stock.due(50).rows.tolist() == [stock.shelf.row_of["neon-new"]]
    found = 0
    for number in range(20):
        asked = FeedRequest(f"somebody-{number}", 20)
        feed = build_feed(asked, now=NOW, request_id=uuid.uuid5(uuid.NAMESPACE_OID, str(number)))
        found += any(item.content_id == "neon-new" for item in feed.items)
        assert feed.fallback_level == ("ranked" if ranked else "light")
    assert found >= 18, "the one that is due is on nearly every page; caps may move it behind the end of one"


def test_a_page_with_it_is_logged_with_its_features(kept, champion):
    champion()
    upload("neon-new")
    refresh_stock()
    shown("a", surface="latest")
    row = Served.objects.get(user_id="a", content_id="neon-new")
    stock = current_stock()
    assert len(bytes(row.features)) > 4 * stock.snapshot.features.shape[1]
    assert row.counted_until.timestamp() == stock.snapshot.until


def test_what_is_hidden_is_gone_and_what_is_released_is_there(kept):
    upload("neon-new")
    refresh_stock()
    set_moderation_state("neon-new", status="hidden")
    assert "neon-new" not in shown("a", surface="latest"), "whatever the stock still says"
    refresh_stock()
    assert "neon-new" not in shown("b", surface="latest")
    assert current_stock().shelf.row_of["neon-new"] not in current_stock().shelf.newest
    set_moderation_state("neon-new", status="active")
    refresh_stock()
    assert shown("c", surface="latest")[0] == "neon-new"


def test_what_is_erased_is_gone(kept):
    upload("neon-new")
    refresh_stock()
    row = current_stock().shelf.row_of["neon-new"]
    Content.objects.filter(content_id="neon-new").delete()
    assert "neon-new" not in shown("a", surface="latest")
    refresh_stock()
    stock = current_stock()
    assert "neon-new" not in stock.shelf.row_of
    assert row not in stock.shelf.newest
    assert row not in stock.due(50).rows


def test_when_the_snapshot_catches_up_nothing_is_doubled_or_lost(kept):
    names = [f"neon-new-{number}" for number in range(5)]
    for number, name in enumerate(names[:3]):
        upload(name, at=NOW + timedelta(seconds=number))
    refresh_stock()
    assert shown("a", surface="latest", limit=50)[:3] == names[2::-1]
    materialize(until=NOW)
    for number, name in enumerate(names[3:], start=3):
        upload(name, at=NOW + timedelta(seconds=number))
    refresh_stock()
    page = shown("b", surface="latest", limit=50)
    assert page[:5] == names[::-1]
    assert len(set(page)) == len(page) == 50


def test_the_mended_stock_is_the_one_that_would_be_made_anew(kept):
    # Asked for before: what a stock remembers of its newcomers is no other stock's.
    current_stock().due(50)
    for number, hours in enumerate((1, 40, 400, 2)):
        upload(f"neon-new-{number}", creator=f"maker-{number}", at=NOW - timedelta(hours=hours))
        refresh_stock()
    for each in ("neon-03", "neon-new-1"):
        set_moderation_state(each, status="hidden")
    refresh_stock()
    mended = current_stock()
    anew = Stock(mended.snapshot, shelf_of(mended.snapshot))
    for name in ("newest", "hottest"):
        assert np.array_equal(getattr(mended.shelf, name), getattr(anew.shelf, name)), name
    for name in ("new", "newcomers", "creator_group"):
        assert np.array_equal(getattr(mended, name), getattr(anew, name)), name
    assert np.array_equal(mended.due(50).need, anew.due(50).need)
    assert (mended.shelf.categories, mended.shelf.creators) == (anew.shelf.categories, anew.shelf.creators)


def test_who_reads_the_stock_before_is_not_disturbed(kept):
    before = current_stock()
    upload("neon-new", creator="nobody", category="chess")
    refresh_stock()
    after = current_stock()
    row = after.shelf.row_of["neon-new"]
    assert row not in before.shelf.newest
    assert len(before.shelf) == len(after.shelf)
    assert before.shelf.row_of["neon-new"] == row, "it may look it up, and finds a row that it has"
    assert before.snapshot.creators.tolist() == after.snapshot.creators.tolist()[:-1]
    assert replace(after.belief).trials[row] == 0.0
