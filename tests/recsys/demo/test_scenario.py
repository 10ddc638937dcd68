from datetime import UTC, datetime, timedelta

import pytest

from recsys.demo.scenario import OtherScenarioError, Scenario

UNTIL = datetime(2026, 11, 23, 20, 15, 7, tzinfo=UTC)
TINY = Scenario(seed=1, users=10, days=5, variants=2)


def uploads(scenario):
    return {clip.content_id: clip.uploaded_s for clip in scenario.clips(until=UNTIL)}


def test_ending_is_read_back_from_the_upload_times():
    assert TINY.ending_of(uploads(TINY)) == UNTIL
    assert TINY.ending_of({"somebody-elses": 5.0, **uploads(TINY)}) == UNTIL


def test_empty_catalogue_has_no_ending_yet():
    assert TINY.ending_of({}) is None
    assert TINY.ending_of({"somebody-elses": 5.0}) is None


def test_one_edited_clip_does_not_move_the_ending():
    edited = uploads(TINY)
    edited["demo-ocean-00"] += timedelta(days=2).total_seconds()
    assert TINY.ending_of(edited) == UNTIL


@pytest.mark.parametrize(
    "other",
    [
        Scenario(seed=2, users=10, days=5, variants=2),
        Scenario(seed=1, users=11, days=5, variants=2),
        Scenario(seed=1, users=10, days=6, variants=2),
        Scenario(seed=1, users=10, days=5, variants=3),
    ],
)
def test_world_of_other_numbers_is_recognised(other):
    with pytest.raises(OtherScenarioError, match="another seed"):
        other.ending_of(uploads(TINY))


def test_variants_choose_that_many_clips_of_each_family():
    assert [spec.name for spec in Scenario(variants=1).specs()] == ["neon-00", "ocean-00", "petri-00", "fractal-00"]
    assert len(Scenario().specs()) == 96


@pytest.mark.parametrize("wrong", [{"users": 0}, {"days": 0}, {"seed": -1}, {"variants": 0}, {"variants": 25}])
def test_impossible_numbers_are_named(wrong):
    (name, value), *_ = wrong.items()
    with pytest.raises(ValueError, match=rf"{name}.*{value}"):
        Scenario(**wrong)
