"""One open file to findings: decode it, look at its frames, listen to its sound. Runs in `child` only."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from features.embeddings import audio
from features.embeddings.visual import VisualEncoder
from features.media.decode import Media, decode
from features.media.findings import Findings
from features.media.limits import Limits
from features.media.reasons import MediaError
from features.screening.nsfw import VERSION as NSFW_VERSION
from features.screening.nsfw import NsfwModel

logger = logging.getLogger(__name__)

CROPPED: Final = 0.05
"""What a re-upload is cropped by most often: just enough that the file and its hash are others."""


class Analyser:
    """Holds the encoder that looks at frames; without one, frames are only hashed.

    `nsfw` is the file of the network that knows indecent frames, the package's own by default. Where it cannot be had,
    nobody can tell, and the findings say so by saying nothing.
    """

    def __init__(self, encoder: Path | None, *, nsfw: Path | None = None) -> None:
        self._encoder = None if encoder is None else VisualEncoder.load(encoder)
        try:
            self._nsfw: NsfwModel | None = NsfwModel(nsfw)
        except Exception:  # a damaged file fails in more ways than can be listed, and must not end the analysis
            logger.exception("frames are not checked for indecency")
            self._nsfw = None

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
        found.hashes = [_hash(frame) for frame in media.frames]
        found.crop_hashes = [_hash(part) for frame in media.frames for part in _parts(frame)]
        if self._nsfw is not None:
            found.indecency, found.indecency_version = self._nsfw.score(media.frames), NSFW_VERSION
        if self._encoder is None:
            missing = MediaError("model_unavailable")
            found.visual_code, found.visual_detail = missing.code, missing.detail
        else:
            found.visual = self._encoder.encode(media.frames).tolist()


def _code(reason: MediaError | None) -> str:
    return reason.code if reason else ""


def _detail(reason: MediaError | None) -> str:
    return reason.detail if reason else ""


def _hash(frame: NDArray[np.uint8]) -> int:
    return _signed(int(str(imagehash.phash(Image.fromarray(frame))), 16))


def _parts(frame: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """A frame without what a crop by `CROPPED` takes: from all sides alike, and from two sides that meet."""
    height, width = frame.shape[:2]
    rows, columns = round(height * CROPPED), round(width * CROPPED)
    for top, left in ((rows // 2, columns // 2), (0, 0), (0, columns), (rows, 0), (rows, columns)):
        yield frame[top : top + height - rows, left : left + width - columns]


def _signed(unsigned: int) -> int:
    """64 bits as PostgreSQL's bigint holds them.

    >>> _signed(2**64 - 1)
    -1
    """
    return unsigned - (1 << 64) if unsigned >> 63 else unsigned
