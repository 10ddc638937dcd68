"""The models that a retriever fuses, fitted on one past, and how each is asked for many people at once.

Personal channels:
- `next`, `taste`: what follows what was just enjoyed, and EASE of what was enjoyed (`features.embeddings.behaviour`);
- `met`: EASE of what people had on screen, where a log knows more than enjoyments. A feed shows what it thinks people
  like, so who met the same will be shown the same; the long views alone know a third of that;
- `encoder`: the sequence encoder, where people have sequences long enough to have an order.

Shared channels are the same for everybody: log popularity by window, of enjoyments and of meetings, and the log rate
between them.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from features.embeddings import behaviour, encoder_training
from features.embeddings.behaviour import SequentialItemModel, Settings
from features.embeddings.encoder import SequenceEncoder
from features.embeddings.encoder_training import EncoderConfig
from features.embeddings.fusion import Fusion

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]
Table = NDArray[np.float32]
Progress = Callable[[int, int], None]

LEAST_STEPS: Final = 20.0
"""Enjoyments per person from which an encoder is trained; below, there is little order to learn."""
LEAST_ENJOYMENTS: Final = 20_000
"""In all: fewer and what the encoder learns beyond the linear model is noise."""
MET_ITEMS: Final = 8_192
MET_EASE: Final = Settings(channels=(), ridge=(), ease_ridge=500.0, ease_weight=1.0)
RATE_TRIALS: Final = 10.0


class People(Protocol):
    """Whom models are asked for: rows per person, oldest first."""

    @property
    def enjoyed(self) -> list[Ids]:
        """What each enjoyed."""

    @property
    def met(self) -> list[Ids]:
        """What each had on screen."""


Ask = Callable[[People], Table]
"""People to one score per content, (people, n)."""


@dataclass(frozen=True, slots=True)
class Past:
    """What is learned from, in order of person, then time; n contents.

    Attributes
    ----------
    user, row : enjoyments
    met_user, met_row : what people had on screen, whether they enjoyed it or not
    """

    user: Ids
    row: Ids
    met_user: Ids
    met_row: Ids
    n: int

    @property
    def knows_meetings(self) -> bool:
        """Whether more was met than enjoyed."""
        return len(self.met_user) > len(self.user)

    @property
    def has_sequences(self) -> bool:
        """Whether an encoder is worth its training."""
        return len(self.user) >= max(LEAST_ENJOYMENTS, LEAST_STEPS * len(np.unique(self.user)))


@dataclass(frozen=True, slots=True)
class Models:
    """Models fitted on one past, in rows of its contents; those that it is too small for are None."""

    linear: SequentialItemModel | None
    met: SequentialItemModel | None
    encoder: SequenceEncoder | None
    seconds: Mapping[str, float]

    def personal(self) -> dict[str, Ask]:
        """How each is asked, by the name of its channel."""
        asks: dict[str, Ask] = {}
        if self.linear is not None:
            following, taste = parts_of(self.linear)
            asks |= {"next": _one_by_one(following, "enjoyed"), "taste": _one_by_one(taste, "enjoyed")}
        if self.met is not None:
            asks["met"] = _one_by_one(self.met, "met")
        if self.encoder is not None:
            encoder = self.encoder
            asks["encoder"] = lambda people: encoder.scores_of_many(people.enjoyed)
        return asks


def fit_models(
    past: Past, *, config: EncoderConfig | None, progress: Progress | None = None, linear: bool = True
) -> Models:
    """Fit what the past is large enough for.

    Parameters
    ----------
    config : of the encoder; None for none
    linear : False leaves the linear model out, which then has to come from elsewhere
    """
    seconds: dict[str, float] = {}
    started = time.process_time()

    def took(name: str) -> None:
        nonlocal started
        seconds[name], started = time.process_time() - started, time.process_time()

    first = behaviour.fit(past.user, past.row, past.n) if linear else None
    took("next")
    seconds["taste"] = 0.0
    met = encoder = None
    if past.knows_meetings:
        met = behaviour.fit(past.met_user, past.met_row, past.n, max_items=MET_ITEMS, settings=MET_EASE)
        took("met")
    if config is not None and past.has_sequences:
        encoder = encoder_training.fit(past.user, past.row, past.n, start=first, config=config, progress=progress)
        took("encoder")
    return Models(first, met, encoder, seconds)


def shared_channels(enjoyed: Mapping[str, Floats], met: Mapping[str, Floats]) -> dict[str, Floats]:
    """Log popularity by window, of enjoyments and of meetings, and the log rate of the one to the other.

    Parameters
    ----------
    enjoyed, met : counts (n,) by window, of the same windows; `met` is empty where only enjoyments are known. The rate
        is that of the last window named, which should be the longest
    """
    tables = {f"enjoyed {window}": np.log1p(counts) for window, counts in enjoyed.items()}
    if not met:
        return tables
    longest = list(enjoyed)[-1]
    total, shown = enjoyed[longest], met[longest]
    mean = float(total.sum() / max(shown.sum(), 1.0))
    # Shares below what anybody enjoys would have no logarithm.
    rate = np.log((total + max(mean, 1e-3) * RATE_TRIALS) / (shown + RATE_TRIALS))
    return tables | {f"met {window}": np.log1p(counts) for window, counts in met.items()} | {"rate": rate}


def fused(weights: Fusion, personal: Mapping[str, Ask], shared: Mapping[str, Floats]) -> Ask:
    """A fusion as one model; a channel without a weight is not asked."""
    wanted = {name: ask for name, ask in personal.items() if name in weights.weights}
    return lambda people: weights.scores({**shared, **{name: ask(people) for name, ask in wanted.items()}})


def parts_of(model: SequentialItemModel) -> tuple[SequentialItemModel, SequentialItemModel]:
    """The regression and the EASE of a linear model, each alone."""
    taste = replace(
        model, weight=model.weight[:0], decay=model.decay[:0], lags=model.lags[:0], ease_weight=np.array(1.0)
    )
    return replace(model, ease_weight=np.array(0.0)), taste


def _one_by_one(model: SequentialItemModel, of: str) -> Ask:
    """A model that is asked for one person at a time, with what they enjoyed or met."""
    return lambda people: np.stack([model.scores(rows) for rows in getattr(people, of)])
