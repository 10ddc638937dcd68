"""The retriever of the serving model finds candidates in the rows of the snapshot, and its absence changes nothing."""

from types import SimpleNamespace

import numpy as np
import pytest

from features.embeddings import behaviour
from features.embeddings.fusion import Fusion
from ranking import finders, registry
from ranking.retrieval import channels
from ranking.retrieval.channels import Models
from ranking.retrieval.retriever import Retriever
from ranking.shelves import current_stock
from tests.ranking.feeds import DIMS, NOW, PASSES, family_of, indifferent_graph, page

IDS = 16


@pytest.fixture(autouse=True)
def nothing_held():
    finders._held.clear()
    yield
    finders._held.clear()


def model(retriever, version="ranker-1"):
    return SimpleNamespace(version=version, retriever=retriever)


def retriever_of(stock, wanted):
    """People met the `wanted` ones together and nothing else."""
    content_id = stock.snapshot.content_id
    rows = stock.snapshot.rows(wanted)
    user, row = np.repeat(np.arange(40), len(rows)), np.tile(rows, 40)
    met = behaviour.fit(user, row, len(content_id), settings=channels.MET_EASE)
    return Retriever.of(Models(None, met, None, {}), Fusion({"met": 1.0, "unheard of": 3.0}), content_id)


def test_finder_of_the_model_finds_what_its_people_met(snapshot):
    stock = current_stock()
    wanted = sorted(each for each in stock.snapshot.content_id if each and family_of(each) == "neon")[:IDS]
    found = finders.stock_with(stock, model(retriever_of(stock, wanted)))
    assert stock.shelf.finder is None
    scores = found.shelf.finder(np.empty(0, np.int64), stock.snapshot.rows(wanted[:2]))
    best = stock.snapshot.content_id[np.argsort(-scores)[: len(wanted)]]
    assert sorted(best) == wanted
    assert found.shelf.row_of is stock.shelf.row_of


def test_finder_is_made_once_and_no_more_are_kept_than_serve(snapshot):
    stock = current_stock()
    retriever = retriever_of(stock, stock.snapshot.content_id[:IDS].tolist())
    one = finders.stock_with(stock, model(retriever)).shelf.finder
    assert finders.stock_with(stock, model(retriever)).shelf.finder is one
    for number in range(10):
        finders.stock_with(stock, model(retriever, f"ranker-{number}"))
    assert len(finders._held) == finders.MOST_HELD


def test_no_request_waits_where_a_thread_makes_the_finders(snapshot, monkeypatch):
    stock = current_stock()
    served = model(retriever_of(stock, stock.snapshot.content_id[:IDS].tolist()))
    monkeypatch.setattr(finders, "is_kept", lambda: True)
    assert finders.stock_with(stock, served) is stock
    finders.prepare(stock, served)
    assert finders.stock_with(stock, served).shelf.finder is not None
    finders.prepare(None, served)
    finders.prepare(stock, None)


def test_without_a_retriever_and_with_one_that_does_not_fit_the_stock_stays(snapshot):
    stock = current_stock()
    assert finders.stock_with(stock, None) is stock
    assert finders.stock_with(stock, model(None)) is stock
    broken = Retriever(("no such content",), None, None, Fusion({"next": 1.0}))
    object.__setattr__(broken, "weights", None)
    assert finders.stock_with(stock, model(broken)) is stock


def test_feed_asks_the_retriever_of_the_promoted_model(snapshot, viewer):
    stock = current_stock()
    wanted = sorted(each for each in stock.snapshot.content_id if each and family_of(each) == "neon")
    viewer.skip(wanted[0])
    version = registry.register(
        indifferent_graph(0.0), kind="mlp", dims=DIMS, config={}, metrics=PASSES, trained_until=NOW, now=NOW,
        retriever=retriever_of(stock, wanted).to_files(),
    )  # fmt: skip
    before = page(viewer, 20)
    assert not any("sequential" in item.sources for item in before.items), "a skip is followed by nothing"
    registry.promote(version, now=NOW)
    after = page(viewer, 20)
    assert after.model_version == version
    proposed = {item.content_id for item in after.items if "sequential" in item.sources}
    assert proposed
    assert proposed <= set(wanted)
