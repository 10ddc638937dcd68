"""What the product finds with: the models of `features.embeddings`, alone and fused.

Channels of the fusion, personal ones first:
- `next`, `taste`: what follows what was just enjoyed, and EASE of what was enjoyed;
- `met`: EASE of what people had on screen, where a log knows more than enjoyments. A feed shows what it thinks people
  like, so who met the same will be shown the same; the long views alone know a third of that;
- `encoder`: where users have sequences long enough to have an order;
- log popularity of each window, of enjoyments and of meetings, and the rate between them.

Weights are found on the tuning split, with models fitted on what was known then.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from features.embeddings import behaviour, encoder_training, fusion
from features.embeddings.behaviour import SequentialItemModel, Settings
from features.embeddings.encoder_training import EncoderConfig
from features.embeddings.fusion import Fusion
from recsys.benchmarks.quality_finding import Ask, Asked, Floats, Measure, Table, ask_one_by_one
from recsys.benchmarks.retrieval_data import Split, Trial

LINEAR: Final = "ours, linear"
ENCODER: Final = "ours, encoder"
FUSED: Final = "ours, fused"
LEAST_STEPS: Final = 20.0
"""Enjoyments per user from which an encoder is trained; below, there is little order to learn."""
MET_ITEMS: Final = 8_192
MET_EASE: Final = Settings(channels=(), ridge=(), ease_ridge=500.0, ease_weight=1.0)
RATE_TRIALS: Final = 10.0

Progress = Callable[[int, int], None]
ProgressOf = Callable[[str], AbstractContextManager[Progress]]


@dataclass(frozen=True, slots=True)
class Channels:
    """Models fitted on one split: personal channels by name, shared ones as scores, and what each took to fit."""

    personal: Mapping[str, Ask]
    shared: Mapping[str, Floats]
    seconds: Mapping[str, float]

    def only(self, *names: str) -> "Channels":
        """Some personal channels, and of the shared ones those of enjoyments alone."""
        return Channels(
            {name: self.personal[name] for name in names},
            {name: values for name, values in self.shared.items() if name.startswith("enjoyed")},
            {name: self.seconds[name] for name in names},
        )

    def tables(self, asked: Asked) -> dict[str, Table]:
        """Scores of the personal channels, (u, n) each."""
        return {name: ask(asked) for name, ask in self.personal.items()}

    def fused(self, weights: Fusion) -> Ask:
        """The fusion as a model; a channel without a weight is not asked."""
        wanted = {name: ask for name, ask in self.personal.items() if name in weights.weights}
        return lambda asked: weights.scores({**self.shared, **{name: ask(asked) for name, ask in wanted.items()}})


@dataclass(frozen=True, slots=True)
class Ours:
    """The product's models on the test split, by name: how to ask, seconds of one core to fit, what was chosen."""

    asks: Mapping[str, tuple[Ask, float, str]]


def fit_all(trial: Trial, measure: Measure, *, quick: bool, progress: ProgressOf) -> Ours:
    """Fit on both splits, find weights on the first, fuse on the second."""
    config = EncoderConfig(epochs=1) if quick else EncoderConfig()
    same = np.array_equal(trial.tune.fit_row, trial.test.fit_row)
    with progress("channels, tuning") as step:
        tuning = fit_channels(trial.tune, trial.contents, config, step)
    with progress("channels, test") as step:
        encoder = tuning if same else None
        channels = fit_channels(trial.test, trial.contents, config, step, encoder=encoder)
    asks: dict[str, tuple[Ask, float, str]] = {}
    for name, some in ((LINEAR, ("next", "taste")), (FUSED, tuple(channels.personal))):
        before, now = (tuning.only(*some), channels.only(*some)) if name == LINEAR else (tuning, channels)
        with progress(f"weights, {name}") as step:
            weights = fusion.fit(before.tables(measure.asked), before.shared, measure, progress=step)
        asks[name] = now.fused(weights), sum(now.seconds.values()), _told(weights)
    if "encoder" in channels.personal:
        asks[ENCODER] = channels.personal["encoder"], channels.seconds["encoder"], f"{config.epochs} passes"
    return Ours(asks)


def fit_channels(
    split: Split, contents: int, config: EncoderConfig, progress: Progress, *, encoder: Channels | None = None
) -> Channels:
    """Fit every channel on one split.

    Parameters
    ----------
    encoder : channels whose encoder learned from the same enjoyments; it is taken over
    """
    started = time.process_time()
    model = behaviour.fit(split.fit_user, split.fit_row, contents)
    assert model is not None, "every data set here has thousands of transitions"
    personal: dict[str, Ask] = {
        "next": ask_one_by_one(replace(model, ease_weight=np.array(0.0)), of="enjoyed"),
        "taste": ask_one_by_one(_without_order(model), of="enjoyed"),
    }
    seconds = {"next": time.process_time() - started, "taste": 0.0}
    if len(split.met_user) > len(split.query_user):
        started = time.process_time()
        met = behaviour.fit(split.met_user, split.met_row, contents, max_items=MET_ITEMS, settings=MET_EASE)
        assert met is not None, "more was met than enjoyed"
        personal["met"] = ask_one_by_one(met, of="met")
        seconds["met"] = time.process_time() - started
    if encoder is not None and "encoder" in encoder.personal:
        personal["encoder"], seconds["encoder"] = encoder.personal["encoder"], encoder.seconds["encoder"]
    elif encoder is None and len(split.fit_user) >= LEAST_STEPS * len(np.unique(split.fit_user)):
        started = time.process_time()
        fitted = encoder_training.fit(
            split.fit_user, split.fit_row, contents, start=model, config=config, progress=progress
        )
        if fitted is not None:
            personal["encoder"] = lambda asked: fitted.scores_of_many(asked.enjoyed)
            seconds["encoder"] = time.process_time() - started
    return Channels(personal, shared_channels(split), seconds)


def shared_channels(split: Split) -> dict[str, Floats]:
    """Log popularity by window, of enjoyments and of meetings, and the log rate of the one to the other."""
    enjoyed = {f"enjoyed {window}": np.log1p(counts) for window, counts in split.popularity.items()}
    if not split.met_popularity or len(split.met_user) <= len(split.query_user):
        return enjoyed
    met = {f"met {window}": np.log1p(counts) for window, counts in split.met_popularity.items()}
    total, shown = split.popularity["all"], split.met_popularity["all"]
    mean = float(total.sum() / max(shown.sum(), 1.0))
    rate = np.log((total + mean * RATE_TRIALS) / (shown + RATE_TRIALS))
    return enjoyed | met | {"rate": rate}


def _without_order(model: SequentialItemModel) -> SequentialItemModel:
    """EASE of the same model alone."""
    return replace(
        model, weight=model.weight[:0], decay=model.decay[:0], lags=model.lags[:0], ease_weight=np.array(1.0)
    )


def _told(weights: Fusion) -> str:
    return ", ".join(f"{name} {weight:+.2g}" for name, weight in weights.weights.items())
