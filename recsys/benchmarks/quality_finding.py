"""Asking a fitted model for every user of a split, and what it found over the full catalogue, seen contents removed.

The one measure that chooses settings, for peers and for ours alike, is that of the product's own retriever.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ranking.evaluation import catalogue
from ranking.retrieval import measure
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


class Measure(measure.Measure):
    """`ranking.retrieval.measure` of the people who are asked about."""

    def __init__(self, asked: Asked, popularity: Floats) -> None:
        self.asked = asked
        super().__init__(asked.met, asked.target, popularity)


def ask_same(scores: Floats) -> Ask:
    """The same answer for everybody."""
    return lambda asked: np.tile(scores.astype(np.float32), (len(asked), 1))


def _grouped(owner: Ids, rows: Ids, users: Ids) -> list[Ids]:
    """The rows of each user of an ascending column."""
    first, after = np.searchsorted(owner, users), np.searchsorted(owner, users, side="right")
    return [rows[start:stop] for start, stop in zip(first.tolist(), after.tolist(), strict=True)]
