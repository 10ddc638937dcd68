"""What a feed is asked for, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from events.queries import ContentCard
from ranking.pipeline.moves import Move
from ranking.pipeline.run import Account

MAX_ITEMS: Final = 50
SURFACES: Final = ("for_you", "following", "trending", "latest", "category", "creator")


@dataclass(frozen=True, slots=True)
class FeedRequest:
    """Who asks for how much of what.

    Attributes
    ----------
    exclude : content ids the caller does not want
    cursor : of the page before; None begins a new walk
    seed_content_id : start from contents like this one
    categories, languages : only these; empty for any. Languages are primary subtags
    creator_id : whose contents, on the surface "creator"
    country : ISO 3166 alpha-2 in capitals, before what the profile says; "" leaves it to the profile
    diversity, exploration : 0 to 1; None for the usual
    max_per_creator : on this page; None leaves it to the usual mix
    filter : a condition on contents, "" for none; see `candidates.expressions`
    boost : what raises or lowers the score of some contents, "" for nothing
    profiling : whether the user's past may choose; without it, only what was delivered and refused is remembered
    explain : whether each item says why it is there
    session_id : of the client's session, "" where it names none
    context : the circumstances, see `feed_context`; neither binds the pages that follow
    """

    user_id: str
    limit: int = 10
    surface: str = "for_you"
    exclude: frozenset[str] = frozenset()
    cursor: str | None = None
    seed_content_id: str | None = None
    categories: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()
    creator_id: str | None = None
    country: str = ""
    diversity: float | None = None
    exploration: float | None = None
    max_per_creator: int | None = None
    filter: str = ""
    boost: str = ""
    profiling: bool = True
    explain: bool = False
    session_id: str = ""
    context: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_ITEMS:
            raise ValueError(f"limit must lie in 1..{MAX_ITEMS}, got {self.limit}")
        if self.surface not in SURFACES:
            raise ValueError(f"surface must be one of {', '.join(SURFACES)}, got {self.surface!r}")
        for name in ("diversity", "exploration"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} must lie in 0..1, got {value}")

    @property
    def walk_parameters(self) -> Mapping[str, Any]:
        """What has to stay the same from page to page of a walk."""
        return {
            "limit": self.limit,
            "surface": self.surface,
            "seed_content_id": self.seed_content_id,
            "categories": sorted(self.categories),
            "languages": sorted(self.languages),
            "creator_id": self.creator_id,
            "country": self.country,
            "diversity": self.diversity,
            "exploration": self.exploration,
            "max_per_creator": self.max_per_creator,
            "filter": self.filter,
            "boost": self.boost,
            "profiling": self.profiling,
        }

    @property
    def stated(self) -> Mapping[str, Any]:
        """Those of the walk's parameters that are not the usual ones: what its cursors carry."""
        return {name: value for name, value in self.walk_parameters.items() if value != _USUAL[name]}

    @classmethod
    def continued(cls, user_id: str, cursor: str, stated: Mapping[str, Any], **of_page: Any) -> "FeedRequest":
        """The request for a further page of the walk whose cursor carried `stated`; the rest is of this page alone."""
        lists = {name: frozenset(stated[name]) for name in ("categories", "languages") if name in stated}
        return cls(user_id, cursor=cursor, **of_page, **{**stated, **lists})


_USUAL: Final = FeedRequest("").walk_parameters


@dataclass(frozen=True, slots=True)
class Figures:
    """What one score is made of, each by name; see `pipeline.stages.Judgement`. Heads and terms need a model.

    Attributes
    ----------
    heads : what the model expects: chances, and seconds of watching
    terms : what each head adds to the value, in seconds
    signals : what the value and the session's signals each add to the score
    weights : which value weights served, and for which segment of users
    """

    heads: Mapping[str, float] = field(default_factory=dict)
    terms: Mapping[str, float] = field(default_factory=dict)
    signals: Mapping[str, float] = field(default_factory=dict)
    weights: str = ""


NO_FIGURES: Final = Figures()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one item is where it is.

    Attributes
    ----------
    ranks : from 0, by source
    moves : in re-ranking
    sentence : for the user
    figures : what the score is made of
    """

    ranks: Mapping[str, int]
    moves: tuple[Move, ...]
    sentence: str
    figures: Figures = NO_FIGURES


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One position of a page and why it is there. `propensity` is the chance that this policy shows it there."""

    content_id: str
    position: int
    source: str
    sources: tuple[str, ...]
    score: float
    propensity: float
    model_version: str
    content: ContentCard
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """One answered page.

    `account` says what happened on the way; `expires_at` until when `next_cursor` is good; `replayed` that the page was
    delivered before; `experiments` which arms act on pages like this, by experiment.
    """

    request_id: UUID
    items: tuple[FeedItem, ...]
    model_version: str
    fallback_level: str
    repeats: bool
    has_more: bool
    account: Account
    next_cursor: str | None = None
    expires_at: datetime | None = None
    replayed: bool = False
    experiments: tuple[tuple[str, str], ...] = ()
