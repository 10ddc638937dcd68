"""At most so many of one creator, sound or topic in any window of positions, with a stated order of giving way.

A cap never empties a page. Caps are listed strongest first: where no candidate passes all of them the last one yields,
then the one before it, until something is left.

Plain lists and sets: a page looks at a few candidates at a time, and finds the next one within the first dozen. Masks
over all candidates took three times as long.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.moves import Reason


class WindowCap:
    """How often each code stands in the last `window - 1` positions; negative codes are unknown and never count.

    `codes` holds the code of each candidate, `full` those that would be one too many at the next position.
    """

    def __init__(self, codes: NDArray[np.int32], most: int, window: int, reason: Reason) -> None:
        if most < 1 or window < 1:
            raise ValueError(f"a cap needs at least 1 per window of at least 1, got {most} per {window}")
        self.reason = reason
        self.codes: list[int] = codes.tolist()
        self.full: set[int] = set()
        self._most = most
        self._recent: deque[int] = deque(maxlen=window - 1)

    def take(self, pick: int) -> None:
        """The next position went to candidate `pick`; the window moves on by one."""
        self.pass_by(self.codes[pick])

    def pass_by(self, code: int) -> None:
        """The next position went to something of a code: a candidate, or what a page before showed."""
        recent = self._recent
        touched = {code, recent[0]} if recent and len(recent) == recent.maxlen else {code}
        recent.append(code)
        for each in touched:
            if each >= 0 and recent.count(each) >= self._most:
                self.full.add(each)
            else:
                self.full.discard(each)

    def blocks(self, candidate: int) -> bool:
        """Whether a candidate would be one too many at the next position."""
        return self.codes[candidate] in self.full


def first_allowed(waiting: Iterable[int], caps: Sequence[WindowCap]) -> int | None:
    """The first of some candidates that none of the caps blocks; None where there is none."""
    active = [(cap.codes, cap.full) for cap in caps if cap.full]
    for candidate in waiting:
        for codes, full in active:
            if codes[candidate] in full:
                break
        else:
            return candidate
    return None


def first_relaxed(waiting: Collection[int], caps: Sequence[WindowCap]) -> int:
    """The same, where the last cap yields if none is found, then the one before it; somebody must wait.

    >>> topic = WindowCap(np.array([7, 7, 8], np.int32), 1, 3, "category_cap")
    >>> creator = WindowCap(np.array([1, 2, 1], np.int32), 1, 3, "creator_cap")
    >>> for cap in (creator, topic):
    ...     cap.take(0)
    >>> first_relaxed([1, 2], [creator, topic]), first_relaxed([2], [creator, topic])
    (1, 2)
    """
    for strict in range(len(caps), -1, -1):
        found = first_allowed(waiting, caps[:strict])
        if found is not None:
            return found
    raise ValueError("no candidate is left on any level")
