"""Which contents of delivered pages still wait in the client, and which were passed over.

The feed must not repeat a page that was fetched ahead and not yet watched. The server sees only what it served and
what the user did since, so the rule is stated here and in the API's description:

- a page nobody has touched yet waits, all of it;
- of the page last touched, up to `PREFETCH_AHEAD` remaining clips wait: a client that reads ahead asks for more when
  its page runs low. One that asks with more left has refreshed, and they count as passed over;
- what was left on the pages before that was passed over.

Waiting contents are excluded, passed-over ones may return behind equally good new ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

PREFETCH_AHEAD = 4
CLOCK_SLACK_S = 300.0
"""An event's time is the client's, a page's the server's; a watch this much "before" its page still belongs to it."""


@dataclass(frozen=True, slots=True)
class ServedPosition:
    """One delivered position; `served_at` in seconds since 1970 UTC."""

    request_id: UUID
    content_id: str
    served_at: float


@dataclass(frozen=True, slots=True)
class Pending:
    """Content ids that wait in the client, and those the user left behind."""

    waiting: frozenset[str]
    passed_over: frozenset[str]


def pending(served: Sequence[ServedPosition], last_met: Mapping[str, float]) -> Pending:
    """Sort the unwatched contents of recently served pages into waiting and passed over.

    Parameters
    ----------
    served : recently delivered positions, in any order
    last_met : content id to the time (s) of the user's latest event about it

    >>> one, two = UUID(int=1), UUID(int=2)
    >>> pages = [ServedPosition(one, "a", 10.0), ServedPosition(one, "b", 10.0), ServedPosition(two, "c", 20.0)]
    >>> sorted(pending(pages, {"a": 12.0}).waiting)
    ['b', 'c']
    >>> sorted(pending(pages, {"c": 25.0}).passed_over)
    ['a', 'b']
    """
    pages: dict[UUID, list[ServedPosition]] = {}
    for position in sorted(served, key=lambda each: (each.served_at, each.request_id)):
        pages.setdefault(position.request_id, []).append(position)
    left = [[each.content_id for each in page if not _met(each, last_met)] for page in pages.values()]
    touched = [len(rest) < len(page) for rest, page in zip(left, pages.values(), strict=True)]
    last = max((place for place, was in enumerate(touched) if was), default=-1)
    waiting: set[str] = set()
    passed_over: set[str] = set()
    for place, rest in enumerate(left):
        waits = place > last or (place == last and len(rest) <= PREFETCH_AHEAD)
        (waiting if waits else passed_over).update(rest)
    return Pending(frozenset(waiting), frozenset(passed_over - waiting))


def _met(position: ServedPosition, last_met: Mapping[str, float]) -> bool:
    return last_met.get(position.content_id, float("-inf")) >= position.served_at - CLOCK_SLACK_S
