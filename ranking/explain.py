"""Why an item is on a page, in a sentence for the person who sees it."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from events.queries import content_cards
from ranking.feed_request import Explanation
from ranking.pipeline.stages import Ids
from ranking.shelves import Stock
from ranking.shortlist import Pick

logger = logging.getLogger(__name__)

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


Heads = Callable[[Ids], Mapping[str, NDArray[np.float32]]]
"""What the model expects of rows of the shelf, by the name of the head."""


def explain(
    picks: Sequence[Pick], stock: Stock | None, positives: Ids, heads: Heads | None = None
) -> dict[str, Explanation]:
    """An explanation of every pick by content id; one query, for the captions of what the user watched."""
    expected = {} if stock is None or heads is None else _expected(picks, stock, heads)
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
        found[pick.content_id] = Explanation(pick.ranks, pick.moves, sentence, expected.get(pick.content_id, {}))
    return found


def _expected(picks: Sequence[Pick], stock: Stock, heads: Heads) -> dict[str, dict[str, float]]:
    """What the model expects of each pick that the snapshot has; nothing where the model breaks."""
    known = [pick.content_id for pick in picks if pick.content_id in stock.shelf.row_of]
    try:
        expected = heads(np.array([stock.shelf.row_of[each] for each in known], np.int64)) if known else {}
    except Exception:  # the page is there; what is missing is a figure beside it
        logger.exception("the expectations of the model cannot be explained")
        return {}
    return {each: {name: float(values[at]) for name, values in expected.items()} for at, each in enumerate(known)}


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
