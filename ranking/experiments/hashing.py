"""Chance without a coin: the same unit gets the same number in every process, on every machine, for good.

The algorithm is GrowthBook's published one (versions 1 and 2 of its hash), so a client may compute arms by itself with
any of its SDKs.
"""

from typing import Final

_OFFSET: Final = 0x811C9DC5
_PRIME: Final = 0x01000193
_BITS: Final = 0xFFFFFFFF


def fnv1a32(text: str) -> int:
    """FNV-1a over the UTF-8 bytes, 32 bits.

    >>> fnv1a32("a")
    3826002220
    """
    found = _OFFSET
    for byte in text.encode():
        found = ((found ^ byte) * _PRIME) & _BITS
    return found


def place(seed: str, unit: str) -> float:
    """Where a unit falls in [0, 1), in steps of 1/10,000; hashed twice, so that similar seeds are independent.

    >>> place("seed", "a")
    0.0505
    """
    return fnv1a32(str(fnv1a32(seed + unit))) % 10_000 / 10_000


def coarse_place(seed: str, unit: str) -> float:
    """Version 1, in steps of 1/1,000, which namespaces use.

    >>> coarse_place("", "a")
    0.22
    """
    return fnv1a32(unit + seed) % 1_000 / 1_000
