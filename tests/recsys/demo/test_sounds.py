import io
import wave

import numpy as np
import pytest

from recsys.demo import FAMILIES, VARIANTS
from recsys.demo.sounds import SAMPLE_RATE, sound, wav_bytes


def spectrum_statistics(signal: np.ndarray) -> np.ndarray:
    """Log centroid, flatness and how unsteady the loudness is: what an ear calls brightness, noise and rhythm."""
    power = np.abs(np.fft.rfft(signal)) ** 2 + 1e-9
    frequency = np.fft.rfftfreq(len(signal), 1 / SAMPLE_RATE)
    bands = np.array([band.mean() for band in np.array_split(power[: len(power) // 2], 400)])
    centroid = (power * frequency).sum() / power.sum()
    flatness = np.exp(np.log(bands).mean()) / bands.mean()
    loudness = np.sqrt((signal[: len(signal) // 640 * 640].reshape(-1, 640) ** 2).mean(axis=1))
    return np.array([np.log(centroid), 0.3 * np.log(flatness), loudness.std() / loudness.mean()])


def test_families_are_told_apart_by_spectrum_and_rhythm_alone():
    points = np.array(
        [
            spectrum_statistics(sound(family, variant, duration_s=4.0))
            for family in FAMILIES
            for variant in range(VARIANTS)
        ]
    )
    labels = np.repeat(np.arange(len(FAMILIES)), VARIANTS)
    points = (points - points.mean(axis=0)) / points.std(axis=0)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (labels[distance.argmin(axis=1)] == labels).mean() >= 0.95


@pytest.mark.parametrize("family", FAMILIES)
def test_sound_has_the_stated_length_fades_at_both_ends_and_repeats_exactly(family):
    signal = sound(family, 3, duration_s=2.5)
    assert signal.shape == (round(2.5 * SAMPLE_RATE),)
    assert np.abs(signal).max() <= 0.7
    assert np.abs(signal[[0, -1]]).max() < 1e-6
    np.testing.assert_array_equal(signal, sound(family, 3, duration_s=2.5))


def test_wav_carries_the_samples():
    signal = np.linspace(-1, 1, 50)
    with wave.open(io.BytesIO(wav_bytes(signal))) as read:
        assert (read.getnchannels(), read.getframerate(), read.getnframes()) == (1, SAMPLE_RATE, 50)
        samples = np.frombuffer(read.readframes(50), dtype="<i2")
    np.testing.assert_allclose(samples / 32767, signal, atol=1e-4)


def test_unknown_family_is_named():
    with pytest.raises(ValueError, match="'disco'"):
        sound("disco", 0, duration_s=1.0)
