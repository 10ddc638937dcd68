"""Every number that shapes a feed, as one value with a version of its own, which the log of served pages names.

A page can be judged later only by who knows what made it: model, snapshot and this. Change a number and the version
changes with it; nobody has to remember to raise one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from ranking.pipeline.cut import CutRules
from ranking.rerank.exploration import ExplorationConfig
from ranking.rerank.guarantee import GuaranteeRules
from ranking.rerank.hybrid import FusionWeights
from ranking.rerank.kdpp import DiverseConfig
from ranking.rerank.mix import MixRules
from ranking.rerank.thompson import ThompsonConfig

EXPLORERS: Final = ("thompson", "linear", "epsilon_greedy", "diverse")
Quotas = Mapping[str, int]
_FOR_YOU: Final = MappingProxyType(
    {"sequential": 150, "content_based": 150, "popular": 100, "trending": 50, "fresh": 50, "following": 50}
)
_CATEGORY: Final = MappingProxyType(
    {"sequential": 100, "content_based": 100, "popular": 100, "trending": 50, "latest": 100}
)
_TRENDING: Final = MappingProxyType({"trending": 100, "popular": 200})


@dataclass(frozen=True, slots=True)
class FeedConfig:
    """What a feed is made by, beside the model.

    Attributes
    ----------
    for_you, category, trending : most candidates per source, in the order the sources are asked; see `surfaces.SOURCES`
    listed : most candidates of the surfaces that list
    cut : how many candidates the model judges
    fusion : weights of the session's signals
    mix : caps on creators, sounds and topics
    explorer : which stage tries something out; see `explorers`. Thompson sampling by content tries the most uploads;
        three seeds do not tell its cost from that of the linear one
    exploration, epsilon, diverse : budget and limits of Thompson sampling, of epsilon-greedy and of diverse pages
    guarantee : exposure every new content gets
    theta : weight of the value against diversity
    fairness_loss : share of a page's worth that fair exposure of creators may cost; at 0.01 somebody who watches one
        family of a small catalogue had one item less of it on a page of ten
    """

    for_you: Quotas = field(default_factory=lambda: _FOR_YOU)
    category: Quotas = field(default_factory=lambda: _CATEGORY)
    trending: Quotas = field(default_factory=lambda: _TRENDING)
    listed: int = 300
    cut: CutRules = field(default_factory=CutRules)
    fusion: FusionWeights = field(default_factory=FusionWeights)
    mix: MixRules = field(default_factory=MixRules)
    explorer: str = "thompson"
    exploration: ThompsonConfig = field(default_factory=ThompsonConfig)
    epsilon: ExplorationConfig = field(default_factory=ExplorationConfig)
    diverse: DiverseConfig = field(default_factory=DiverseConfig)
    guarantee: GuaranteeRules = field(default_factory=GuaranteeRules)
    theta: float = 2.0
    fairness_loss: float = 0.002
    version: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        quotas = [each for known in (self.for_you, self.category, self.trending) for each in known.items()]
        for name, quota in [("listed", self.listed), *quotas]:
            if quota < 1:
                raise ValueError(f"the quota of {name} must be at least 1, got {quota}; leave the source out instead")
        if self.explorer not in EXPLORERS:
            raise ValueError(f"explorer must be one of {', '.join(EXPLORERS)}, got {self.explorer!r}")
        object.__setattr__(self, "version", _version_of(self))


def _version_of(config: FeedConfig) -> str:
    """A digest of every number; equal values give equal versions on every machine."""
    values = {name: getattr(config, name) for name in FeedConfig.__dataclass_fields__ if name != "version"}
    stated = json.dumps({name: _plain(value) for name, value in values.items()}, sort_keys=True)
    return "feed-" + hashlib.blake2b(stated.encode(), digest_size=6).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        # Pairs, for the order of quotas counts: the source asked earlier gets the credit of a tie.
        return list(value.items())
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


USUAL: Final = FeedConfig()


@cache
def config_of(explorer: str) -> FeedConfig:
    """The usual configuration with another explorer; the usual one itself where it is not another."""
    return USUAL if explorer == USUAL.explorer else replace(USUAL, explorer=explorer)
