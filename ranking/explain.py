"""Why an item is on a page, in a sentence for the person who sees it."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from events.queries import eligible_cards
from ranking.feed_request import Explanation, FeedRequest
from ranking.pipeline.stages import Ids
from ranking.shelves import Stock
from ranking.shortlist import Person, Pick

LIKENESS_FLOOR: Final = 0.3
"""Cosine below which nobody would see what two clips have in common."""
LOOK_BACK: Final = 20
_PERSONAL: Final = frozenset({"sequential", "content_based"})
_SENTENCES: Final[Mapping[str, str]] = {
    "sequential": "People who enjoyed what you enjoyed went on to this.",
    "content_based": "It is like clips you enjoyed.",
    "popular": "Many people enjoy it lately.",
    "trending": "More and more people turn to it right now.",
    "fresh": "It is new.",
    "latest": "It is among the newest uploads.",
    "category": "It is in a category you chose.",
    "following": "You follow its creator.",
    "creator": "It is by the creator you chose.",
    "seen_again": "You have seen everything else; this was longest ago.",
}
_GUARANTEED: Final = "It is new, and everything new is shown to some people first."
_EXPLORED: Final = "We are trying out whether you like something different."
_UNKNOWN: Final = "It was chosen for you."
_SEEDED: Final = "It is like the clip you started from."


def explain(
    picks: Sequence[Pick], stock: Stock | None, positives: Ids, request: FeedRequest, person: Person
) -> dict[str, Explanation]:
    """An explanation of every pick by content id; one query, for the captions of what the user watched or liked.

    Quoted is only what this user may see at this moment: a caption may be why a content was removed, and nobody wants
    to read of a creator whom they blocked.
    """
    likest = {} if stock is None else _likest(picks, stock, positives[-LOOK_BACK:])
    # The seed is the user's word, not their past.
    cards = eligible_cards(set(likest.values()) - {request.seed_content_id or ""}, person.audience) if likest else {}
    found = {}
    for pick in picks:
        like = likest.get(pick.content_id, "")
        card = cards.get(like)
        name = "" if card is None else card.caption or (card.category and f"a clip about {card.category}")
        reasons = {move.reason for move in pick.moves}
        if "exploration" in reasons:
            sentence = _EXPLORED
        elif "guaranteed_exposure" in reasons:
            sentence = _GUARANTEED
        elif name:
            sentence = f"Because you watched or liked “{name}”."
        else:
            sentence = _SEEDED if like and like == request.seed_content_id else _of_source(pick, request, person)
        found[pick.content_id] = Explanation(pick.ranks, pick.moves, sentence, pick.figures)
    return found


def _of_source(pick: Pick, request: FeedRequest, person: Person) -> str:
    """What the source alone says; nothing of a past that may not be used or of which nothing is known."""
    if pick.source in _PERSONAL:
        if request.seed_content_id is not None:
            return _SEEDED
        if not len(person.history):
            return _UNKNOWN
    if pick.source == "following" and request.surface != "following" and not person.follows:
        return _UNKNOWN
    return _SENTENCES.get(pick.source, _UNKNOWN)


def _likest(picks: Sequence[Pick], stock: Stock, positives: Ids) -> dict[str, str]:
    """For picks that the user's past proposed, the content of it that is most like them."""
    shelf = stock.shelf
    found: dict[str, str] = {}
    for pick in picks:
        row = shelf.row_of.get(pick.content_id)
        if row is None or not len(positives) or not _PERSONAL & set(pick.sources):
            continue
        likeness = shelf.embedding[positives] @ shelf.embedding[row]
        best = int(np.argmax(likeness))
        if likeness[best] > LIKENESS_FLOOR:
            found[pick.content_id] = shelf.content_id[positives[best]]
    return found
