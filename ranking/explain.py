"""Why an item is on a page, in a sentence for the person who sees it."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from events.queries import content_cards
from ranking.feed_request import Explanation
from ranking.pipeline.stages import Ids
from ranking.shelves import Stock
from ranking.shortlist import Pick

LIKENESS_FLOOR: Final = 0.3
"""Cosine below which nobody would see what two clips have in common."""
LOOK_BACK: Final = 20
_PERSONAL: Final = frozenset({"sequential", "content_based"})
_SENTENCES: Final[Mapping[str, str]] = {
    "sequential": "People who watched what you just watched went on to this.",
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


def explain(picks: Sequence[Pick], stock: Stock | None, positives: Ids) -> dict[str, Explanation]:
    """An explanation of every pick by content id; one query, for the captions of what the user watched."""
    watched = {} if stock is None else _likest(picks, stock, positives[-LOOK_BACK:])
    cards = content_cards(set(watched.values())) if watched else {}
    found = {}
    for pick in picks:
        card = cards.get(watched.get(pick.content_id, ""))
        name = "" if card is None else card.caption or (card.category and f"a clip about {card.category}")
        reasons = {move.reason for move in pick.moves}
        if "exploration" in reasons:
            sentence = _EXPLORED
        elif "guaranteed_exposure" in reasons:
            sentence = _GUARANTEED
        else:
            sentence = f"Because you watched “{name}”." if name else _SENTENCES.get(pick.source, _UNKNOWN)
        found[pick.content_id] = Explanation(pick.ranks, pick.moves, sentence, pick.figures)
    return found


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
