"""What the product finds with: its linear model alone, its encoder alone, and the fusion of all its channels.

The channels, how they are fitted and how they are fused are those of `ranking.retrieval`, which trains the retriever
that serves. Weights are found on the tuning split, with models fitted on what was known then.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from features.embeddings import fusion
from features.embeddings.encoder_training import EncoderConfig
from features.embeddings.fusion import Fusion
from ranking.retrieval.channels import Ask, Floats, Models, Past, Progress, fit_models, fused, shared_channels
from recsys.benchmarks.quality_finding import Asked, Measure, Table
from recsys.benchmarks.retrieval_data import Split, Trial

LINEAR: Final = "ours, linear"
ENCODER: Final = "ours, encoder"
FUSED: Final = "ours, fused"

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
        """The fusion as a model."""
        return fused(weights, self.personal, self.shared)


@dataclass(frozen=True, slots=True)
class Ours:
    """The product's models on the test split, by name: how to ask, seconds of one core to fit, what was chosen."""

    asks: Mapping[str, tuple[Ask, float, str]]


def fit_all(trial: Trial, measure: Measure, *, quick: bool, progress: ProgressOf) -> Ours:
    """Fit on both splits, find weights on the first, fuse on the second.

    The encoder is fitted once, on the first: so does the product, which serves the one that its held-out day judged.
    """
    config = EncoderConfig(epochs=1) if quick else EncoderConfig()
    with progress("channels, tuning") as step:
        tuning = fit_channels(trial.tune, trial.contents, config, step)
    with progress("channels, test") as step:
        channels = fit_channels(trial.test, trial.contents, config, step, encoder=tuning)
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
    encoder : channels whose encoder is taken over
    """
    past = Past(split.fit_user, split.fit_row, split.met_user, split.met_row, contents)
    models: Models = fit_models(past, config=config if encoder is None else None, progress=progress)
    assert models.linear is not None, "every data set here has thousands of transitions"
    personal, seconds = models.personal(), dict(models.seconds)
    if encoder is not None and "encoder" in encoder.personal:
        personal["encoder"], seconds["encoder"] = encoder.personal["encoder"], encoder.seconds["encoder"]
    shared = shared_channels(split.popularity, split.met_popularity if past.knows_meetings else {})
    return Channels(personal, shared, seconds)


def _told(weights: Fusion) -> str:
    return ", ".join(f"{name} {weight:+.2g}" for name, weight in weights.weights.items())
