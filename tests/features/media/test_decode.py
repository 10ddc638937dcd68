"""Huge pictures are reduced in strips, before any other copy of them is made."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from features.media import decode
from features.media.limits import Limits


def picture(width, height, mode="RGB"):
    channels = len(mode)
    noise = np.random.default_rng(0).integers(0, 255, (height, width, channels), np.uint8)
    return Image.fromarray(noise[..., 0] if channels == 1 else noise)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("size", [(4500, 4099), (2111, 9001), (9001, 2111)])
def test_reduced_in_strips_is_reduced_at_once(mode, size):
    image = picture(*size, mode)
    reduced = decode._reduced(image)
    block = min(size) // 1024
    assert block >= 2
    assert reduced.size == (-(-size[0] // block), -(-size[1] // block))
    assert np.array_equal(np.asarray(reduced), np.asarray(image.convert("RGBA").reduce(block)))


def test_pictures_that_are_not_huge_are_left_alone():
    image = picture(3900, 4000)
    assert decode._reduced(image) is image
    strip = picture(20_000, 900)
    assert decode._reduced(strip) is strip


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_huge_picture_that_lies_on_its_side_is_put_upright(kind):
    upright = Image.new("RGB", (4200, 4600), "white")
    upright.paste("red", (0, 0, 4200, 1200))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(buffer, kind, exif=exif)
    (frame,) = decode.decode(buffer, Limits()).frames
    wanted = np.asarray(ImageOps.fit(upright, (256, 256)))
    assert np.abs(frame.astype(int) - wanted).mean() < 3
    assert frame[10, 128].tolist() != [255, 255, 255]


def test_the_larger_the_file_the_fewer_pixels_it_may_have():
    assert decode._most_pixels(1_000, Limits()) == 50_000_000
    assert 40_000_000 < decode._most_pixels(100_000_000, Limits()) < 45_000_000
    assert decode._most_pixels(1 << 29, Limits()) == 0
