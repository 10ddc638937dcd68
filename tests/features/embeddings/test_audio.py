"""Sounds of three kinds, made here, and what describes them."""

import warnings

import numpy as np
import pytest

from features.embeddings import audio
from recsys.benchmarks.content_samples import noise, speech
from recsys.demo.sounds import SAMPLE_RATE as MADE_AT
from recsys.demo.sounds import sound

KINDS = {
    "speech": [speech(pitch, seed=pitch) for pitch in (95, 120, 190, 230)],
    "music": [sound(family, key, duration_s=4.0) for family in ("neon", "fractal") for key in (0, 5)],
    "noise": [noise(colour, seed=at) for at, colour in enumerate((0.0, 0.25, 0.5, 1.0))],
}


@pytest.fixture(autouse=True)
def _librosa_imports_what_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def at_rate(signal: np.ndarray) -> np.ndarray:
    """At 22,050 Hz, by linear interpolation."""
    length = round(len(signal) * audio.SAMPLE_RATE / MADE_AT)
    return np.interp(np.linspace(0, len(signal) - 1, length), np.arange(len(signal)), signal).astype(np.float32)


def test_speech_music_and_noise_are_told_apart_by_their_nearest_sounds():
    vectors, labels = [], []
    for kind, signals in KINDS.items():
        vectors += [audio.encode(at_rate(signal)).vector for signal in signals]
        labels += [kind] * len(signals)
    cosine, label = np.array(vectors) @ np.array(vectors).T, np.array(labels)
    np.fill_diagonal(cosine, -1.0)
    shares = [
        np.mean(cosine[at][(label == label[at]) & (np.arange(12) != at)][:, None] > cosine[at][label != label[at]])
        for at in range(12)
    ]
    assert np.mean(shares) > 0.85
    assert np.mean(label[cosine.argmax(axis=1)] == label) >= 11 / 12


def test_the_same_sound_quieter_is_the_same_sound():
    loud = at_rate(KINDS["speech"][0])
    one, other = audio.encode(loud), audio.encode(loud / 8)
    assert one.vector @ other.vector > 0.999
    assert one.loudness_db - other.loudness_db == pytest.approx(20 * np.log10(8), abs=0.01)


def test_the_tempo_of_clicks_is_found_and_short_sounds_have_none():
    clicks = np.zeros(audio.SAMPLE_RATE * 10, np.float32)
    for beat in range(20):
        clicks[beat * audio.SAMPLE_RATE // 2 :][:200] = np.hanning(200)
    assert audio.encode(clicks).tempo_bpm == pytest.approx(120.0, rel=0.03)
    assert audio.encode(clicks[: audio.SAMPLE_RATE]).tempo_bpm is None


def test_a_click_of_a_few_samples_is_described_and_silence_is_refused():
    found = audio.encode(np.array([0.0, 1.0, -1.0], np.float32))
    assert np.isfinite(found.vector).all()
    with pytest.raises(ValueError, match="silence"):
        audio.encode(np.zeros(100, np.float32))
