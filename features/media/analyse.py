"""One open file to findings: decode it, look at its frames, listen to its sound. Runs in `child` only."""

from pathlib import Path
from typing import IO

import imagehash
from PIL import Image

from features.embeddings import audio
from features.embeddings.visual import VisualEncoder
from features.media.decode import Media, decode
from features.media.findings import Findings
from features.media.limits import Limits
from features.media.reasons import MediaError


class Analyser:
    """Holds the encoder that looks at frames; without one, frames are only hashed."""

    def __init__(self, encoder: Path | None) -> None:
        self._encoder = None if encoder is None else VisualEncoder.load(encoder)

    def analyse(self, file: IO[bytes], limits: Limits) -> Findings:
        """What is in the file.

        Raises
        ------
        MediaError : when nothing of it can be used
        """
        media = decode(file, limits)
        found = Findings(
            media.kind, media.width, media.height, media.fps, media.duration_s, media.sample_rate,
            visual_code=_code(media.visual_reason), visual_detail=_detail(media.visual_reason),
            audio_code=_code(media.audio_reason), audio_detail=_detail(media.audio_reason),
        )  # fmt: skip
        self._look(media, found)
        if media.sound is not None:
            sound = audio.encode(media.sound)
            found.audio, found.loudness_db = sound.vector.tolist(), sound.loudness_db
            found.tempo_bpm = sound.tempo_bpm
        return found

    def _look(self, media: Media, found: Findings) -> None:
        if media.frames is None:
            return
        found.frames = len(media.frames)
        found.hashes = [_signed(int(str(imagehash.phash(Image.fromarray(frame))), 16)) for frame in media.frames]
        if self._encoder is None:
            missing = MediaError("model_unavailable")
            found.visual_code, found.visual_detail = missing.code, missing.detail
        else:
            found.visual = self._encoder.encode(media.frames).tolist()


def _code(reason: MediaError | None) -> str:
    return reason.code if reason else ""


def _detail(reason: MediaError | None) -> str:
    return reason.detail if reason else ""


def _signed(unsigned: int) -> int:
    """64 bits as PostgreSQL's bigint holds them.

    >>> _signed(2**64 - 1)
    -1
    """
    return unsigned - (1 << 64) if unsigned >> 63 else unsigned
