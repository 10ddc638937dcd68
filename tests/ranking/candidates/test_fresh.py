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


def test_what_is_due_comes_first_and_what_needs_it_most_is_reached_by_most_users():
    due = np.arange(40)
    worth = np.where(due < 8, 1.0, 0.05)
    reached = np.zeros(64)
    for number in range(500):
        asked = replace(query(), user_id=f"u{number}")
        rows = Fresh(SHELF, due, np.cumsum(worth)).retrieve(asked, 20)
        assert len(set(rows.tolist())) == len(rows)
        assert np.isin(rows[:10], due).all()
        reached[rows[:10]] += 1
    assert (reached[due] > 0).all()
    assert reached[7] > 5 * reached[30]
