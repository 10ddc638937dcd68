"""The thread that keeps the stock of a process up to date."""

import os
import threading
import time

import pytest
from django.db import OperationalError

from features import store
from ranking import shelves
from ranking.shelves import current_stock
from ranking.stock_keeper import StockKeeper
from tests.ranking.test_arrivals import upload

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_S = 60.0


def until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def has(content_id):
    stock = current_stock()
    return stock is not None and content_id in stock.shelf.row_of


@pytest.fixture
def keeper(snapshot):
    keeper = StockKeeper(every_s=0.02)
    keeper.start()
    yield keeper
    keeper.stop()


def test_an_upload_is_taken_in_without_any_request(keeper):
    upload("neon-new")
    until(lambda: has("neon-new"))


def test_requests_look_neither_at_the_disk_nor_at_the_database(keeper, monkeypatch, django_assert_num_queries):
    until(lambda: current_stock() is not None)
    mine = threading.get_ident()
    looks, look = [], store.snapshot
    monkeypatch.setattr(store, "snapshot", lambda: (looks.append(threading.get_ident()), look())[1])
    with django_assert_num_queries(0):
        current_stock()
    assert mine not in looks


def test_what_goes_wrong_is_told_once_and_tried_again(keeper, monkeypatch, caplog):
    failures, refresh = [], shelves.refresh_stock

    def fail() -> None:
        failures.append(1)
        raise OperationalError("the database is away")

    monkeypatch.setattr(shelves, "refresh_stock", fail)
    until(lambda: len(failures) >= 3)
    assert caplog.text.count("the stock cannot be brought up to date") == 1
    assert current_stock() is not None
    monkeypatch.setattr(shelves, "refresh_stock", refresh)
    upload("neon-new")
    until(lambda: has("neon-new"))


def test_a_forked_process_keeps_a_stock_of_its_own(keeper):
    until(lambda: current_stock() is not None)
    child = os.fork()
    if child == 0:
        # Nothing of the parent's connections may be used, nor closed, here; the keeper's thread has its own.
        deadline = time.monotonic() + PATIENCE_S
        while not has("neon-new") and time.monotonic() < deadline:
            time.sleep(0.01)
        os._exit(0 if has("neon-new") else 1)
    upload("neon-new")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    until(lambda: has("neon-new"))


def test_once_stopped_requests_look_for_themselves(snapshot):
    keeper = StockKeeper(every_s=0.02)
    keeper.start()
    until(lambda: current_stock() is not None)
    keeper.stop()
    store.forget()
    assert current_stock().snapshot is store.snapshot()
