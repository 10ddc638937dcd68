"""The event log as columns: what bulk readers (features, training, KPIs) get instead of rows.

Text ids are replaced by dense codes `0..n-1` into a vocabulary, so that a million events stay a few dozen megabytes
and every aggregation is a bincount.
"""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

ABSENT = -1
"""Code of an id that an event does not have (a follow without a content)."""


@dataclass(frozen=True, slots=True)
class Interactions:
    """Events ordered by (timestamp, event id); all columns have the same length n.

    Attributes
    ----------
    event_type : uint8 array (n,), index into `events.cleaning.schema.EVENT_TYPES`
    user, content, creator : int32 arrays (n,), codes into the vocabularies below, `ABSENT` where missing
    timestamp : float64 array (n,), seconds since 1970 UTC
    watch_s : float32 array (n,), watched seconds, NaN where the event carries none
    long_view : int8 array (n,), 1 or 0 where an imported log states it, -1 where it does not
    session, request : int32 arrays (n,), codes into `sessions` and `requests`, `ABSENT` where missing
    users, contents, creators, sessions, requests : object arrays of str, the vocabularies
    surface : int32 array (n,), codes into `surfaces`, `ABSENT` where missing; all missing when left out
    position : int16 array (n,), where in its feed the content stood, `ABSENT` where missing; all when left out
    surfaces : object array of str
    """

    event_type: NDArray[np.uint8]
    user: NDArray[np.int32]
    content: NDArray[np.int32]
    creator: NDArray[np.int32]
    timestamp: NDArray[np.float64]
    watch_s: NDArray[np.float32]
    long_view: NDArray[np.int8]
    session: NDArray[np.int32]
    request: NDArray[np.int32]
    users: NDArray[np.object_]
    contents: NDArray[np.object_]
    creators: NDArray[np.object_]
    sessions: NDArray[np.object_]
    requests: NDArray[np.object_]
    surface: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    position: NDArray[np.int16] = field(default_factory=lambda: np.empty(0, np.int16))
    surfaces: NDArray[np.object_] = field(default_factory=lambda: np.empty(0, object))

    def __post_init__(self) -> None:
        if len(self.surface) != len(self.event_type):
            object.__setattr__(self, "surface", np.full(len(self.event_type), ABSENT, np.int32))
        if len(self.position) != len(self.event_type):
            object.__setattr__(self, "position", np.full(len(self.event_type), ABSENT, np.int16))

    def __len__(self) -> int:
        return len(self.event_type)

    def rows(self, index: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Self:
        """The chosen events, in the order of the index; the vocabularies stay."""
        columns = (
            "event_type", "user", "content", "creator", "timestamp", "watch_s", "long_view", "session", "request",
            "surface", "position",
        )  # fmt: skip
        return replace(self, **{name: getattr(self, name)[index] for name in columns})


@dataclass(frozen=True, slots=True)
class ContentTable:
    """The catalogue as columns, ordered by content id; all columns have the same length n.

    `upload_timestamp` is in seconds since 1970 UTC, `duration_s` in seconds (NaN where unknown), `text` is caption and
    tags joined by spaces, `active` says whether serving may show the content at all, `sound` is a code that contents
    with one sound share, `ABSENT` without a sound.
    """

    content_id: NDArray[np.object_]
    creator_id: NDArray[np.object_]
    category: NDArray[np.object_]
    language: NDArray[np.object_]
    text: NDArray[np.object_]
    upload_timestamp: NDArray[np.float64]
    duration_s: NDArray[np.float32]
    active: NDArray[np.bool_]
    sound: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.content_id)

    def rows(self, index: NDArray[np.int64]) -> Self:
        """The chosen contents, in the order of the index."""
        return replace(self, **{name: getattr(self, name)[index] for name in self.__dataclass_fields__})
