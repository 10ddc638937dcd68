"""Creators whom a user might like to follow: nobody followed, blocked, muted or refused already."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from events.queries import eligible_cards
from events.relations import followed_creators
from ranking.candidates.creators import creators_for, showpieces
from ranking.pipeline.shelf import session_taste
from ranking.shelves import current_stock, taste_vector
from ranking.viewer import known_rows, viewer_of

MAX_CREATORS: Final = 50
SHOWPIECES: Final = 3
_SPARE: Final = 10
"""Beyond the page, for creators whose contents have all been withdrawn since the snapshot."""


@dataclass(frozen=True, slots=True)
class SuggestedCreator:
    """One creator, why, and some of their contents that may be shown now.

    `because` is "taste", "behaviour", "affinity" or "popularity": what said most for them.
    """

    creator_id: str
    score: float
    because: str
    content_ids: tuple[str, ...]


def suggest_creators(user_id: str, count: int, *, now: datetime) -> tuple[SuggestedCreator, ...]:
    """The creators to offer, best first; four queries. Empty while there is no snapshot.

    A user who does not want to be profiled is offered whom everybody likes.
    """
    viewer = viewer_of(user_id, now=now)
    stock = current_stock()
    if stock is None or len(stock.shelf) == 0:
        return ()
    shelf, snapshot = stock.shelf, stock.snapshot
    known = followed_creators(user_id) | viewer.stated.unwanted_creators | {user_id}
    refused = shelf.creator[known_rows(stock, viewer.refused)]
    unwanted = snapshot.creator_codes(known)
    profiled = viewer.stated.profiling
    found = creators_for(
        shelf,
        session_taste(viewer.past, shelf) if profiled else None,
        taste_vector(viewer.past, stock) if profiled else None,
        limit=count + _SPARE,
        without=np.union1d(unwanted[unwanted >= 0], refused[refused >= 0]).astype(np.int64),
    )
    shown = showpieces(shelf, found.code, SHOWPIECES)
    ids = {code: [str(shelf.content_id[row]) for row in rows] for code, rows in shown.items()}
    cards = eligible_cards([each for listed in ids.values() for each in listed], viewer.audience)
    suggestions = []
    for code, score, because in zip(found.code.tolist(), found.score.tolist(), found.because, strict=True):
        creator = str(snapshot.creators[code])
        # Whoever has changed hands since the snapshot is no longer theirs to show.
        own = tuple(each for each in ids[code] if each in cards and cards[each].creator_id == creator)
        if own:
            suggestions.append(SuggestedCreator(creator, score, because, own))
    return tuple(suggestions[:count])
