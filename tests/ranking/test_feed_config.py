"""The numbers of a feed have a version that changes with each of them."""

from dataclasses import replace

import pytest

from ranking import explorers
from ranking.feed_config import EXPLORERS, USUAL, FeedConfig, config_of
from ranking.rerank.exploration import ExplorationConfig
from ranking.rerank.kdpp import DiverseConfig
from ranking.rerank.mix import MixRules
from ranking.surfaces import SOURCES


def test_equal_numbers_have_one_version_and_each_change_another():
    reordered = dict(reversed(USUAL.for_you.items()))
    changed = [
        replace(USUAL, for_you={**USUAL.for_you, "popular": 101}),
        replace(USUAL, for_you=reordered),
        replace(USUAL, listed=299),
        replace(USUAL, fusion=replace(USUAL.fusion, taste=2.5)),
        replace(USUAL, mix=MixRules(per_creator=3)),
        replace(USUAL, exploration=replace(USUAL.exploration, block=11)),
        replace(USUAL, explorer="epsilon_greedy"),
        replace(USUAL, epsilon=ExplorationConfig(epsilon=0.06)),
        replace(USUAL, diverse=DiverseConfig(depth=50)),
        replace(USUAL, guarantee=replace(USUAL.guarantee, people=60)),
        replace(USUAL, theta=1.0),
        replace(USUAL, fairness_loss=0.02),
    ]
    assert FeedConfig().version == USUAL.version
    assert len({config.version for config in changed} | {USUAL.version}) == len(changed) + 1


def test_every_quota_names_a_source():
    for quotas in (USUAL.for_you, USUAL.category, USUAL.trending):
        assert set(quotas) <= set(SOURCES)


def test_every_explorer_that_may_be_named_is_there_and_no_other():
    assert set(explorers.EXPLORERS) == set(EXPLORERS)
    with pytest.raises(ValueError, match="'greedy'"):
        replace(USUAL, explorer="greedy")
    assert config_of(USUAL.explorer) is USUAL
    assert config_of("linear") == replace(USUAL, explorer="linear")


@pytest.mark.parametrize("quota", [0, -1])
def test_a_quota_of_nothing_is_refused(quota):
    with pytest.raises(ValueError, match="popular"):
        FeedConfig(for_you={"popular": quota})
