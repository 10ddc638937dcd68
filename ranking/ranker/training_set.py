"""The one interface of all rankers: what each is fitted on, and what each gives back.

A ranker may learn as few heads as it can: what it leaves out is answered by `reading.Reading` with base rates, so every
bundle answers all heads. Which heads can be learned at all is decided here, by one rule for all rankers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from features.extraction.definitions import NAMES
from ranking.ranker.examples import FeatureMatrix
from ranking.ranker.heads import HEADS, Labels
from ranking.ranker.watch_time import WatchScale

LEAST_ANSWERS: Final = 30
"""A head with fewer examples of yes, or of no, learns nothing and says its base rate."""
LEAST_WATCHES: Final = 200
_DURATION: Final = NAMES["content"].index("content_duration")


def duration_of(content: NDArray[np.float32]) -> NDArray[np.float32]:
    """Seconds by the content features (n, CONTENT_DIM), 15 where the catalogue does not say.

    Read from the features, so that serving sorts a clip into the same duration bucket as training did.
    """
    return np.expm1(content[:, _DURATION])


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """n examples, in order of time; `position` as in `examples.Examples`."""

    features: FeatureMatrix
    labels: Labels
    position: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def duration_s(self) -> NDArray[np.float32]:
        """Length of each clip in seconds."""
        return duration_of(self.features.content)

    def watch_scale(self) -> WatchScale | None:
        """Edges measured on these examples; None where too few watch times are known, or all are the same."""
        known = self.labels.watch_s[~np.isnan(self.labels.watch_s)]
        if len(known) < LEAST_WATCHES or known.min() == known.max():
            return None
        return WatchScale.fit(self.labels.watch_s, self.duration_s)


def learnable_heads(labels: Labels) -> tuple[str, ...]:
    """Heads with enough examples of both answers, in the order of `HEADS`."""
    yes, no = (labels.heads == 1).sum(axis=0), (labels.heads == 0).sum(axis=0)
    return tuple(head for head, a, b in zip(HEADS, yes, no, strict=True) if min(a, b) >= LEAST_ANSWERS)


class FittedRanker(Protocol):
    """A trained ranker; `reading.Reading.fit` makes calibrated heads of its outputs."""

    @property
    def columns(self) -> Sequence[str]:
        """Heads of its first outputs."""

    @property
    def scale(self) -> WatchScale | None:
        """Edges of the watch levels in its further outputs; None where it has none."""

    @property
    def gives(self) -> Literal["logit", "probability"]:
        """What the outputs are."""

    @property
    def losses(self) -> tuple[float, ...]:
        """Training loss per epoch."""

    @property
    def validation_losses(self) -> tuple[float, ...]:
        """Validation loss per epoch."""

    def outputs(self, rows: FeatureMatrix) -> NDArray[np.float32]:
        """Outputs (n, columns and levels), as the exported graph gives them."""

    def to_onnx(self, sample: FeatureMatrix) -> bytes:
        """The graph that serves."""
