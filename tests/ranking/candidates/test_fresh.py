"""New uploads first; a quiet catalogue still has newest ones."""

from dataclasses import replace

import numpy as np

from ranking.candidates.fresh import Fresh
from tests.worlds import NOW, families, query

SHELF = families().shelf
DAY_S = 86_400.0


def test_only_the_last_seven_days_newest_first():
    uploaded = NOW.timestamp() - np.arange(64) * DAY_S
    rows = Fresh(replace(SHELF, uploaded_s=uploaded)).retrieve(query(), 50)
    assert rows.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


def test_an_old_catalogue_offers_its_newest_tenth():
    uploaded = NOW.timestamp() - 900 * DAY_S - np.arange(64) * DAY_S
    rows = Fresh(replace(SHELF, uploaded_s=uploaded)).retrieve(query(), 50)
    assert rows.tolist() == list(range(7))


def test_inactive_uploads_are_not_offered():
    active = SHELF.active.copy()
    newest = int(SHELF.uploaded_s.argmax())
    active[newest] = False
    assert newest not in Fresh(replace(SHELF, active=active)).retrieve(query(), 50)
