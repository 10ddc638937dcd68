import pytest

from recsys.demo import FAMILIES, VARIANTS
from recsys.demo.captions import CREATORS, EVERYTHING_CREATORS, describe

EVERY = [describe(family, variant) for family in FAMILIES for variant in range(VARIANTS)]


def test_no_caption_is_used_twice():
    assert len({text.caption for text in EVERY}) == len(EVERY)


def test_every_named_creator_publishes_and_stays_in_the_family():
    for family, names in CREATORS.items():
        for name in names:
            assert {text.category for text in EVERY if text.creator_id == name} == {family}
    for name in EVERYTHING_CREATORS:
        assert len({text.category for text in EVERY if text.creator_id == name}) == len(FAMILIES)
    assert len({text.creator_id for text in EVERY}) >= 12


def test_tags_name_the_family_and_differ_within_it():
    for family in FAMILIES:
        tags = [text.tags for text in EVERY if text.category == family]
        assert all(family in clip_tags and len(set(clip_tags)) == len(clip_tags) >= 3 for clip_tags in tags)
        assert len(set(tags)) > VARIANTS / 2


def test_several_languages_are_spoken_in_every_family():
    for family in FAMILIES:
        assert {"en", "es", "de", "fr", "pt"} == {text.language for text in EVERY if text.category == family}


@pytest.mark.parametrize(("family", "variant"), [("disco", 0), ("ocean", VARIANTS), ("ocean", -1)])
def test_clip_that_does_not_exist_is_named(family, variant):
    with pytest.raises(ValueError, match=f"'{family}' {variant}"):
        describe(family, variant)
