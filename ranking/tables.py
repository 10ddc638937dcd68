"""Contents as tables that conditions (`candidates.expressions`) are judged on: those of a snapshot, and cards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from events.cleaning.audience import primary
from events.queries import ContentCard
from features.extraction.snapshot import ContentSnapshot
from ranking.candidates.expressions import parse_filter
from ranking.candidates.filters import codes_of
from ranking.pipeline.stages import Mask
from ranking.tagged import rows_tagged

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class SnapshotTable:
    """Every content of a snapshot; its tags are asked of the database. `now_s` dates ages."""

    snapshot: ContentSnapshot
    now_s: float

    @property
    def size(self) -> int:
        """How many contents there are."""
        return len(self.snapshot)

    def among(self, field: str, values: frozenset[str]) -> Mask:
        """Whose text is one of the values; of tags: who has any."""
        snapshot = self.snapshot
        if field in {"content_id", "tags"}:
            found = np.zeros(len(snapshot), np.bool_)
            rows = rows_tagged(snapshot, values) if field == "tags" else snapshot.rows(sorted(values))
            found[rows[rows >= 0]] = True
            return found
        if field == "creator_id":
            return _coded(snapshot.creator, codes_of(snapshot.creators, values), values)
        if field == "category":
            return _coded(snapshot.category, codes_of(snapshot.categories, values), values)
        spoken = [code for code, tag in enumerate(snapshot.languages) if primary(tag) in values]
        return _coded(snapshot.language, np.array(spoken, np.int64), values)

    def number(self, field: str) -> NDArray[Any]:
        """A column of numbers."""
        if field == "duration_s":
            return self.snapshot.duration_s
        return (self.now_s - self.snapshot.upload_timestamp) / HOUR_S


@dataclass(frozen=True, slots=True)
class CardTable:
    """Cards, which know everything."""

    cards: Sequence[ContentCard]
    now_s: float

    @property
    def size(self) -> int:
        """How many contents there are."""
        return len(self.cards)

    def among(self, field: str, values: frozenset[str]) -> Mask:
        """Whose text is one of the values; of tags: who has any."""
        if field == "tags":
            found = [not values.isdisjoint(card.tags or ("",)) for card in self.cards]
        elif field == "language":
            found = [primary(card.language) in values for card in self.cards]
        else:
            found = [getattr(card, field) in values for card in self.cards]
        return np.array(found, np.bool_)

    def number(self, field: str) -> NDArray[Any]:
        """A column of numbers."""
        if field == "duration_s":
            return np.array([np.nan if card.duration_s is None else card.duration_s for card in self.cards])
        return (self.now_s - np.array([card.uploaded_s for card in self.cards])) / HOUR_S


def passing(cards: Mapping[str, ContentCard], condition: str, now: datetime) -> dict[str, ContentCard]:
    """Those of some cards for which a condition holds, by the database's word."""
    mask = parse_filter(condition).mask(CardTable(list(cards.values()), now.timestamp()))
    return {each: card for (each, card), holds in zip(cards.items(), mask, strict=True) if holds}


def _coded(codes: NDArray[Any], wanted: NDArray[np.int64], values: frozenset[str]) -> Mask:
    """Which codes are wanted; negative ones are unknown, which equals the empty text."""
    found = np.isin(codes, wanted)
    return np.asarray(found | (codes < 0) if "" in values else found, np.bool_)
