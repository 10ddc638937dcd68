"""What of the catalogue one user must not be shown again yet. Served, seen and viewed are three states.

- **Served**: delivered on a page, and nothing more is known. It is held back for a while, on all devices, because it
  may still wait in a client; who never got to it may get it again later, behind equally good new contents.
- **Seen**: any event about it, an impression or a swipe of half a second included. It stays away while there is
  anything else.
- **Viewed**: watched; it stays away as what is seen does, and says something about taste, which seeing does not.

When nothing else is left, what had the user's last contact longest ago comes first.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Memory:
    """What stays away, and what was left behind.

    Attributes
    ----------
    contact : content id to the last time, in seconds since 1970 UTC, that it was served or met
    passed_over : served longer ago than it is held back, and never met; not in `contact`
    """

    contact: Mapping[str, float]
    passed_over: frozenset[str]


def remember(met: Mapping[str, float], served: Mapping[str, float], *, held_since: float) -> Memory:
    """Sort what was served and met.

    Parameters
    ----------
    met, served : content id to the last time, in seconds since 1970 UTC
    held_since : what was served from this moment on is held back

    >>> memory = remember({"a": 5.0}, {"a": 4.0, "b": 9.0, "c": 1.0}, held_since=8.0)
    >>> memory.contact, sorted(memory.passed_over)
    ({'a': 5.0, 'b': 9.0}, ['c'])
    """
    contact = dict(met)
    passed_over = set()
    for content_id, at in served.items():
        known = contact.get(content_id)
        if known is None and at < held_since:
            passed_over.add(content_id)
        else:
            contact[content_id] = at if known is None else max(at, known)
    return Memory(contact, frozenset(passed_over))
