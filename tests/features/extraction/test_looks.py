"""Copies are found among many, whatever was done to them, and nothing else is."""

import numpy as np
import pytest

from features.extraction.looks import FRAMES, NEIGHBOURS, RADIUS, UNIQUE, look_groups


def hashes(rng, count, frames=FRAMES):
    return rng.integers(0, 2**64, size=(count, frames), dtype=np.uint64)


def encoded_anew(rng, clip, bits):
    """The same clip with so many bits flipped in every frame."""
    flips = [sum(1 << int(bit) for bit in rng.choice(64, bits, replace=False)) for _ in clip]
    return np.array([int(each) ^ flip for each, flip in zip(clip, flips, strict=True)], np.uint64)


@pytest.mark.parametrize("bits", [0, 1, 3, RADIUS])
def test_copies_are_found_among_thousands_and_nothing_else_is(bits):
    rng = np.random.default_rng(bits)
    clips = hashes(rng, 3_000)
    copies = np.array([encoded_anew(rng, clip, bits) for clip in clips[:200]])
    group = look_groups(np.concatenate([clips, copies]).tolist())
    assert (group[:200] == group[3_000:]).all()
    assert (group[:200] != UNIQUE).all()
    assert len(set(group[:200].tolist())) == 200
    assert (group[200:3_000] == UNIQUE).all()


def test_signed_hashes_are_the_same_as_unsigned_ones():
    clip = hashes(np.random.default_rng(1), 1)
    signed = clip.astype(np.int64).tolist()[0]
    assert min(signed) < 0
    assert look_groups([clip.tolist()[0], signed]).tolist() == [0, 0]


def test_a_few_frames_in_common_make_no_copy():
    rng = np.random.default_rng(2)
    one, other = hashes(rng, 2)
    other[:5] = one[:5]
    assert look_groups([one.tolist(), other.tolist()]).tolist() == [UNIQUE, UNIQUE]
    other[5] = one[5]
    assert look_groups([one.tolist(), other.tolist()]).tolist() == [0, 0]


def test_a_frame_that_all_share_joins_nothing():
    clips = hashes(np.random.default_rng(3), 500)
    clips[:, 0] = 0
    assert (look_groups(clips.tolist()) == UNIQUE).all()


def test_many_copies_of_one_clip_are_one_group():
    rng = np.random.default_rng(4)
    clip = hashes(rng, 1)[0]
    copies = [encoded_anew(rng, clip, 2).tolist() for _ in range(10 * NEIGHBOURS)]
    assert set(look_groups(copies).tolist()) == {0}


@pytest.mark.parametrize("known", [[], [[]], [[], []], [[7]]])
def test_where_there_is_nothing_to_compare_nothing_is_alike(known):
    assert look_groups(known).tolist() == [UNIQUE] * len(known)


def test_media_with_other_numbers_of_frames_are_not_compared():
    assert look_groups([[5], [5, 5]]).tolist() == [UNIQUE, UNIQUE]
