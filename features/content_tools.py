"""What a process needs to understand contents, loaded when first needed and kept: encoders, and the sandbox."""

import atexit
import logging
import time
from functools import cached_property
from pathlib import Path
from typing import IO, Final

from django.conf import settings

from features import visual_model
from features.embeddings.backbones import BackboneError
from features.embeddings.language import LanguageRecogniser
from features.embeddings.sentence import SentenceEncoder
from features.media.findings import Findings
from features.media.limits import Limits
from features.media.reasons import MediaError
from features.sandbox import Cost, Sandbox

logger = logging.getLogger(__name__)

ASK_AGAIN_S: Final = 600.0
"""A network that cannot be had is asked for again after this: it may be a download that fails slowly."""


class Tools:
    """The tools of one process; for one thread at a time."""

    def __init__(self) -> None:
        self._sandbox: Sandbox | None = None
        self._encoder: Path | None = None
        self._refusal = ""
        self._refused_at = -ASK_AGAIN_S

    @cached_property
    def sentences(self) -> SentenceEncoder:
        """The encoder of sentences."""
        return SentenceEncoder()

    @cached_property
    def languages(self) -> LanguageRecogniser:
        """The recogniser of languages."""
        return LanguageRecogniser()

    def look(self, file: IO[bytes]) -> Findings:
        """What is in an open file; without a network for frames, they are counted and hashed, and the reason says so.

        Raises
        ------
        MediaError : with the reason
        SandboxError : when the process that decodes cannot be started
        """
        encoder = self._visual()
        if self._sandbox is None or encoder != self._encoder:
            self.close()
            limits = Limits(file_bytes=settings.MEDIA_MAX_BYTES)
            self._sandbox = Sandbox(encoder, cache=Path(settings.ENCODER_DIR) / "compiled", cost=Cost(limits=limits))
            self._encoder = encoder
            # A worker that ends must not leave a decoder behind; one that is killed is noticed by the decoder itself.
            atexit.register(self._sandbox.close)
        found = self._sandbox.analyse(file)
        if found.visual_code == "model_unavailable":
            found.visual_detail = MediaError("model_unavailable", f"({self._refusal})").detail
        return found

    def close(self) -> None:
        """End the process that decodes."""
        if self._sandbox is not None:
            atexit.unregister(self._sandbox.close)
            self._sandbox.close()
            self._sandbox = None

    def _visual(self) -> Path | None:
        if time.monotonic() - self._refused_at < ASK_AGAIN_S:
            return None
        try:
            return visual_model.folder()
        except BackboneError as error:
            logger.error("frames are not looked at: %s", error)
            self._refusal, self._refused_at = str(error), time.monotonic()
            return None
