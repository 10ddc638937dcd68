"""One user's recent past, as the stages of a feed read it."""

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class History:
    """Last events of one user, oldest first; all columns have the same length n (0 for a new user).

    Attributes
    ----------
    event_type : uint8 array (n,), index into `events.cleaning.schema.EVENT_TYPES`
    content_id : object array of str (n,), "" where the event has none
    creator_id : object array of str (n,), "" where unknown
    timestamp : float64 array (n,), seconds since 1970 UTC
    watch_s : float32 array (n,), watched seconds, NaN where the event carries none
    long_view : int8 array (n,), 1 or 0 where an imported log states it, else -1
    surface : object array of str (n,), "" where unknown; all unknown when left out
    """

    event_type: NDArray[np.uint8]
    content_id: NDArray[np.object_]
    creator_id: NDArray[np.object_]
    timestamp: NDArray[np.float64]
    watch_s: NDArray[np.float32]
    long_view: NDArray[np.int8]
    surface: NDArray[np.object_] = field(default_factory=lambda: np.empty(0, object))

    def __post_init__(self) -> None:
        if len(self.surface) != len(self.event_type):
            object.__setattr__(self, "surface", np.full(len(self.event_type), "", object))

    def __len__(self) -> int:
        return len(self.event_type)

    def since(self, moment: float) -> "History":
        """What was done at or after a moment, in seconds since 1970 UTC."""
        kept = self.timestamp >= moment
        return self if kept.all() else History(*(getattr(self, each.name)[kept] for each in fields(self)))

    @classmethod
    def empty(cls) -> "History":
        """The history of a user nobody has seen yet."""
        text = np.empty(0, dtype=object)
        return cls(
            np.empty(0, np.uint8), text, text, np.empty(0, np.float64), np.empty(0, np.float32), np.empty(0, np.int8)
        )
