"""Every source and every filter keeps its contract, whatever it is asked."""

from dataclasses import replace

import numpy as np
import pytest

from ranking.candidates.content_based import ContentBased
from ranking.candidates.filters import Active, NotRefused, UnlikeSeen, Unseen
from ranking.candidates.following import Following
from ranking.candidates.fresh import Fresh
from ranking.candidates.given import Given
from ranking.candidates.listings import Newest
from ranking.candidates.popular import Popular
from ranking.candidates.sequential import Sequential
from ranking.candidates.trending import Trending
from ranking.pipeline.run import check_ids, check_mask
from ranking.pipeline.shelf import session_taste
from tests.worlds import families, history, query, watched

WORLD = families()
SHELF = WORLD.shelf
EMPTY = families(size=0).shelf
FANS_OF_0 = [SHELF.content_id[row] for row in np.flatnonzero(WORLD.family == 0)[:3]]
PAST = history(*(event for clip in FANS_OF_0 for event in watched(clip)))
VECTOR = SHELF.embedding[np.flatnonzero(WORLD.family == 0)[0]]

SOURCES = {
    "popular": lambda shelf, past: Popular(shelf),
    "trending": lambda shelf, past: Trending(shelf, np.arange(len(shelf))[::-3]),
    "latest": lambda shelf, past: Newest(shelf),
    "fresh": lambda shelf, past: Fresh(shelf),
    "following": lambda shelf, past: Following(shelf, np.unique(shelf.creator)),
    "content_based": lambda shelf, past: ContentBased(shelf),
    "sequential": lambda shelf, past: Sequential(shelf, session_taste(past, shelf)),
}
FILTERS = {
    "active": Active,
    "not_refused": lambda shelf: NotRefused(np.array([1, 2])),
    "unlike_seen": lambda shelf: UnlikeSeen(replace(shelf, look=(np.arange(len(shelf)) // 2).astype(np.int32))),
    "unseen": lambda shelf: Unseen(),
}


@pytest.mark.parametrize("name", SOURCES)
class TestEverySource:
    @pytest.mark.parametrize("limit", [1, 5, 10_000])
    def test_rows_are_unique_bounded_and_of_the_catalogue(self, name, limit):
        rows = SOURCES[name](SHELF, PAST).retrieve(query(past=PAST, user_vector=VECTOR), limit)
        check_ids(rows, limit, len(SHELF))
        assert len(rows) > 0

    def test_a_longer_list_starts_with_the_shorter_one(self, name):
        source = SOURCES[name](SHELF, PAST)
        asked = query(past=PAST, user_vector=VECTOR)
        assert source.retrieve(asked, 5).tolist() == source.retrieve(asked, 12).tolist()[:5]

    def test_seen_contents_do_not_use_up_the_quota(self, name):
        source = SOURCES[name](SHELF, PAST)
        first = source.retrieve(query(past=PAST, user_vector=VECTOR), 4)
        second = source.retrieve(query(past=PAST, user_vector=VECTOR, seen=first.tolist()), 4)
        assert len(second) == 4
        assert not set(first.tolist()) & set(second.tolist())

    def test_a_new_user_is_no_error(self, name):
        nobody = query()
        rows = SOURCES[name](SHELF, nobody.history).retrieve(nobody, 10)
        check_ids(rows, 10, len(SHELF))
        assert (len(rows) == 0) == (name in {"content_based", "sequential"})

    def test_an_empty_catalogue_gives_nothing(self, name):
        assert len(SOURCES[name](EMPTY, PAST).retrieve(query(past=PAST, user_vector=VECTOR), 10)) == 0


@pytest.mark.parametrize("name", FILTERS)
class TestEveryFilter:
    def test_one_bool_per_candidate_in_their_order(self, name):
        stage = FILTERS[name](SHELF)
        candidates = np.arange(20)
        asked = query(seen=[1, 7])
        keep = stage.keep(asked, candidates)
        check_mask(keep, 20)
        order = np.random.default_rng(1).permutation(20)
        assert stage.keep(asked, candidates[order]).tolist() == keep[order].tolist()

    def test_no_candidates_give_an_empty_mask(self, name):
        check_mask(FILTERS[name](SHELF).keep(query(), np.empty(0, np.int64)), 0)


def test_given_rows_come_out_as_they_went_in_seen_or_not():
    rows = np.array([7, 3, 5])
    assert Given(rows).retrieve(query(seen=[3]), 2).tolist() == [7, 3]
