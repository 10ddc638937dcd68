"""Fixed orders: latest upload first, and what rises before what is popular."""

import numpy as np

from ranking.pipeline.run import check_scores
from ranking.rerank.orders import ByTrend, ByUpload
from tests.worlds import families, query

SHELF = families().shelf
ROWS = np.arange(len(SHELF))[::-1].copy()


def test_by_upload_the_latest_comes_first():
    scores = ByUpload(SHELF).score(query(), ROWS)
    check_scores(scores, len(ROWS))
    uploaded = SHELF.uploaded_s[ROWS[np.argsort(-scores, kind="stable")]]
    assert (np.diff(uploaded) <= 1.0).all()


def test_by_trend_what_rises_comes_first_in_its_order_then_the_popular():
    rising = np.array([5, 2, 9])
    scores = ByTrend(SHELF, rising).score(query(), ROWS)
    check_scores(scores, len(ROWS))
    order = ROWS[np.argsort(-scores, kind="stable")]
    assert order[:3].tolist() == [5, 2, 9]
    assert (np.diff(SHELF.popularity[order[3:]]) <= 1e-6).all()


def test_without_trends_and_candidates_nothing_breaks():
    nothing = np.empty(0, np.int64)
    assert len(ByTrend(SHELF, nothing).score(query(), nothing)) == len(ByUpload(SHELF).score(query(), nothing)) == 0
    assert (ByTrend(SHELF, nothing).score(query(), ROWS) < 1.0).all()
