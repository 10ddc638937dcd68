"""Asking a fitted model for every user of a split, and what it found over the full catalogue, seen contents removed.

The one measure that chooses settings, for peers and for ours alike, is NDCG@10 and Recall@100 over those of popularity:
a setting that is best for the head and another that is best for the first hundred would else need two rows each.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.embeddings.behaviour import SequentialItemModel
from ranking.evaluation import catalogue
from recsys.benchmarks.retrieval_data import Ids, Split

Floats = NDArray[np.float64]
Table = NDArray[np.float32]

DEPTHS: Final = (20, 100, 500)
LIST: Final = 20
"""Coverage, inequality, novelty and diversity are told of lists of so many."""
USERS_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """The users of a split who have a target, in order of their code, with what is known of each as rows.

    Attributes
    ----------
    user : int64 array (u,)
    enjoyed, met, seen, target : one array of rows per user; `enjoyed` and `met` oldest first
    """

    user: Ids
    enjoyed: list[Ids]
    met: list[Ids]
    target: list[Ids]

    @classmethod
    def of(cls, split: Split, *, most: int | None = None) -> "Asked":
        """All users with a target, or `most` of them spread evenly over their codes."""
        user = np.unique(split.target_user)
        if most is not None and len(user) > most:
            user = user[np.linspace(0, len(user) - 1, most).astype(np.int64)]
        columns = (
            (split.query_user, split.query_row), (split.seen_user, split.seen_row),
            (split.target_user, split.target_row),
        )  # fmt: skip
        return cls(user, *(_grouped(*column, user) for column in columns))

    def __len__(self) -> int:
        return len(self.user)

    def part(self, first: int, count: int) -> "Asked":
        """`count` users from the `first` on."""
        end = first + count
        return Asked(self.user[first:end], self.enjoyed[first:end], self.met[first:end], self.target[first:end])


Ask = Callable[[Asked], Table]
"""Users to one score per content, (users, n)."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a model found: one value per user, in the order of `Asked`, and the lists it would show.

    Attributes
    ----------
    ndcg, reciprocal_rank : float64 arrays (u,); NDCG@10
    recall : float64 arrays (u,) by depth
    lists : int64 array (u, 20), rows best first, -1 where a user has seen nearly all
    fit_s, ask_s : seconds of one core; `ask_s` for all users
    setting : what the search chose, "" where there was none
    """

    ndcg: Floats
    reciprocal_rank: Floats
    recall: dict[int, Floats]
    lists: Ids
    fit_s: float
    ask_s: float
    setting: str = ""


def find(asked: Asked, ask: Ask, *, fit_s: float = 0.0, setting: str = "") -> Found:
    """Ask for all users and compare the answers with their targets."""
    ndcg, rank = np.zeros(len(asked)), np.zeros(len(asked))
    recall = {depth: np.zeros(len(asked)) for depth in DEPTHS}
    lists = np.full((len(asked), LIST), -1, np.int64)
    ask_s = 0.0
    for first in range(0, len(asked), USERS_AT_ONCE):
        part = asked.part(first, USERS_AT_ONCE)
        started = time.process_time()
        scores = ask(part)
        ask_s += time.process_time() - started
        for at, (row, met, target) in enumerate(zip(scores, part.met, part.target, strict=True), first):
            best = catalogue.best_first(row, met, max(DEPTHS))
            hit = np.isin(best, target)
            ndcg[at], rank[at] = catalogue.ndcg_at(hit, len(target)), catalogue.reciprocal_rank(hit)
            lists[at, : len(best[:LIST])] = best[:LIST]
            for depth in DEPTHS:
                recall[depth][at] = catalogue.recall_at(hit, len(target), depth)
    return Found(ndcg, rank, recall, lists, fit_s, ask_s, setting)


class Measure:
    """NDCG@10 and Recall@100 of some users in units of what popularity finds for them; a callable over (u, n) scores.

    Ranks of the targets are counted instead of sorting the catalogue, because a search asks hundreds of times. A
    target tied with others counts as the last of them, so that a model that scores all alike finds nothing.
    """

    def __init__(self, asked: Asked, popularity: Floats) -> None:
        self.asked = asked
        self.place = np.repeat(np.arange(len(asked)), [len(each) for each in asked.target])
        self.target = np.concatenate(asked.target)
        self.wanted = np.bincount(self.place, minlength=len(asked))
        self.met_place = np.repeat(np.arange(len(asked)), [len(each) for each in asked.met])
        self.met = np.concatenate(asked.met)
        self.base = np.maximum(self.figures(np.tile(popularity.astype(np.float32), (len(asked), 1))), 1e-4)

    def __call__(self, scores: Table) -> float:
        """How many times as much as popularity, the mean of both figures."""
        return float((self.figures(scores) / self.base).mean())

    def figures(self, scores: Table) -> Floats:
        """NDCG@10 and Recall@100, (2,)."""
        level = scores[self.place, self.target]
        rank = np.empty(len(level), np.int64)
        met_score = scores[self.met_place, self.met]
        first = np.searchsorted(self.met_place, np.arange(len(self.asked) + 1))
        for at, (user, bound) in enumerate(zip(self.place.tolist(), level.tolist(), strict=True)):
            above = np.count_nonzero(scores[user] >= bound)
            rank[at] = above - 1 - np.count_nonzero(met_score[first[user] : first[user + 1]] >= bound)
        gain = np.where(rank < 10, 1.0 / np.log2(np.maximum(rank, 0) + 2.0), 0.0)
        best = np.cumsum(1.0 / np.log2(np.arange(10) + 2.0))[np.minimum(self.wanted, 10) - 1]
        users = len(self.asked)
        ndcg = np.bincount(self.place, gain, users) / best
        recall = np.bincount(self.place, rank < 100, users) / self.wanted
        return np.array([ndcg.mean(), recall.mean()])


def ask_one_by_one(model: SequentialItemModel, *, of: str) -> Ask:
    """A model of the product as a batch: `of` says whether it is asked with what users enjoyed or met."""
    return lambda asked: np.stack([model.scores(rows) for rows in getattr(asked, of)])


def ask_same(scores: Floats) -> Ask:
    """The same answer for everybody."""
    return lambda asked: np.tile(scores.astype(np.float32), (len(asked), 1))


def _grouped(owner: Ids, rows: Ids, users: Ids) -> list[Ids]:
    """The rows of each user of an ascending column."""
    first, after = np.searchsorted(owner, users), np.searchsorted(owner, users, side="right")
    return [rows[start:stop] for start, stop in zip(first.tolist(), after.tolist(), strict=True)]
