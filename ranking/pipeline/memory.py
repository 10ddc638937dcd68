"""What of the catalogue one user must not be shown again yet. Delivered, seen and viewed are three states.

- **Delivered**: it was on a page, and nothing more is known. It stays away, on all devices and walks, while there is
  enough that never was on a page: it may still wait in a client. Once that is used up to the last pages, all of it is
  released at once, to compete by rank like anything else: the user never saw it.
- **Seen**: any event about it, an impression or a swipe of half a second included. It stays away while there is
  anything else, and then comes in the order of the user's last contact, longest ago first.
- **Viewed**: watched; it stays away as what is seen does, and says something about taste, which seeing does not.

A walk (a chain of cursors) never repeats what it delivered itself, seen or not.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Memory:
    """What stays away, and until when; no content id is in two of the three.

    Attributes
    ----------
    seen : content id to the last time, in seconds since 1970 UTC, that it was seen or delivered
    waiting : delivered by other walks, and never seen
    walked : delivered by this walk
    """

    seen: Mapping[str, float]
    waiting: frozenset[str]
    walked: frozenset[str]


def remember(met: Mapping[str, float], delivered: Mapping[str, float], *, walked: Collection[str] = ()) -> Memory:
    """Sort what was delivered and met.

    Parameters
    ----------
    met, delivered : content id to the last time, in seconds since 1970 UTC
    walked : content ids of the pages before on this walk

    >>> memory = remember({"a": 5.0, "d": 6.0}, {"a": 7.0, "b": 9.0, "c": 1.0}, walked=["c"])
    >>> memory.seen, sorted(memory.waiting), sorted(memory.walked)
    ({'a': 7.0, 'd': 6.0}, ['b'], ['c'])
    """
    own = frozenset(walked)
    seen = {each: max(at, delivered.get(each, at)) for each, at in met.items() if each not in own}
    return Memory(seen, frozenset(delivered.keys() - met.keys() - own), own)
