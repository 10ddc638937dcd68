"""A stable place of everybody on a line from 0 to 1, for sharing users out by percentages.

The hash is the published one of GrowthBook, version 2: FNV-1a of seed and value, hashed again as a decimal number, so
that neighbouring ids do not fall into neighbouring buckets. Another seed deals everybody out anew; a share that grows
keeps whom it had.
"""

from typing import Final

BUCKETS: Final = 10_000
_OFFSET: Final = 2_166_136_261
_PRIME: Final = 16_777_619
_MASK: Final = 0xFFFF_FFFF


def bucket(seed: str, value: str) -> float:
    """Where a value lies, 0 to 1 in steps of one ten-thousandth.

    >>> bucket("seed", "a"), bucket("seed", "b")
    (0.0505, 0.2696)
    """
    return _fnv1a(str(_fnv1a(seed + value))) % BUCKETS / BUCKETS


def within(share_pct: float, seed: str, value: str) -> bool:
    """Whether a value is among so many percent.

    >>> within(5.1, "seed", "a"), within(5.0, "seed", "a")
    (True, False)
    """
    return bucket(seed, value) < share_pct / 100.0


def _fnv1a(text: str) -> int:
    found = _OFFSET
    for byte in text.encode():
        found = ((found ^ byte) * _PRIME) & _MASK
    return found
