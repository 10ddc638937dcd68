"""Who looks at a listing: what they met, refused and do not want, for the doors beside the feed."""

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from events import queries
from events.cleaning.audience import Audience, audience_of
from events.cleaning.preferences import Preferences, read_preferences
from events.columnar.history import History
from events.queries import ContentCard
from ranking.candidates.filters import codes_of
from ranking.pipeline.shelf import refused
from ranking.pipeline.stages import Ids, Mask
from ranking.shelves import Stock


@dataclass(frozen=True, slots=True)
class Viewer:
    """One user's past and wishes; the default is somebody nobody knows.

    Attributes
    ----------
    past : the history for judging taste; empty for a user who does not want to be profiled
    met : ids of contents the user has met or refused
    refused : ids of those that the user hid or reported
    stated : the user's own wishes
    audience : age and country, as far as they are known, and whether sensitive contents are welcome; other wishes are
        told apart from what is forbidden
    """

    user_id: str | None = None
    past: History = field(default_factory=History.empty)
    met: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    stated: Preferences = field(default_factory=Preferences)
    audience: Audience = field(default_factory=Audience)

    def accepts(self, card: ContentCard) -> bool:
        """Whether nothing the user stated speaks against a content."""
        return not self.objection(card)

    def objection(self, card: ContentCard) -> str:
        """What the user stated against a content, as a stable word; "" for nothing."""
        if card.creator_id in self.stated.blocked_creators:
            return "blocked_creator"
        if card.creator_id in self.stated.muted_creators:
            return "muted_creator"
        return "muted_category" if card.category in self.stated.muted_categories else ""

    def may_see(self, stock: Stock) -> Mask:
        """Rows of the snapshot that are neither met nor unwanted."""
        shelf = stock.shelf
        allowed = shelf.active.copy()
        allowed[known_rows(stock, self.met)] = False
        creators = stock.snapshot.creator_codes(self.stated.unwanted_creators)
        creators = creators[creators >= 0]
        categories = codes_of(stock.snapshot.categories, self.stated.muted_categories)
        allowed[np.isin(shelf.creator, creators) | np.isin(shelf.category, categories)] = False
        return allowed


def viewer_of(user_id: str | None, *, now: datetime) -> Viewer:
    """What is known of a user, in two queries; nobody for None."""
    if user_id is None:
        return Viewer()
    everything, profile = queries.recent_history(user_id), queries.profile(user_id) or {}
    begins = profile.get("history_from")
    history = everything if begins is None else everything.since(begins.timestamp())
    stated = read_preferences(profile.get("preferences"))
    met, unwanted = frozenset(history.content_id.tolist()) - {""}, frozenset(refused(everything))
    past = history if stated.profiling else History.empty()
    demographics = profile.get("demographics")
    known = demographics if isinstance(demographics, dict) else {}
    audience = audience_of(known, {"sensitive_content": stated.sensitive_content}, now=now)
    return Viewer(user_id, past, met, unwanted, stated, audience)


def known_rows(stock: Stock, content_ids: frozenset[str]) -> Ids:
    """Rows of the ids that the snapshot has."""
    rows = stock.snapshot.rows(sorted(content_ids))
    return rows[rows >= 0]
