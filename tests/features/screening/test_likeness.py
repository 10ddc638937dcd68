"""Likeness of frames, against a count by hand."""

import numpy as np

from features.screening import likeness
from features.screening.likeness import NEAR_BITS, Listed, nearest

RNG = np.random.default_rng(8)


def hashes(count):
    return [int(each) for each in RNG.integers(-(2**63), 2**63, count)]


def flipped(value, bits):
    for bit in RNG.choice(64, bits, replace=False):
        value ^= 1 << int(bit)
    return value - (1 << 64) if value >= 1 << 63 else value


def test_the_share_is_that_of_frames_within_the_bound():
    clip = hashes(8)
    listed = Listed.of([("other", hashes(8)), ("clip", clip), ("third", hashes(3))])
    assert nearest(clip, listed) == (1.0, "clip")
    assert nearest([flipped(each & (2**64 - 1), NEAR_BITS) for each in clip], listed) == (1.0, "clip")
    mixed = clip[:4] + [flipped(each & (2**64 - 1), 32) for each in clip[4:]]
    assert nearest(mixed, listed) == (0.5, "clip")


def test_flat_pictures_resemble_nothing():
    flat = [0, -1, 1, 3]
    listed = Listed.of([("black", flat)])
    assert nearest(flat, listed) == (0.0, "")
    assert nearest([], Listed.of([("clip", hashes(2))])) == (0.0, "")


def test_a_list_read_in_pieces_is_judged_as_a_whole(monkeypatch):
    clips = [(str(number), hashes(8)) for number in range(50)]
    listed = Listed.of(clips)
    probe = clips[31][1][:5] + clips[7][1][:3]
    whole = nearest(probe, listed)
    monkeypatch.setattr(likeness, "_AT_ONCE", 24)
    assert nearest(probe, listed) == whole == (5 / 8, "31")
