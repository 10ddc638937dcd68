"""How good the product is beside what else could be used, on one log, one split, one measure, in one run.

    manage.py bench quality --dataset kuairand|ml-1m|movielens|jsonl --path PATH [--train-until DAY]

Every model ranks the full catalogue less what the user has met. What is free is chosen on the time before the test, by
the same measure for peers and for ours. Intervals are 95 % of bootstraps over users, and a difference is paired.

`--mode ranking` is the other half: who orders logged exposures best (`quality_ranking`), and `--mode hybrid` tells what
the session's signals add to that (`quality_hybrid`).
`--mode scrambled` runs the same with contents dealt out anew over the log: nobody may find more than popularity then,
and `--mode ranking-scrambled` deals out the outcomes of exposures: every AUC is one half.
`--mode future` deals out what happened after the cut: no score may change.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Final

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from threadpoolctl import threadpool_limits

from features.embeddings.encoder_training import EncoderConfig
from features.embeddings.text import TextEncoder
from ranking.evaluation import catalogue
from ranking.evaluation.intervals import Interval, mean_interval, ratio_interval
from recsys.benchmarks import (
    quality_data,
    quality_exposures,
    quality_hybrid,
    quality_ours,
    quality_peers,
    quality_ranking,
)
from recsys.benchmarks.progress import steps
from recsys.benchmarks.quality_finding import LIST, Asked, Floats, Found, Measure, ask_same, find
from recsys.benchmarks.quality_ours import ENCODER, FUSED, LINEAR
from recsys.benchmarks.quality_peers import PEERS, PeerMissingError
from recsys.benchmarks.results import Bar, Options, Result
from recsys.benchmarks.retrieval_data import Trial
from recsys.benchmarks.scratch import BenchmarkFailedError

MODES: Final = ("ranking", "hybrid", "scrambled", "ranking-scrambled", "future")
SEED: Final = 11
MISSING: Final = "not installed, see requirements-bench.txt"
OURS: Final = (LINEAR, ENCODER, FUSED)
MOST_OVER_POPULARITY: Final = 0.01


def run(options: Options) -> Result:
    """Fit, ask and compare on one data set."""
    if options.mode == "future":
        return _future(options)
    if options.mode in ("ranking", "ranking-scrambled"):
        return _ranking(options)
    if options.mode == "hybrid":
        return _hybrid(options)
    rng = np.random.default_rng(SEED) if options.mode == "scrambled" else None
    trial = quality_data.load(options.dataset, options.path, options.train_until, scramble=rng)
    with threadpool_limits(1):
        found = compare(trial, quick=options.quick)
    return judge(trial, found, scrambled=options.mode == "scrambled")


def _ranking(options: Options) -> Result:
    """The other half: the same log, the same cut, logged exposures instead of the catalogue."""
    exposures = quality_exposures.load(options.dataset, options.path, options.train_until, now=timezone.now())
    scrambled = options.mode == "ranking-scrambled"
    if scrambled:
        exposures = quality_ranking.scramble(exposures, np.random.default_rng(SEED))
    with threadpool_limits(1):
        found = quality_ranking.compare(exposures, quick=options.quick)
    return quality_ranking.judge(exposures, found, scrambled=scrambled)


def _hybrid(options: Options) -> Result:
    """What the session's signals add to the model on the exposures of the ranking half."""
    exposures = quality_exposures.load(options.dataset, options.path, options.train_until, now=timezone.now())
    with threadpool_limits(1):
        found = quality_hybrid.scores(exposures, quick=options.quick)
    return quality_hybrid.judge(exposures, found)


def compare(trial: Trial, *, quick: bool) -> dict[str, Found]:
    """Every model on the test split."""
    asked = Asked.of(trial.test)
    hottest = max(trial.tune.popularity, key=lambda name: _popularity_finds(trial, name))
    measure = Measure(Asked.of(trial.tune, most=quality_peers.TUNING_USERS), trial.tune.popularity[hottest])
    found = {f"popular {window}": find(asked, ask_same(counts)) for window, counts in trial.test.popularity.items()}
    ours = quality_ours.fit_all(trial, measure, quick=quick, progress=_bar)
    for name, (ask, fit_s, told) in ours.asks.items():
        found[name] = find(asked, ask, fit_s=fit_s, setting=told)
    with steps([peer.name for peer in PEERS], "peer") as names:
        for name, peer in zip(names, PEERS, strict=True):
            try:
                chosen = quality_peers.search(peer, trial.tune, trial.test, trial.contents, measure, quick=quick)
            except PeerMissingError:
                # Named in the table: who has not installed the peers still sees the rest.
                continue
            told = f"best of {chosen.tried}: " + ", ".join(f"{key} {value}" for key, value in chosen.setting.items())
            found[name] = find(asked, chosen.ask, fit_s=chosen.fit_s, setting=told)
    return found


def judge(trial: Trial, found: Mapping[str, Found], *, scrambled: bool = False) -> Result:
    """The table, the figures and the bars."""
    figures: dict[str, float] = {"contents": trial.contents, "users": len(next(iter(found.values())).ndcg)}
    rows: list[tuple[str, ...]] = []
    best = max(found.keys() - set(OURS), key=lambda name: (float(found[name].ndcg.mean()), name))
    vectors = TextEncoder().fit(trial.texts).transform(trial.texts) if any(trial.texts) else None
    for name, each in sorted(found.items(), key=lambda item: -float(item[1].ndcg.mean())):
        figures |= {f"{name}: {figure}": value for figure, value in _figures(trial, each, vectors).items()}
        over = interval(each.ndcg - found[best].ndcg)
        figures |= {f"{name}: NDCG@10 over {best} low": over.low, f"{name}: NDCG@10 over {best} high": over.high}
        rows.append((
            name, _with_interval(each.ndcg), "" if name == best else f"{over.low:+.4f}, {over.high:+.4f}",
            _with_interval(each.recall[100]), f"{each.fit_s:.1f} s",
            f"{1000 * each.ask_s / len(each.ndcg):.2f} ms", each.setting,
        ))  # fmt: skip
    rows += [(peer.name, MISSING, *[""] * 5) for peer in PEERS if peer.name not in found]
    columns = (
        trial.name, "NDCG@10", f"over {best}", "Recall@100", "fit, one core", "ask, per user", "chosen while tuning",
    )  # fmt: skip
    bars = _scrambled_bars(found) if scrambled else _bars(trial.name, found, figures)
    return Result("quality", figures, columns, rows, bars)


def interval(values: Floats) -> Interval:
    """95 % of the bootstrap means over users."""
    found = mean_interval(values, rng=np.random.default_rng(SEED))
    if found is None:
        raise BenchmarkFailedError(f"{len(values)} users with a target are too few for an interval.")
    return found


def _figures(trial: Trial, found: Found, vectors: NDArray[np.floating] | None) -> dict[str, float]:
    ndcg = interval(found.ndcg)
    shown = found.lists[found.lists >= 0]
    known = trial.test.popularity["all"].astype(np.int64)
    figures = {
        "NDCG@10": float(found.ndcg.mean()), "NDCG@10 low": ndcg.low, "NDCG@10 high": ndcg.high,
        "MRR": float(found.reciprocal_rank.mean()),
        **{f"Recall@{depth}": float(values.mean()) for depth, values in found.recall.items()},
        f"coverage@{LIST}": catalogue.coverage(shown, trial.contents),
        f"Gini@{LIST}": catalogue.exposure_gini(shown, trial.contents),
        f"novelty@{LIST} bits": catalogue.novelty(shown, known, len(np.unique(trial.test.fit_user))) or 0.0,
        "fit s": found.fit_s, "ask ms per user": 1000 * found.ask_s / len(found.ndcg),
    }  # fmt: skip
    if vectors is not None:
        lists = (vectors[each[each >= 0]] for each in found.lists[:: max(1, len(found.lists) // 500)])
        diversity = [value for value in map(catalogue.intra_list_diversity, lists) if value is not None]
        figures[f"diversity@{LIST}"] = float(np.mean(diversity))
    return figures


def _bars(name: str, found: Mapping[str, Found], figures: dict[str, float]) -> tuple[Bar, ...]:
    """What issue and README promise of the two published data sets; nothing is promised of a log of one's own."""
    if name == "kuairand":
        return (
            Bar.at_least("peers measured", sum(each.name in found for each in PEERS), len(PEERS)),
            *_over_best_peer(found, "Recall@100", lambda each: each.recall[100], 1.08, figures),
            *_over_best_peer(found, "NDCG@10", lambda each: each.ndcg, 1.10, figures),
        )
    if name == "ml-1m":
        linear, encoder, fused = found[LINEAR], found[ENCODER], found[FUSED]
        return (
            Bar.at_least("ml-1m: NDCG@10, linear", float(linear.ndcg.mean()), 0.165),
            Bar.at_most("ml-1m: fit and ask, linear, s of one core", linear.fit_s + linear.ask_s, 30.0),
            Bar.at_least("ml-1m: NDCG@10, with the encoder", float(fused.ndcg.mean()), 0.180),
            Bar.at_most("ml-1m: training of the encoder, s of one core", encoder.fit_s, 2_400.0),
        )
    return ()


def _over_best_peer(
    found: Mapping[str, Found], metric: str, values: Callable[[Found], Floats], least: float, figures: dict[str, float]
) -> tuple[Bar, Bar]:
    """Ours over the peer that is best by this metric: the ratio, and the low end of the paired difference."""
    peer = max(found.keys() - set(OURS), key=lambda name: (float(values(found[name]).mean()), name))
    ours, theirs = values(found[FUSED]), values(found[peer])
    ratio, difference = float(ours.mean() / theirs.mean()), interval(ours - theirs)
    around = ratio_interval(ours, theirs, rng=np.random.default_rng(SEED))
    if around is not None:
        figures |= {f"{metric} over {peer}, ratio low": around.low, f"{metric} over {peer}, ratio high": around.high}
    return (
        Bar.at_least(f"{metric} over {peer}, ratio", ratio, least),
        Bar.at_least(f"{metric} over {peer}, low end of the paired difference", difference.low, 0.0),
    )


def _scrambled_bars(found: Mapping[str, Found]) -> tuple[Bar, ...]:
    popular = max(float(each.recall[100].mean()) for name, each in found.items() if name.startswith("popular"))
    return tuple(
        Bar.at_most(
            f"scrambled: Recall@100 of {name} over popularity", float(each.recall[100].mean()) - popular,
            MOST_OVER_POPULARITY,
        )
        for name, each in found.items()
        if not name.startswith("popular")
    )  # fmt: skip


def _future(options: Options) -> Result:
    """Deal out what happened after the cut, fit again, and count the scores that changed."""
    if options.path is None or options.dataset == "ml-1m":
        raise BenchmarkFailedError("Only a log with times has a later part to deal out: name one with --path.")
    log = quality_data.read_log(options.dataset or quality_data.guessed(options.path), options.path)
    start, span = quality_data.moments(log, options.train_until)
    later = np.flatnonzero(log.time_s >= start)
    order = np.arange(len(log.row))
    order[later] = np.random.default_rng(SEED).permutation(later)
    other = quality_data.dealt(log, order)
    scores = []
    asked = Asked.of(quality_data.split(log, start, span), most=200)
    with threadpool_limits(1), _bar("fitting twice") as step:
        for each in (log, other):
            split = quality_data.split(each, start, span)
            channels = quality_ours.fit_channels(split, log.contents, EncoderConfig(), step)
            known = Asked.of(split).user
            tables = channels.tables(asked)
            scores.append((np.stack([*tables.values()]), np.stack([*channels.shared.values()]), len(known)))
            step(len(scores), 2)
    changed = sum(int(np.count_nonzero(a != b)) for a, b in zip(scores[0][:2], scores[1][:2], strict=True))
    total = sum(each.size for each in scores[0][:2])
    figures = {"events dealt out": float(len(later)), "scores": float(total), "scores changed": float(changed)}
    row = (f"{len(later):,}", f"{total:,}", f"{changed:,}")
    bar = Bar.at_most("future: scores that changed", float(changed), 0.0)
    return Result("quality", figures, ("later events dealt out", "scores compared", "changed"), [row], (bar,))


def _popularity_finds(trial: Trial, window: str) -> float:
    """NDCG@10 on the tuning split."""
    asked = Asked.of(trial.tune, most=quality_peers.TUNING_USERS)
    return float(find(asked, ask_same(trial.tune.popularity[window])).ndcg.mean())


def _with_interval(values: Floats) -> str:
    around = interval(values)
    return f"{float(values.mean()):.4f} [{around.low:.4f}, {around.high:.4f}]"


@contextmanager
def _bar(what: str) -> Generator[Callable[[int, int], None]]:
    """A progress bar on standard error that is told (done, most)."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, most: progress.update(task, completed=done, total=most)
