"""Sets of users as bytes: exact, and small enough that one for each day answers every question about distinct users.

Users are numbered densely, so a set is either a bitmap of as many bits as there are numbers, or the numbers themselves,
whichever is shorter; a first byte tells which. Unions and intersections are made of bitmaps (`Bits`): 200,000 users are
25 kB, and a month of days is united in less than a millisecond. `bench kpis` measures both forms, and counting distinct
users in SQL beside them.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Bits: TypeAlias = NDArray[np.uint8]
"""uint8 array (b,): bit n % 8, counted from the lowest, of byte n // 8 says whether user n is in the set."""

BITMAP: Final = 0
NUMBERS: Final = 1


def packed(numbers: NDArray[np.integer]) -> bytes:
    """The bytes of a set of user numbers, each at most once and not negative, in any order.

    >>> packed(np.array([3, 0])), packed(np.array([70_000]))
    (b'\\x00\\t', b'\\x01p\\x11\\x01\\x00')
    """
    ordered = np.sort(numbers).astype("<u4")
    size = int(ordered[-1]) // 8 + 1 if len(ordered) else 0
    if size <= 4 * len(ordered):
        return bytes([BITMAP]) + bits_of(ordered, size).tobytes()
    return bytes([NUMBERS]) + ordered.tobytes()


def bits_of(numbers: NDArray[np.integer], size: int) -> Bits:
    """A bitmap of `size` bytes, which must have room for the highest number."""
    flags = np.zeros(8 * size, np.bool_)
    flags[numbers] = True
    return np.packbits(flags, bitorder="little")


def unpacked(data: bytes | memoryview, size: int) -> Bits:
    """The bitmap of a set in `size` bytes, which must have room for it; no bytes at all are the empty set."""
    found = np.zeros(size, np.uint8)
    if len(data) > 1:
        if data[0] == BITMAP:
            bits = np.frombuffer(data, np.uint8, offset=1)
            found[: len(bits)] = bits
        else:
            return bits_of(np.frombuffer(data, "<u4", offset=1), size)
    return found


def numbers_of(bits: Bits) -> NDArray[np.int64]:
    """The numbers of a set, ascending."""
    return np.flatnonzero(np.unpackbits(bits, bitorder="little"))


def count(bits: Bits) -> int:
    """How many are in a set.

    >>> count(unpacked(packed(np.array([1, 5, 9])), 4))
    3
    """
    return int(np.bitwise_count(bits).sum(dtype=np.int64))


def union(sets: Sequence[Bits], size: int) -> Bits:
    """Who is in any of the sets; nobody where there is no set."""
    found = np.zeros(size, np.uint8)
    for each in sets:
        found |= each
    return found
