"""Sound to a vector: what it is made of (MFCC), and how loud and how fast it is.

The source design takes the mean of 40 mel-frequency cepstral coefficients over time; the deviations over time, put
behind them, tell steady noise from speech. Both are brought to a common scale by fixed constants, power laws read off
real speech, music and noise, so that no single coefficient (the first is a hundred times the last) is the distance:

    mean_k -> (mean_k - m_k) / (120 / k^1.1)      deviation_k -> (deviation_k - 50 / k^0.6) / (30 / k^0.6),   k = 1..40

with m = (-250, 70, 0, ...), and then weighed by k^-0.85: the first coefficients, the coarse shape of the spectrum, tell
kinds of sound apart better than the last (any power from -0.7 to -1.2 does about as well). Sound is brought to one
loudness first: the same song, quieter, is the same song.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE: Final = 22_050
COEFFICIENTS: Final = 40
DIMENSIONS: Final = 2 * COEFFICIENTS
_LEVEL: Final = 0.1
"""Root mean square that every sound is brought to: 20 dB below full scale."""
_CLIP: Final = 4.0
_K: Final = np.arange(1, COEFFICIENTS + 1)
_CENTRE: Final = np.concatenate([np.where(_K == 1, -250.0, np.where(_K == 2, 70.0, 0.0)), 50.0 / _K**0.6])
_SCALE: Final = np.concatenate([120.0 / _K**1.1, 30.0 / _K**0.6])
_WEIGHT: Final = np.tile(_K**-0.85, 2)
_SHORTEST: Final = 2048
"""Samples of one analysis window."""

VERSION: Final = "audio-" + hashlib.sha256(
    b"mfcc" + _CENTRE.tobytes() + _SCALE.tobytes() + _WEIGHT.tobytes() + f"{SAMPLE_RATE} {_LEVEL} {_CLIP}".encode()
).hexdigest()[:12]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sound:
    """What is known of a sound.

    Attributes
    ----------
    vector : float32 array (80,), unit length
    loudness_db : root mean square over the whole, dB relative to full scale
    tempo_bpm : beats per minute; None where nothing beats or it is too short
    """

    vector: NDArray[np.float32]
    loudness_db: float
    tempo_bpm: float | None


def encode(samples: NDArray[np.float32]) -> Sound:
    """Describe a sound.

    Parameters
    ----------
    samples : float32 array, one channel at 22,050 Hz, -1..1, not all zero
    """
    import librosa  # noqa: PLC0415  two seconds; only the process that decodes needs it

    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    if level <= 0.0:
        raise ValueError("silence has no sound to describe")
    even = (samples / level * _LEVEL).astype(np.float32)
    if len(even) < _SHORTEST:
        even = np.pad(even, (0, _SHORTEST - len(even)))
    mfcc = librosa.feature.mfcc(y=even, sr=SAMPLE_RATE, n_mfcc=COEFFICIENTS)
    raw = np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1)])
    # One coefficient far outside of what speech and music have must not outvote the others.
    standard = np.clip((raw - _CENTRE) / _SCALE, -_CLIP, _CLIP) * _WEIGHT
    length = float(np.linalg.norm(standard))
    return Sound(
        vector=(standard / max(length, 1e-9)).astype(np.float32),
        loudness_db=20.0 * float(np.log10(level)),
        tempo_bpm=_tempo(librosa, even),
    )


def _tempo(librosa: object, samples: NDArray[np.float32]) -> float | None:
    """Tempo by autocorrelation of the onset strength; None below three seconds, where it would be a guess."""
    if len(samples) < 3 * SAMPLE_RATE:
        return None
    onsets = librosa.onset.onset_strength(y=samples, sr=SAMPLE_RATE)  # type: ignore[attr-defined]  # untyped module
    if not np.any(onsets > 0.0):
        return None
    (tempo,) = librosa.feature.tempo(onset_envelope=onsets, sr=SAMPLE_RATE)  # type: ignore[attr-defined]
    return float(tempo)
