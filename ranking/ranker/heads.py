"""What the ranker predicts of one exposure: twelve chances, and for how long it will be watched.

A head is a question with a stated window, so that its answer is the same whoever asks for it and whenever:

    long_view, completion, replay, skip        what the watching was, within ten minutes of the exposure
    like, comment, share, save, follow         gestures, within a day
    hide, report                               refusals, within a day
    return_24h                                 another visit begins within a day after this one ended

Ten minutes after an exposure its heads are judged by what has happened until then. A gesture that comes later in the
day is a positive of the next training, because labels are made anew from the log each time: it is late, never lost.
Only a return cannot be judged before its day is over, and stays unknown until then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.extraction.definitions import PRIOR_RATE

HEADS: Final = (
    "long_view", "completion", "replay", "skip", "like", "comment", "share", "save", "follow", "hide", "report",
    "return_24h",
)  # fmt: skip
"""Columns of every label and chance matrix, in this order."""
PRIMARY: Final = "long_view"
"""The head that a model is promoted by."""
COLUMN: Final[Mapping[str, int]] = MappingProxyType({name: column for column, name in enumerate(HEADS)})
PRIOR_CHANCE: Final = np.array(
    [
        *(PRIOR_RATE[signal] for signal in (
            "long_views", "completes", "replays", "skips", "likes", "comments", "shares", "saves", "follows", "hides",
            "reports",
        )),
        0.5,
    ]
)  # fmt: skip
"""Assumed where nothing was observed, float64 (heads,)."""
PRIOR_EXPOSURES: Final = 20.0
"""Imagined exposures at the prior chance, against those that were observed."""

DAY_S: Final = 86_400.0
LABEL_WINDOW_S: Final = 600.0
"""Ten minutes: longer than nearly every clip, short enough that a model trained now knows the last hour."""
GESTURE_WINDOW_S: Final = DAY_S
RETURN_WINDOW_S: Final = DAY_S
LONGEST_WATCH_S: Final = 600.0
"""A player left running is cut here."""

_PRAISE: Final = [
    COLUMN[name] for name in ("long_view", "completion", "replay", "like", "comment", "share", "save", "follow")
]
_REFUSAL: Final = [COLUMN[name] for name in ("hide", "report")]


@dataclass(frozen=True, slots=True)
class Labels:
    """What came of n exposures.

    Attributes
    ----------
    heads : float32 array (n, heads), 1 for yes, 0 for no, NaN for not known yet
    watch_s : float32 array (n,), watched seconds, at most 600; NaN where the log does not say
    """

    heads: NDArray[np.float32]
    watch_s: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.heads)

    def rows(self, index: NDArray[np.int64] | NDArray[np.bool_] | slice) -> "Labels":
        """The chosen rows, in the order of the index."""
        return Labels(self.heads[index], self.watch_s[index])

    def of(self, head: str) -> NDArray[np.float32]:
        """One head's column."""
        return self.heads[:, COLUMN[head]]

    @property
    def satisfied(self) -> NDArray[np.int8]:
        """One label for rankers of one head: a satisfied watch or a positive gesture, and no refusal."""
        pleased = (self.heads[:, _PRAISE] == 1).any(axis=1)
        refused = (self.heads[:, _REFUSAL] == 1).any(axis=1)
        return np.asarray(pleased & ~refused, np.int8)


def base_chance(labels: Labels) -> NDArray[np.float64]:
    """Share of yes per head, pulled to the prior by 20 imagined exposures: what a head says that learned nothing.

    >>> nothing = Labels(np.empty((0, len(HEADS)), np.float32), np.empty(0, np.float32))
    >>> bool((base_chance(nothing) == PRIOR_CHANCE).all())
    True
    """
    known = (~np.isnan(labels.heads)).sum(axis=0)
    yes = np.nansum(labels.heads, axis=0, dtype=np.float64)
    return np.asarray((yes + PRIOR_EXPOSURES * PRIOR_CHANCE) / (known + PRIOR_EXPOSURES))
