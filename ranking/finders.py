"""The trained retriever of the serving model, in the rows of the snapshot that is served from.

Joined once per snapshot and model; requests find it made. Whatever goes wrong leaves the
snapshot's own model to find, and is logged once.
"""

import logging
import threading
from copy import copy
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.extraction.definitions import COUNTER_COLUMN
from features.extraction.snapshot import ContentSnapshot
from ranking.ranker.valued import ValuedModel
from ranking.retrieval.channels import shared_channels
from ranking.retrieval.fitting import HALF_LIVES_S
from ranking.retrieval.retriever import Find, Retriever
from ranking.shelves import Stock, is_kept

logger = logging.getLogger(__name__)

MOST_HELD: Final = 4
"""Finders that are kept: of a champion and a canary, for this snapshot and the one before."""
_held: dict[tuple[str, int, str], Find | None] = {}
"""By version and size of the snapshot, and version of the model. What is uploaded meanwhile moves no row."""
_making: Final = threading.Lock()


def stock_with(stock: Stock, model: ValuedModel | None) -> Stock:
    """The stock, finding with the model's retriever where it has one that fits.

    Where a thread keeps the stock it makes the finders too, and until it has, the stock finds as it does alone.
    """
    if model is None or model.retriever is None:
        return stock
    key = (stock.snapshot.version, len(stock.snapshot), model.version)
    if key not in _held:
        if is_kept():
            return stock
        prepare(stock, model)
    finder = _held.get(key)
    if finder is None:
        return stock
    found = copy(stock)
    object.__setattr__(found, "shelf", stock.shelf.finding(finder))
    return found


def prepare(stock: Stock | None, model: ValuedModel | None) -> None:
    """Make the finder of a stock and a model, which takes half a second, unless it is there."""
    if stock is None or model is None or model.retriever is None:
        return
    key = (stock.snapshot.version, len(stock.snapshot), model.version)
    with _making:
        if key not in _held:
            while len(_held) >= MOST_HELD:
                _held.pop(next(iter(_held)))
            _held[key] = _finder(stock.snapshot, model.retriever)


def shared_of(snapshot: ContentSnapshot) -> dict[str, NDArray[np.float64]]:
    """The shared channels by the counters of the feature store, under the names that training gave them."""
    counts = {
        signal: {name: snapshot.counters[:, COUNTER_COLUMN[signal, name]].astype(np.float64) for name in HALF_LIVES_S}
        for signal in ("long_views", "exposures")
    }
    return shared_channels(counts["long_views"], counts["exposures"])


def _finder(snapshot: ContentSnapshot, retriever: Retriever) -> Find | None:
    if snapshot.sequential is None:
        return None
    try:
        return retriever.finder(snapshot.row_of, len(snapshot), snapshot.sequential, shared_of(snapshot))
    except Exception:  # the snapshot's own model finds, too
        logger.exception("the trained retriever does not fit snapshot %s", snapshot.version)
        return None
