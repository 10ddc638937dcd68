"""How much sound a file says it has, to tell one that was cut from one that is short.

What a library calls the duration of a track is a promise of the header in some formats, and in others a guess from the
bytes that are there, from which a whole file may well be far off.
"""

from typing import IO, Any, Final

_HEADED: Final = frozenset({"video/mp4", "video/webm", "audio/flac"})
"""Formats whose duration comes from a header and nothing else."""
_TAGS: Final = (b"Xing", b"Info", b"VBRI")
_TAG_WITHIN: Final = 200
"""Of the bytes of the first frame, where the number of all frames stands behind one of these."""
_CHUNKS: Final = 64
_UNKNOWN_SIZE: Final = 0x7FFF_0000
"""A WAV that was written into a pipe has this or more, or nothing, for its size."""
_SHORT: Final = 0.02
_SHORT_S: Final = 0.06
"""What encoders add at both ends may be missing."""


def share_told(file: IO[bytes], kind: str, size: int) -> float:
    """By what the duration of a sound track is to be multiplied to get what the file promises; 0 where it promises
    nothing. Leaves the file at its beginning.
    """
    try:
        file.seek(0)
        if kind == "audio/wav":
            return _wav(file, size)
        if kind == "audio/mpeg":
            return float(_counts_frames(file))
        return float(kind in _HEADED)
    finally:
        file.seek(0)


def seconds_told(container: Any, stream: Any, share: float) -> float | None:
    """How long the sound is to be; None where nobody says."""
    if share <= 0.0:
        return None
    if stream.duration:
        return share * float(stream.duration * stream.time_base)
    # Matroska knows one duration for all tracks, and pictures may go on without sound.
    if container.streams.video or not container.duration or container.duration < 0:
        return None
    return share * float(container.duration) / 1e6


def is_cut(found_s: float, told_s: float | None) -> bool:
    """Whether so much sound is too little.

    >>> is_cut(2.97, 3.0), is_cut(2.91, 3.0), is_cut(0.97, 1.0), is_cut(1.0, None)
    (False, True, False, False)
    """
    return told_s is not None and told_s - found_s > max(_SHORT * told_s, _SHORT_S)


def _wav(file: IO[bytes], size: int) -> float:
    """The promised bytes of sound over those that there are."""
    at = 12
    for _ in range(_CHUNKS):
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        at += 8
        if len(head) < 8 or at >= size:
            return 0.0
        if head[:4] == b"data":
            there = min(length, size - at)
            return length / there if 0 < length < _UNKNOWN_SIZE else 0.0
        at += length + length % 2
    return 0.0


def _counts_frames(file: IO[bytes]) -> bool:
    """Whether an MP3 says how many frames it has. Its tags may hold pictures, and stand before the first frame."""
    head = file.read(10)
    if head[:3] == b"ID3" and len(head) == 10:
        file.seek(10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)))
        head = b""
    first = head + file.read(_TAG_WITHIN)
    return any(tag in first for tag in _TAGS)
