"""How strong the session's signals should be beside a trained model: the hybrid of the feed on logged exposures.

    manage.py bench quality --mode hybrid --dataset kuairand --path PATH [--train-until DAY]

The model of the ranking half gives values; the signals are read off the same features, as `ranking.fusion_fit` does.
A row scales what the last events say (taste, category, creator) by one factor and leaves the rest. Factor 1 is what
serves without a model (`FusionWeights.beside_model` with one), and every difference is paired by user against it.
Signals are those of the moment a session began, for the reason `quality_exposures` gives, so what happens within it
speaks for more weight than this shows.
"""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ranking.evaluation import offline
from ranking.evaluation.intervals import Interval
from ranking.fusion_fit import signals_of, standardised_value
from ranking.ranker.heads import PRIMARY
from ranking.ranker.multitask import MultiTaskConfig, fit_multitask
from ranking.ranker.reading import Reading
from ranking.ranker.value import Policy
from ranking.rerank.fusion_weights import fit_factors, fused
from ranking.rerank.hybrid import FusionWeights, scaled
from recsys.benchmarks.quality_exposures import Exposures
from recsys.benchmarks.results import Result

Floats = NDArray[np.float64]

SESSION: Final = ("taste", "category", "creator")
FACTORS: Final = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
SEED: Final = 7
SERVED: Final = "session x 1"


def scores(exposures: Exposures, *, quick: bool = False) -> dict[str, Floats]:
    """The scores of the test exposures under each set of weights."""
    config = MultiTaskConfig(epochs=2 if quick else 12)
    ranker = fit_multitask(exposures.learned_from, exposures.held_out, config=config, seed=SEED)
    reading = Reading.fit(ranker, exposures.learned_from, exposures.held_out)
    policy, served = Policy.default(), FusionWeights()
    value = standardised_value(ranker, reading, exposures.test, policy)
    signals = signals_of(exposures.test.features)
    found = {"model alone": value}
    for factor in FACTORS:
        weights = replace(served, **{name: factor * getattr(served, name) for name in SESSION})
        found[f"session x {factor:g}"] = fused(value, signals, weights)
    held_out = exposures.held_out
    factors = fit_factors(
        standardised_value(ranker, reading, held_out, policy), signals_of(held_out.features),
        held_out.labels.of(PRIMARY).astype(np.int8), base=served,
    )  # fmt: skip
    found["fitted factors"] = fused(value, signals, scaled(served, factors))
    return found


def judge(exposures: Exposures, found: dict[str, Floats]) -> Result:
    """AUC and session GAUC of each, and the difference of AUC to what serves, paired by user."""
    label = exposures.test.labels.of(PRIMARY).astype(np.int8)
    figures: dict[str, float] = {"exposures": len(label)}
    rows: list[tuple[str, ...]] = []
    for name, score in found.items():
        over = _difference(exposures, label, score, found[SERVED])
        told = {
            "AUC": offline.auc(label, score), "session GAUC": offline.gauc(label, score, exposures.session),
            "AUC over served low": over.low, "AUC over served high": over.high,
        }  # fmt: skip
        figures |= {f"{name}: {figure}": value for figure, value in told.items() if value is not None}
        beside = "" if name == SERVED else f"{over.low:+.4f}, {over.high:+.4f}"
        rows.append((name, f"{told['AUC'] or 0.0:.4f}", beside, f"{told['session GAUC'] or 0.0:.4f}"))
    columns = (f"{exposures.name}, long view", "AUC", f"over {SERVED}", "session GAUC")
    return Result("quality", figures, columns, rows, ())


def _difference(exposures: Exposures, label: NDArray[np.int8], one: Floats, other: Floats) -> Interval:
    rng = np.random.default_rng(SEED)
    return offline.auc_difference_interval(label, one, other, exposures.user, rng=rng) or Interval(0.0, 0.0)
