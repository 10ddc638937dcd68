"""What the content benchmark looks at where nobody gives it files: sounds and captions of known kinds."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recsys.demo.sounds import SAMPLE_RATE, sound, wav_bytes

CAPTION_PAIRS: Final = (
    ("my cat plays with a ball of wool", "a kitten chasing yarn"),
    ("neon city skyline at night", "downtown lights after dark"),
    ("how to bake sourdough bread", "easy homemade loaf recipe"),
    ("messi scores a free kick", "football goal highlights"),
    ("learning guitar chords for beginners", "easy acoustic songs to play"),
    ("surfing big waves in hawaii", "ocean swell at the beach"),
    ("python programming tutorial", "write your first code in javascript"),
    ("morning yoga for flexibility", "stretching exercises at home"),
    ("snow falls over the mountains", "skiing in the winter alps"),
    ("my puppy learns to sit", "dog training tips"),
)
"""Two captions about one thing each, and no word in common."""
REAL_KINDS: Final = {
    "198-209": "speech",
    "guitar": "music",
    "admiralbob77": "music",
    "sorohanro": "music",
}
"""How the names of well-known free recordings begin, and what they are."""
_FORMANTS_HZ: Final = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
"""Of the vowels a, i, u, e, o (Peterson and Barney, 1952)."""

Signal = NDArray[np.float64]


def noise(colour: float, *, seconds: float = 4.0, seed: int = 0) -> Signal:
    """Noise whose spectrum falls with frequency to the power of `colour`: 0 white, 0.5 pink, 1 brown."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.normal(size=round(seconds * SAMPLE_RATE)))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1.0) ** colour
    return _loud(np.fft.irfft(spectrum))


def speech(pitch_hz: float, *, seconds: float = 4.0, seed: int = 0) -> Signal:
    """Speech-like: a voice's pulses through the formants of vowels, four syllables a second, hissing in between."""
    rng = np.random.default_rng(seed)
    parts = []
    length = SAMPLE_RATE // 4
    at = np.arange(length) / SAMPLE_RATE
    for _ in range(round(seconds * 4)):
        pitch = pitch_hz * rng.uniform(0.85, 1.2)
        number = np.arange(1, int(4_000 / pitch))[:, None]
        loudness = sum(np.exp(-(((number * pitch - each) / 120.0) ** 2)) for each in _FORMANTS_HZ[rng.integers(5)])
        voiced = (loudness * np.sin(2 * np.pi * number * pitch * at)).sum(axis=0) * np.hanning(length)
        hiss = np.diff(rng.normal(size=length + 1)) * np.roll(np.hanning(length), length // 2) ** 8
        parts.append(voiced / np.abs(voiced).max() + 0.1 * hiss)
    return _loud(np.concatenate(parts))


def write_sounds(folder: Path) -> dict[Path, str]:
    """Four sounds of each kind as WAV files, and which is what."""
    signals = {f"speech-{hz}": speech(hz, seed=hz) for hz in (95, 120, 190, 230)}
    signals |= {
        f"music-{family}-{n}": sound(family, n, duration_s=4.0) for family in ("neon", "fractal") for n in (0, 5)
    }
    signals |= {f"noise-{at}": noise(colour, seed=at) for at, colour in enumerate((0.0, 0.25, 0.5, 1.0))}
    written = {}
    for name, signal in signals.items():
        path = folder / f"{name}.wav"
        path.write_bytes(wav_bytes(signal))
        written[path] = name.partition("-")[0]
    return written


def _loud(signal: Signal) -> Signal:
    return np.asarray(0.7 * signal / max(float(np.abs(signal).max()), 1e-9))
