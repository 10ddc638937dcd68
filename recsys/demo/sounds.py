"""Sound of the demo clips: one kind of music per family, 24 keys and tempi each, synthesised with numpy.

As with the pictures, the family must be heard at once: `neon` is a bright arpeggio over a bass, `ocean` is surf (shaped
noise) over a low pad, `petri` is dry high blips, `fractal` is a slow detuned choir. Mono, 16 bit, `SAMPLE_RATE`. It
writes no file.
"""

import io
import wave
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 32_000

Signal = NDArray[np.float64]

_TAU = 2.0 * np.pi
_MINOR = np.array([0, 3, 7, 10, 12, 15, 19, 22])
_PENTATONIC = np.array([0, 2, 4, 7, 9, 12, 14, 16, 19, 21])
_SEMITONES = np.array(
    [0, 5, 3, 8, 10, 2, 7, 1, 6, 11, 4, 9, 0.5, 5.5, 3.5, 8.5, 10.5, 2.5, 7.5, 1.5, 6.5, 11.5, 4.5, 9.5]
)
_ROOTS_HZ = 55.0 * 2.0 ** (_SEMITONES / 12.0)


def sound(family: str, variant: int, *, duration_s: float) -> Signal:
    """One clip's sound, samples in -1..1, shape ``(round(duration_s * SAMPLE_RATE),)``.

    Raises ``ValueError`` when the family is unknown.
    """
    voice = _VOICES.get(family)
    if voice is None:
        raise ValueError(f"unknown clip family {family!r}; known: {', '.join(_VOICES)}")
    seconds = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    rng = np.random.default_rng([3000, list(_VOICES).index(family), variant])
    signal = voice(seconds, variant, rng)
    # A short fade at both ends, so that a looping player does not click.
    edge = np.minimum(1.0, np.minimum(seconds, seconds[-1] - seconds) / 0.06)
    shaped: Signal = signal / max(float(np.abs(signal).max()), 1e-9) * 0.7 * edge
    return shaped


def wav_bytes(signal: Signal) -> bytes:
    """The signal as a mono 16 bit WAV file.

    >>> wav_bytes(np.zeros(4))[:4]
    b'RIFF'
    """
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(SAMPLE_RATE)
        target.writeframes((np.clip(signal, -1.0, 1.0) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def _saw(seconds: Signal, frequency_hz: float, harmonics: int) -> Signal:
    """Band-limited saw: harmonics fall off as 1/n, so nothing folds back from above the sample rate."""
    total = np.zeros_like(seconds)
    for number in range(1, harmonics + 1):
        total += np.sin(_TAU * frequency_hz * number * seconds) / number
    return total


def _neon(seconds: Signal, variant: int, rng: np.random.Generator) -> Signal:
    root = _ROOTS_HZ[variant]
    step_s = 60.0 / (104 + 3 * variant) / 4  # sixteenth notes
    pattern = rng.permutation(_MINOR)
    total = 0.35 * _saw(seconds, root, 6) * np.exp(-np.mod(seconds, step_s * 4) / 0.22)
    note_length = int(min(0.32, step_s * 2.5) * SAMPLE_RATE)
    local = np.arange(note_length) / SAMPLE_RATE
    envelope = np.exp(-local / 0.09) * np.minimum(1.0, local / 0.004)
    voices = {int(tone): _saw(local, root * 4 * 2 ** (tone / 12), 9) * envelope for tone in pattern}
    for index, start in enumerate(np.arange(0.0, seconds[-1], step_s)):
        first = int(start * SAMPLE_RATE)
        part = total[first : first + note_length]
        part += 0.5 * voices[int(pattern[index % len(pattern)])][: len(part)]
    beat = np.mod(seconds, step_s * 4)
    mixed: Signal = total + 0.8 * np.sin(_TAU * (48 * beat + 5 * (1 - np.exp(-beat / 0.03)))) * np.exp(-beat / 0.11)
    return mixed


def _ocean(seconds: Signal, variant: int, rng: np.random.Generator) -> Signal:
    white = rng.standard_normal(len(seconds))
    frequency = np.fft.rfftfreq(len(seconds), 1 / SAMPLE_RATE)
    deep = np.fft.irfft(np.fft.rfft(white) / (1 + (frequency / (350 + 20 * variant)) ** 1.1), len(seconds))
    spray = np.fft.irfft(np.fft.rfft(white) * np.exp(-(((frequency - 3200) / 2400) ** 2)), len(seconds))
    period_s = 3.0 + 0.12 * variant
    swell = (0.5 - 0.5 * np.cos(_TAU * seconds / period_s + variant)) ** 2
    pad = sum(np.sin(_TAU * _ROOTS_HZ[variant] * 2 * ratio * seconds) for ratio in (1.0, 1.5, 2.0))
    noise = deep / deep.std() * (0.25 + 0.75 * swell) + spray / spray.std() * 0.45 * swell**2
    mixed: Signal = noise + 0.22 * pad * (0.6 + 0.4 * np.sin(_TAU * seconds / 5.0))
    return mixed


def _petri(seconds: Signal, variant: int, rng: np.random.Generator) -> Signal:
    root = _ROOTS_HZ[variant] * 8
    step_s = 60.0 / (132 + 4 * (variant % 8)) / 2
    total = np.zeros_like(seconds)
    length = int(0.16 * SAMPLE_RATE)
    local = np.arange(length) / SAMPLE_RATE
    for start in np.arange(0.0, seconds[-1] - step_s, step_s):
        for _ in range(int(rng.integers(1, 3))):
            tone = root * 2 ** (float(rng.choice(_PENTATONIC)) / 12)
            blip = np.sin(_TAU * tone * local) * np.exp(-local / 0.030)
            tick = rng.standard_normal(length) * np.exp(-local / 0.002) * 0.15
            first = int((start + step_s * float(rng.choice([0.0, 0.0, 0.5]))) * SAMPLE_RATE)
            part = total[first : first + length]
            part += (blip + tick)[: len(part)]
    return total


def _fractal(seconds: Signal, variant: int, rng: np.random.Generator) -> Signal:
    root = _ROOTS_HZ[variant] * 2
    total = np.zeros_like(seconds)
    glide = 2 ** (0.04 * np.sin(_TAU * seconds / 6.0 + variant))
    for tone in (0, 7, 12, 16 if variant % 2 else 15, 19):
        for detune in (-0.004, 0.0, 0.005):
            phase = _TAU * np.cumsum(root * 2 ** (tone / 12) * (1 + detune) * glide) / SAMPLE_RATE + rng.uniform(
                0, _TAU
            )
            total += np.sin(phase + 0.9 * np.sin(phase * 2)) / (1 + 0.05 * tone)
    breath: Signal = 0.65 + 0.35 * np.sin(_TAU * seconds / (2.2 + 0.1 * variant))
    return total * breath


_VOICES: dict[str, Callable[[Signal, int, np.random.Generator], Signal]] = {
    "neon": _neon,
    "ocean": _ocean,
    "petri": _petri,
    "fractal": _fractal,
}
