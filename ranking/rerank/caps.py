"""At most so many of one creator, sound or topic in any window of positions, with a stated order of giving way.

A cap never empties a page. Caps are listed strongest first: where no candidate passes all of them the last one yields,
then the one before it, until something is left.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.moves import Reason

Mask = NDArray[np.bool_]


class WindowCap:
    """How often each code stands in the last `window - 1` positions; negative codes are unknown and never count."""

    def __init__(self, codes: NDArray[np.int32], most: int, window: int, reason: Reason) -> None:
        if most < 1 or window < 1:
            raise ValueError(f"a cap needs at least 1 per window of at least 1, got {most} per {window}")
        self.reason = reason
        self._codes, self._most = codes, most
        self._recent: deque[int] = deque(maxlen=window - 1)
        # One entry more than codes: an unknown (-1) indexes the last, which is never raised.
        self._full = np.zeros(int(codes.max(initial=-1)) + 2, np.bool_)

    def take(self, pick: int) -> None:
        """The next position went to candidate `pick`; the window moves on by one."""
        code = int(self._codes[pick])
        touched = {code, *(self._recent if len(self._recent) == self._recent.maxlen else ())}
        self._recent.append(code)
        for each in touched:
            if each >= 0:
                self._full[each] = self._recent.count(each) >= self._most

    def blocked(self) -> Mask:
        """True for candidates that would be one too many at the next position."""
        return self._full[self._codes]


def relaxed(free: Mask, blocked: Sequence[Mask]) -> list[Mask]:
    """What may be taken next, strictest first: all caps, then one fewer from the end each time, then all that is free.

    >>> free, topic, creator = np.ones(3, bool), np.array([True, True, False]), np.array([False, True, True])
    >>> [level.tolist() for level in relaxed(free, [creator, topic])]
    [[False, False, False], [True, False, False], [True, True, True]]
    """
    levels = [free]
    for mask in blocked:
        levels.append(levels[-1] & ~mask)
    return levels[::-1]


def first_of(levels: Sequence[Mask]) -> int:
    """Index of the first candidate of the strictest level that has any; at least one level must.

    >>> first_of([np.array([False, False]), np.array([False, True])])
    1
    """
    for level in levels:
        first = int(level.argmax())
        if level[first]:
            return first
    raise ValueError("no candidate is left on any level")
