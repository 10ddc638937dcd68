import itertools
from functools import cache

import numpy as np
import pytest

from recsys.demo import FAMILIES, VARIANTS
from recsys.demo.scenes import HEIGHT, WIDTH, draw, julia_field


@cache
def frame(family: str, variant: int, index: int = 4) -> np.ndarray:
    return next(itertools.islice(draw(family, variant, frame_count=index + 1), index, None))


def colour_statistics(picture: np.ndarray) -> np.ndarray:
    """Brightness, saturation, share of dark, share of pale pixels, difference between upper and lower half, edges."""
    rgb = picture.astype(float) / 255
    brightness, saturation = rgb.mean(axis=2), rgb.max(axis=2) - rgb.min(axis=2)
    half = HEIGHT // 2
    mirrored = np.abs(brightness[:half].mean() - brightness[half:].mean())
    edges = np.abs(np.diff(brightness, axis=1)).mean()
    pale = (rgb.min(axis=2) > 0.75).mean()
    return np.array([brightness.mean(), saturation.mean(), (brightness < 0.15).mean(), pale, 2 * mirrored, 4 * edges])


def test_families_are_told_apart_by_colour_statistics_alone():
    # A clip belongs to the family of its nearest neighbour among all other clips.
    points = np.array([colour_statistics(frame(family, variant)) for family in FAMILIES for variant in range(VARIANTS)])
    labels = np.repeat(np.arange(len(FAMILIES)), VARIANTS)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (labels[distance.argmin(axis=1)] == labels).mean() >= 0.95


@pytest.mark.parametrize("family", FAMILIES)
def test_every_variant_is_its_own_picture(family):
    pictures = [frame(family, variant).astype(float) for variant in range(VARIANTS)]
    gaps = [np.abs(first - second).mean() for first, second in itertools.combinations(pictures, 2)]
    assert min(gaps) > 8.0


@pytest.mark.parametrize("family", FAMILIES)
def test_scene_is_decided_by_its_variant(family):
    first, second = (list(draw(family, 5, frame_count=4)) for _ in range(2))
    assert len(first) == 4
    assert all(picture.shape == (HEIGHT, WIDTH, 3) and picture.dtype == np.uint8 for picture in first)
    np.testing.assert_array_equal(first, second)


def test_unknown_family_is_named():
    with pytest.raises(ValueError, match="'disco'"):
        draw("disco", 0, frame_count=1)


def test_julia_field_agrees_with_the_plain_loop():
    constant = complex(-0.8, 0.156)
    points = np.array([0.0, 0.3 + 0.1j, -0.9 + 0.4j, 1.5 - 1.2j], dtype=np.complex64)
    measure, trap = julia_field(points.real, points.imag, constant=constant)
    for index, start in enumerate(points):
        z, total, nearest = complex(start), 0.0, 4.0
        for _ in range(30):
            size = min(abs(z) ** 2, 1e30)
            total, nearest = total + 1 / (1 + size), min(nearest, size)
            z = z * z + constant if size < 1e30 else z
        assert measure[index] == pytest.approx(total, rel=0.02)
        assert trap[index] == pytest.approx(nearest, abs=0.01)
