"""Contents whose media look the same: copies that were uploaded again, cut, scaled or encoded anew.

Frames are compared by their 64-bit perceptual hashes (DCT), at the same place of both media. Two contents look the same
if at least `LEAST_ALIKE` of their frames differ in at most `RADIUS` bits; groups are what such pairs connect.

Comparing all pairs is out of reach. Close hashes agree in one of four bands of 16 bits: surely up to 3 bits apart, and
with several frames nearly always up to `RADIUS`. So only neighbours in the order of each band and place are compared,
`NEIGHBOURS` to a side: a frame that thousands share, such as a black one, costs no more than any other.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

RADIUS: Final = 6
LEAST_ALIKE: Final = 0.75
NEIGHBOURS: Final = 3
FRAMES: Final = 8
"""Frames that are compared; further ones of a content are left out."""
UNIQUE: Final = -1
_BANDS: Final = tuple(np.uint64(16 * band) for band in range(4))
_LOW: Final = np.uint64(0xFFFF)

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]


def look_groups(hashes: Sequence[Sequence[int]]) -> NDArray[np.int32]:
    """Groups of contents that look the same: int32 array (n,), codes from 0, `UNIQUE` for who has no twin.

    Parameters
    ----------
    hashes : of each content the hashes of its frames in order, signed or not; empty where nothing is known

    >>> clip, other = [0x0F0F, 0xF0F0], [0x123456789, 0x987654321]
    >>> look_groups([clip, other, [0x0F0E, 0xF0F0], []]).tolist()
    [0, -1, 0, -1]
    """
    from scipy.sparse import coo_array  # noqa: PLC0415  a quarter of what a web worker holds, and few ask
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415  a quarter of what a web worker holds, and few ask

    frame, counted = _table(hashes)
    pairs = _neighbours(frame, counted)
    same = pairs[:, _alike(frame, counted, pairs)]
    linked = coo_array((np.ones(same.shape[1], np.bool_), (same[0], same[1])), shape=(len(frame), len(frame)))
    _, label = connected_components(linked, directed=False)
    sizes = np.bincount(label, minlength=1)
    code = np.where(sizes > 1, np.cumsum(sizes > 1) - 1, UNIQUE)
    return np.asarray(code[label], np.int32)


def _table(hashes: Sequence[Sequence[int]]) -> tuple[Hashes, Rows]:
    """Hashes (n, FRAMES), and how many of them each content has."""
    frame = np.zeros((len(hashes), FRAMES), np.uint64)
    counted = np.zeros(len(hashes), np.int64)
    for row, found in enumerate(hashes):
        kept = [each & 0xFFFF_FFFF_FFFF_FFFF for each in found[:FRAMES]]
        frame[row, : len(kept)], counted[row] = kept, len(kept)
    return frame, counted


def _neighbours(frame: Hashes, counted: Rows) -> Rows:
    """Pairs that may look the same: int64 array (2, pairs), each pair once, the smaller row first."""
    found = [np.empty((2, 0), np.int64)]
    for place in range(frame.shape[1]):
        rows = np.flatnonzero(counted > place)
        for shift in _BANDS:
            band = (frame[rows, place] >> shift) & _LOW
            order = np.lexsort((frame[rows, place], band))
            for lag in range(1, NEIGHBOURS + 1):
                near = band[order[lag:]] == band[order[:-lag]] if lag < len(order) else np.empty(0, np.bool_)
                at = np.flatnonzero(near)
                found.append(np.stack([rows[order[at]], rows[order[at + lag]]]))
    pairs = np.concatenate(found, axis=1)
    return np.unique(np.sort(pairs, axis=0), axis=1)


def _alike(frame: Hashes, counted: Rows, pairs: Rows) -> NDArray[np.bool_]:
    """Which pairs look the same: as many frames on both sides, and enough of them close."""
    one, other = pairs
    close = np.bitwise_count(frame[one] ^ frame[other]) <= RADIUS
    close &= np.arange(frame.shape[1]) < counted[one][:, None]
    enough = close.sum(axis=1) >= LEAST_ALIKE * np.maximum(counted[one], 1)
    return np.asarray(enough & (counted[one] == counted[other]), np.bool_)
