from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from features.extraction.profile import LIMIT, Profile, read_profile


def read(demographics=None, preferences=None):
    return read_profile(demographics or {}, preferences or {}, default_zone=UTC)


def test_wishes_are_read_and_muted_counts_before_liked():
    profile = read({}, {"liked_categories": ["a", "b"], "muted_categories": ["b"], "liked_creators": ["k"],
                        "languages": ["en"]})  # fmt: skip
    assert profile.categories == {"a": 1.0, "b": -1.0}
    assert profile.creators == {"k": 1.0}
    assert profile.languages == {"en"}
    assert profile.wishes == 4


@pytest.mark.parametrize("odd", [None, 7, "neon", {"a": 1}, [1, None, ["x"]]])
def test_what_is_not_as_expected_counts_as_not_said(odd):
    profile = read({"time_zone": odd}, {"liked_categories": odd, "languages": odd})
    assert (profile.zone, profile.wishes) == (UTC, 0)


def test_a_huge_list_is_read_up_to_a_limit():
    assert read({}, {"liked_creators": [f"k{n}" for n in range(9_999)]}).wishes == LIMIT


def test_before_it_was_stated_only_the_clock_is_known():
    profile = replace(read({"time_zone": "+02:00"}, {"liked_categories": ["a"]}), since=5.0)
    before = profile.known_at(5.0)
    assert before == Profile(profile.zone)
    assert before.zone.utcoffset(None) == timedelta(hours=2)
    assert profile.known_at(5.1) is profile


def test_each_change_counts_from_its_own_moment_until_the_next():
    liked, muted = read({}, {"liked_categories": ["a"]}), read({"time_zone": "+02:00"}, {"muted_categories": ["a"]})
    profile = replace(read({}, {}), since=5.0, earlier=((10.0, liked), (20.0, muted)))
    said = [profile.known_at(moment) for moment in (5.0, 5.1, 10.0, 10.1, 20.0, 20.1)]
    assert said == [Profile(), liked, liked, muted, muted, profile]
