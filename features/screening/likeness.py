"""How far the frames of an upload resemble those of listed clips, by their 64-bit perceptual hashes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

NEAR_BITS: Final = 10
"""Frames that differ in so many bits of 64 at most show the same scene: unrelated ones differ in 20 and more."""
SAME_BITS: Final = 4
"""Frames that differ in so many bits at most are the same picture, encoded anew."""
FLAT_BITS: Final = 6
"""A hash with fewer bits set, or clear, than this is of a picture of one colour, and resembles every such picture."""
_AT_ONCE: Final = 1 << 21


@dataclass(frozen=True, slots=True)
class Listed:
    """The frames of many listed clips: one hash per row, and the clip it is of.

    Attributes
    ----------
    hashes : (N,) uint64
    owner : (N,) int64, ascending
    names : of each clip
    """

    hashes: NDArray[np.uint64]
    owner: NDArray[np.int64]
    names: Sequence[str]

    @classmethod
    def of(cls, clips: Iterable[tuple[str, Sequence[int]]]) -> "Listed":
        """The hashes of clips by name, signed or unsigned; those of flat pictures are left out."""
        listed = [(name, useful(hashes)) for name, hashes in clips]
        sizes = [len(hashes) for _, hashes in listed]
        hashes = np.concatenate([found for _, found in listed]) if listed else np.empty(0, np.uint64)
        return cls(hashes, np.repeat(np.arange(len(listed)), sizes), [name for name, _ in listed])


def useful(hashes: Sequence[int]) -> NDArray[np.uint64]:
    """Hashes as unsigned numbers, without those of flat pictures."""
    unsigned = np.array([each & (2**64 - 1) for each in hashes], np.uint64)
    ones = np.bitwise_count(unsigned)
    return unsigned[(ones >= FLAT_BITS) & (ones <= 64 - FLAT_BITS)]


def nearest(hashes: Sequence[int], listed: Listed, *, bits: int = NEAR_BITS) -> tuple[float, str]:
    """The largest share of the given frames that resemble frames of one listed clip, and which clip that is.

    A frame counts for a clip where it is within so many bits of any frame of it. (0.0, "") without frames or list.

    >>> of = Listed.of([("a", [0x0F0F0F0F0F0F0F0F]), ("b", [0x3333333333333333])])
    >>> nearest([0x0F0F0F0F0F0F0F0E, 0x3333333333333333], of)
    (0.5, 'a')
    """
    frames = useful(hashes)
    if not len(frames) or not len(listed.hashes):
        return 0.0, ""
    votes = np.zeros(len(listed.names), np.int64)
    rows = max(_AT_ONCE // len(frames), 1)
    seen: list[NDArray[np.int64]] = []
    for start in range(0, len(listed.hashes), rows):
        some = listed.hashes[start : start + rows]
        near = np.bitwise_count(frames[:, None] ^ some[None, :]) <= bits
        frame, row = np.nonzero(near)
        # One clip may be split between two pieces, so pairs are collected and counted once.
        seen.append(np.stack([frame, listed.owner[start + row]], axis=1))
    pairs = np.unique(np.concatenate(seen), axis=0)
    np.add.at(votes, pairs[:, 1], 1)
    best = int(np.argmax(votes))
    return (float(votes[best]) / len(frames), listed.names[best]) if votes[best] else (0.0, "")
