"""What each embedding finds alone: Recall@100 and @500 and NDCG@10 over the full catalogue, seen contents removed.

Every model is fitted and asked by the code that serves (`features.embeddings`), on one thread. What is free is chosen
on the tuning split, never on the test split. Intervals are 95 % of 1,000 bootstrap samples of users, and differences
are paired: the same user under both models.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from features.embeddings import behaviour, word2vec
from features.embeddings.behaviour import Settings
from features.embeddings.statistics import Channel
from features.embeddings.text import TextEncoder
from recsys.benchmarks.progress import steps
from recsys.benchmarks.results import Bar, Options, Result
from recsys.benchmarks.retrieval_data import Ids, Split, Trial, load

DEPTHS: Final = (100, 500)
SAMPLES: Final = 1_000
LEAST_NDCG: Final = 0.160
MOST_S: Final = 30.0
"""The bar of MovieLens-1M: fitting and asking for every user, seconds of one core."""
OURS: Final = "two channels + EASE"
FUSED: Final = "two channels + EASE + popularity"
EASE_WEIGHTS: Final = (0.25, 0.5, 1.0, 2.0)
POPULARITY_WEIGHTS: Final = (0.0, 0.1, 0.25, 0.5, 1.0, 1.5)
SLIT: Final = Settings(channels=(Channel(0.8, 20),), ridge=(400.0,), ease_weight=0.0)
EASE: Final = Settings(channels=(), ridge=(), ease_weight=1.0)

Scores = NDArray[np.float32] | NDArray[np.float64]
Ask = Callable[[Ids], Scores]
"""Rows a user enjoyed, oldest first, to one score per content."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a model found, one value per asked user, and what it took in seconds of one core."""

    ndcg: NDArray[np.float64]
    recall: Mapping[int, NDArray[np.float64]]
    fit_s: float
    ask_s: float


def run(options: Options) -> Result:
    """Fit, ask and compare on one data set."""
    trial = load(options.dataset, options.path)
    with threadpool_limits(1):
        found = _all_found(trial)
    return _judge(trial, found)


def evaluate(split: Split, contents: int, ask: Ask, *, fit_s: float = 0.0) -> Found:
    """Ask for every user with targets, and compare the answer with them."""
    users = np.unique(split.target_user)
    spans = [_spans(column, users) for column in (split.query_user, split.seen_user, split.target_user)]
    ndcg, recall = np.zeros(len(users)), {depth: np.zeros(len(users)) for depth in DEPTHS}
    ask_s, deepest = 0.0, min(max(DEPTHS), contents)
    for at, (query, seen, target) in enumerate(zip(*spans, strict=True)):
        started = time.process_time()
        scores = np.array(ask(split.query_row[query]), np.float64)
        scores[split.seen_row[seen]] = -np.inf
        best = np.argpartition(-scores, deepest - 1)[:deepest]
        best = best[np.lexsort((best, -scores[best]))]
        ask_s += time.process_time() - started
        hit = np.isin(best, split.target_row[target])
        wanted = target.stop - target.start
        ndcg[at] = ndcg_at(hit, wanted)
        for depth, values in recall.items():
            values[at] = hit[:depth].sum() / wanted
    return Found(ndcg, recall, fit_s, ask_s)


def ndcg_at(hit: NDArray[np.bool_], wanted: int, k: int = 10) -> float:
    """NDCG@k of a ranking: gain `1 / log2(rank + 1)` per hit, over the best possible for `wanted` targets.

    >>> ndcg_at(np.array([False, True, False]), 1).__round__(4)
    0.6309
    """
    gain = 1.0 / np.log2(np.arange(2, k + 2))
    return float(gain[: len(hit)] @ hit[:k] / gain[: min(wanted, k)].sum())


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % of the bootstrap means over users."""
    draws = np.random.default_rng(11).multinomial(len(values), np.full(len(values), 1.0 / len(values)), SAMPLES)
    low, high = np.quantile(draws @ values / len(values), (0.025, 0.975)).tolist()
    return low, high


def _all_found(trial: Trial) -> dict[str, Found]:
    found: dict[str, Found] = {}
    with steps(tuple(_MODELS), "model") as names:
        for name in names:
            found |= _MODELS[name](trial)
    return found


def _popularity(trial: Trial) -> dict[str, Found]:
    split = trial.test
    return {
        f"popular {window}": evaluate(split, trial.contents, _always(each)) for window, each in split.popularity.items()
    }


def _text(trial: Trial) -> dict[str, Found]:
    if not any(trial.texts):
        return {}
    started = time.process_time()
    encoder = TextEncoder().fit(trial.texts)
    vectors = encoder.transform(trial.texts)
    fit_s = time.process_time() - started

    def ask(positives: Ids) -> Scores:
        lag = np.arange(len(positives[-20:]))[::-1]
        return np.asarray(vectors @ (0.8**lag @ vectors[positives[-20:]]))

    return {"text, decayed": evaluate(trial.test, trial.contents, ask, fit_s=fit_s)}


def _word2vec(trial: Trial) -> dict[str, Found]:
    started = time.process_time()
    model = word2vec.fit(trial.test.fit_user, trial.test.fit_row, trial.contents)
    fit_s = time.process_time() - started
    if model is None:
        return {}
    asks: dict[str, Ask] = {
        "word2vec, mean": lambda rows: model.scores(rows, decay=1.0, last=None),
        "word2vec, decayed": model.scores,
    }
    return {name: evaluate(trial.test, trial.contents, ask, fit_s=fit_s) for name, ask in asks.items()}


def _linear(name: str, settings: Settings) -> Callable[[Trial], dict[str, Found]]:
    def measure(trial: Trial) -> dict[str, Found]:
        model, fit_s = _fitted(trial.test, trial.contents, settings)
        return {name: evaluate(trial.test, trial.contents, model.scores, fit_s=fit_s)}

    return measure


def _ours(trial: Trial) -> dict[str, Found]:
    """The model that serves, with the weights of EASE and of popularity chosen on the tuning split."""
    tuning, _ = _fitted(trial.tune, trial.contents, Settings())
    weights = {weight: replace(tuning, ease_weight=np.array(weight)).scores for weight in EASE_WEIGHTS}
    ease_weight = _best(trial.tune, trial.contents, weights)
    hot = _hottest_window(trial)
    mixed = {w: _with_popularity(weights[ease_weight], trial.tune.popularity[hot], w) for w in POPULARITY_WEIGHTS}
    popularity_weight = _best(trial.tune, trial.contents, mixed)
    model, fit_s = _fitted(trial.test, trial.contents, Settings(ease_weight=ease_weight))
    fused = _with_popularity(model.scores, trial.test.popularity[hot], popularity_weight)
    without = replace(model, ease_weight=np.array(0.0))
    return {
        "two channels": evaluate(trial.test, trial.contents, without.scores, fit_s=fit_s),
        OURS: evaluate(trial.test, trial.contents, model.scores, fit_s=fit_s),
        FUSED: evaluate(trial.test, trial.contents, fused, fit_s=fit_s),
    }


_MODELS: Final[dict[str, Callable[[Trial], dict[str, Found]]]] = {
    "popularity": _popularity,
    "text": _text,
    "word2vec": _word2vec,
    "EASE": _linear("EASE", EASE),
    "SLIT": _linear("SLIT", SLIT),
    "SLIT + EASE": _linear("SLIT + EASE", replace(SLIT, ease_weight=0.4)),
    "two channels": _ours,
}


def _fitted(split: Split, contents: int, settings: Settings) -> tuple[behaviour.SequentialItemModel, float]:
    started = time.process_time()
    model = behaviour.fit(split.fit_user, split.fit_row, contents, settings=settings)
    assert model is not None, "every data set here has thousands of transitions"
    return model, time.process_time() - started


def _best(split: Split, contents: int, asks: Mapping[float, Ask]) -> float:
    means = {weight: float(evaluate(split, contents, ask).ndcg.mean()) for weight, ask in asks.items()}
    return max(means, key=lambda weight: means[weight])


def _hottest_window(trial: Trial) -> str:
    tried = {
        window: float(evaluate(trial.tune, trial.contents, _always(counts)).ndcg.mean())
        for window, counts in trial.tune.popularity.items()
    }
    return max(tried, key=lambda window: tried[window])


def _always(counts: NDArray[np.float64]) -> Ask:
    """The same answer for everybody."""
    return lambda _: counts


def _with_popularity(ask: Ask, counts: NDArray[np.float64], weight: float) -> Ask:
    """Log popularity added in units of the model's own spread."""
    hot = np.log1p(counts)
    hot = (hot - hot.mean()) / (hot.std() or 1.0)

    def both(positives: Ids) -> Scores:
        scores = ask(positives)
        return np.asarray(scores + weight * (float(scores.std()) or 1.0) * hot)

    return both


def _spans(column: Ids, users: Ids) -> list[slice]:
    """Where the entries of each user stand in an ascending column."""
    first, after = np.searchsorted(column, users), np.searchsorted(column, users, side="right")
    return [slice(start, stop) for start, stop in zip(first.tolist(), after.tolist(), strict=True)]


def _judge(trial: Trial, found: Mapping[str, Found]) -> Result:
    peer = _best_peer(found, lambda each: each.ndcg)
    figures: dict[str, float] = {"contents": trial.contents, "users": len(np.unique(trial.test.target_user))}
    rows = []
    for name, each in found.items():
        low, high = interval(each.ndcg)
        lower, upper = interval(each.ndcg - found[peer].ndcg)
        means = {depth: float(values.mean()) for depth, values in each.recall.items()}
        ndcg = float(each.ndcg.mean())
        figures |= {f"{name}: NDCG@10": ndcg, f"{name}: NDCG@10 low": low, f"{name}: NDCG@10 high": high}
        figures |= {f"{name}: Recall@{depth}": mean for depth, mean in means.items()}
        figures |= {f"{name}: fit s": each.fit_s, f"{name}: ask s": each.ask_s}
        figures |= {f"{name}: NDCG@10 over {peer} low": lower, f"{name}: NDCG@10 over {peer} high": upper}
        rows.append(
            (
                name, f"{ndcg:.4f} [{low:.4f}, {high:.4f}]", f"{lower:+.4f}, {upper:+.4f}" if name != peer else "",
                " / ".join(f"{mean:.4f}" for mean in means.values()), f"{each.fit_s:.1f} + {each.ask_s:.1f} s",
            )
        )  # fmt: skip
    columns = (trial.name, "NDCG@10", f"over {peer}", "Recall@100 / @500", "fit + ask")
    return Result("retrieval", figures | _recall_over_peer(found), columns, rows, _bars(trial, found, peer))


def _best_peer(found: Mapping[str, Found], metric: Callable[[Found], NDArray[np.float64]]) -> str:
    """Of everything that is not the model that serves, the one that finds most by this metric."""
    mine = {OURS, FUSED, "two channels"}
    return max(found.keys() - mine, key=lambda name: (float(metric(found[name]).mean()), name))


def _recall_over_peer(found: Mapping[str, Found]) -> dict[str, float]:
    """Of the fused model, by Recall@100: what a source of candidates is for."""
    peer = _best_peer(found, lambda each: each.recall[100])
    low, high = interval(found[FUSED].recall[100] - found[peer].recall[100])
    return {f"{FUSED}: Recall@100 over {peer} {side}": value for side, value in (("low", low), ("high", high))}


def _bars(trial: Trial, found: Mapping[str, Found], peer: str) -> tuple[Bar, ...]:
    """Only MovieLens-1M has published figures of the same split to hold up to."""
    if trial.name != "ml-1m":
        return ()
    ours = found[OURS]
    return (
        Bar.at_least("ml-1m: NDCG@10", float(ours.ndcg.mean()), LEAST_NDCG),
        Bar.at_most("ml-1m: fit and ask, s of one core", ours.fit_s + ours.ask_s, MOST_S),
        Bar.at_least(f"ml-1m: NDCG@10 over {peer}, low end", interval(ours.ndcg - found[peer].ndcg)[0], 0.0),
    )
