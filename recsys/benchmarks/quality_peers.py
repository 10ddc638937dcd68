"""What else could be used: popularity, item-kNN, EASE, iALS, BPR, word2vec, each at the best of a fair search.

iALS, BPR and item-kNN get twelve settings each, drawn once from a grid, EASE all of its grid, and the best is chosen by
the same measure on the tuning split as ours. A peer that learns from a matrix may learn from what users enjoyed or from
all they met, whichever it likes better, and always gets all that is known when it is asked, the users who are asked
included. Item-kNN, iALS and BPR are those of the package `implicit` (requirements-bench.txt), on one thread.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from typing import Any, Final

import numpy as np
from scipy import sparse

from features.embeddings import word2vec
from features.embeddings.linear import ease_weights
from recsys.benchmarks.quality_finding import Ask, Measure, ask_same
from recsys.benchmarks.retrieval_data import Split
from recsys.benchmarks.scratch import BenchmarkFailedError

SETTINGS: Final = 12
QUICK_SETTINGS: Final = 3
TUNING_USERS: Final = 1_500
DATA: Final = ("enjoyed", "met")
Setting = dict[str, Any]
Make = Callable[[Setting], Ask]
Prepare = Callable[[Split, int], Make]
"""What all settings share on one split is done once; what it returns fits one setting."""


class PeerMissingError(BenchmarkFailedError):
    """A peer's package is not installed; the message says which file names it."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A model that is not ours.

    Attributes
    ----------
    grid : what may be set, by name; the search draws from the product
    settings : how many draws at most
    """

    name: str
    prepare: Prepare
    grid: Mapping[str, Sequence[Any]]
    settings: int = SETTINGS

    def drawn(self, split: Split, *, quick: bool) -> list[Setting]:
        """Settings in an order that the seed decides; `data` falls away where users met only what they enjoyed."""
        grid = dict(self.grid)
        if "data" in grid and len(split.met_user) <= len(split.query_user):
            grid["data"] = ("enjoyed",)
        every = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
        order = np.random.default_rng(5).permutation(len(every))[: QUICK_SETTINGS if quick else self.settings]
        return [every[at] for at in order.tolist()]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The best setting of a search, fitted on the test split, and the seconds of one core that this last fit took."""

    ask: Ask
    setting: Setting
    fit_s: float
    tried: int


def search(peer: Peer, tune: Split, test: Split, contents: int, measure: Measure, *, quick: bool) -> Chosen:
    """Try the settings on the tuning split, fit the best one for the test."""
    settings = peer.drawn(tune, quick=quick)
    make = peer.prepare(tune, contents)
    value = [measure(make(each)(measure.asked)) for each in settings]
    best = settings[int(np.argmax(value))]
    started = time.process_time()
    ask = peer.prepare(test, contents)(best)
    return Chosen(ask, best, time.process_time() - started, len(settings))


def matrix(split: Split, contents: int, data: str) -> sparse.csr_matrix:
    """Users by contents, float32, 1 for what they enjoyed or met up to the moment of asking."""
    if data == "met":
        user, row = split.met_user, split.met_row
    else:
        user, row = np.append(split.fit_user, split.query_user), np.append(split.fit_row, split.query_row)
    users = 1 + max(int(each.max()) for each in (split.met_user, split.fit_user, split.query_user))
    table = sparse.csr_matrix((np.ones(len(user), np.float32), (user, row)), (users, contents))
    table.data[:] = 1.0
    return table


def _popularity(split: Split, _contents: int) -> Make:
    return lambda setting: ask_same(split.popularity[setting["window"]])


def _ease(split: Split, contents: int) -> Make:
    known = _matrices(split, contents)

    def make(setting: Setting) -> Ask:
        mine = known[setting["data"]]
        weights = ease_weights((mine.T @ mine).toarray(), setting["ridge"])
        return lambda asked: np.asarray(mine[asked.user] @ weights, np.float32)

    return make


def _item_knn(split: Split, contents: int) -> Make:
    known, neighbours = _matrices(split, contents), _implicit("nearest_neighbours")

    def make(setting: Setting) -> Ask:
        mine = known[setting["data"]]
        model = getattr(neighbours, setting["likeness"])(K=setting["neighbours"], num_threads=1)
        with warnings.catch_warnings():
            # The package warns of the form in which one of its steps hands a matrix to the next.
            warnings.simplefilter("ignore")
            model.fit(mine, show_progress=False)
        return lambda asked: (mine[asked.user] @ model.similarity).toarray().astype(np.float32)

    return make


def _ials(split: Split, contents: int) -> Make:
    known, als = _matrices(split, contents), _implicit("als")

    def make(setting: Setting) -> Ask:
        model = als.AlternatingLeastSquares(
            factors=setting["factors"], regularization=setting["ridge"], alpha=setting["alpha"], iterations=15,
            num_threads=1, random_state=1,
        )  # fmt: skip
        return _by_factors(model, known[setting["data"]])

    return make


def _bpr(split: Split, contents: int) -> Make:
    known, bpr = _matrices(split, contents), _implicit("bpr")

    def make(setting: Setting) -> Ask:
        model = bpr.BayesianPersonalizedRanking(
            factors=setting["factors"], learning_rate=setting["rate"], regularization=setting["ridge"],
            iterations=setting["passes"], num_threads=1, random_state=1,
        )  # fmt: skip
        return _by_factors(model, known[setting["data"]])

    return make


def _by_factors(model: Any, known: sparse.csr_matrix) -> Ask:
    """Fit a model of `implicit` that has factors, and ask it by their inner products."""
    model.fit(known, show_progress=False)
    return lambda asked: np.asarray(model.user_factors[asked.user] @ model.item_factors.T, np.float32)


def _word2vec(split: Split, contents: int) -> Make:
    """Vectors are learned once; the source design asks with the mean of all, and the newest may weigh more."""
    model = word2vec.fit(split.fit_user, split.fit_row, contents)

    def make(setting: Setting) -> Ask:
        if model is None:
            return ask_same(np.zeros(contents))
        decay, last = (0.8, 20) if setting["query"] == "decayed" else (1.0, None)
        return lambda asked: np.stack([model.scores(rows, decay=decay, last=last) for rows in asked.enjoyed])

    return make


def _matrices(split: Split, contents: int) -> dict[str, sparse.csr_matrix]:
    return {data: matrix(split, contents, data) for data in DATA}


def _implicit(module: str) -> Any:
    try:
        return import_module(f"implicit.{module}")
    except ImportError as error:
        raise PeerMissingError(
            f"The peers need the package implicit, pinned in requirements-bench.txt, and it is not installed: {error}"
        ) from error


PEERS: Final = (
    Peer(
        "item-kNN", _item_knn,
        {"data": DATA, "neighbours": (20, 50, 100, 200, 500), "likeness": ("CosineRecommender", "BM25Recommender")},
    ),
    Peer("EASE", _ease, {"data": DATA, "ridge": (50.0, 100.0, 200.0, 400.0, 700.0, 1500.0)}),
    Peer(
        "iALS", _ials,
        {
            "data": DATA, "factors": (32, 64, 128), "ridge": (0.01, 0.1, 1.0, 10.0, 100.0), "alpha": (1.0, 4.0, 16.0),
        },
    ),
    Peer(
        "BPR", _bpr,
        {
            "data": DATA, "factors": (32, 64, 128), "rate": (0.02, 0.05, 0.1), "ridge": (0.002, 0.01, 0.03),
            "passes": (20, 40),
        },
    ),
    Peer("word2vec", _word2vec, {"query": ("mean", "decayed")}, settings=2),
)  # fmt: skip


def popularity(split: Split) -> Peer:
    """Popularity in each of the split's windows, all of them tried."""
    windows = tuple(split.popularity)
    return Peer("popularity", _popularity, {"window": windows}, settings=len(windows))
