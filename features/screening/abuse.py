"""How abusive a text is: the linear model and the word list that two packages ship, in plain numpy.

The model (`alt-profanity-check`) is tf-idf and five calibrated support vector machines, of which only numbers are read
(`plain_joblib`); importing scikit-learn for it would cost a second and 150 MB. Both know English only.
"""

import re
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.screening import plain_joblib, version_of

_TOKEN: Final = re.compile(r"(?u)\b\w\w+\b")
_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
# What people write for letters so that no list finds the word.
_LEET: Final = str.maketrans("013457@$!", "oieastasi")
_LONGEST: Final = 3
"""Words of the longest phrase of the list that is looked for."""


class ModelMissing(RuntimeError):
    """A model that a package ships is not there, or is no model."""


class AbuseModel:
    """Probability that a text is abusive: the mean of calibrated linear models over tf-idf."""

    VERSION: Final = version_of("alt-profanity-check")

    def __init__(self, folder: Path | None = None) -> None:
        """Read the model; `folder` holds its two files, the package's own by default.

        Raises
        ------
        ModelMissing : when they are missing or damaged
        """
        try:
            folder = folder or Path(str(files("profanity_check") / "data"))
            words, model = plain_joblib.read(folder / "vectorizer.joblib"), plain_joblib.read(folder / "model.joblib")
            self._column: dict[str, int] = words.vocabulary_  # type: ignore[attr-defined]
            self._idf: NDArray[np.float64] = words._tfidf.idf_  # type: ignore[attr-defined]
            parts = [(each.estimator, each.calibrators[0]) for each in model.calibrated_classifiers_]  # type: ignore[attr-defined]
            self._weights = np.vstack([one.coef_[0] for one, _ in parts])
            self._bias = np.array([float(one.intercept_[0]) for one, _ in parts])
            self._slope = np.array([(float(sigmoid.a_), float(sigmoid.b_)) for _, sigmoid in parts])
        except (plain_joblib.JoblibFileError, AttributeError, IndexError, ModuleNotFoundError) as error:
            raise ModelMissing(f"the model of abusive language cannot be read: {error}") from error

    def score(self, text: str) -> float:
        """Probability in [0, 1]; what has no known word is as likely as the model's intercepts say."""
        found = [self._column[word] for word in _TOKEN.findall(text.lower()) if word in self._column]
        columns, counts = np.unique(np.array(found, np.int64), return_counts=True)
        values = counts * self._idf[columns]
        values = values / (np.linalg.norm(values) or 1.0)
        margin = self._weights[:, columns] @ values + self._bias
        return float(np.mean(1.0 / (1.0 + np.exp(self._slope[:, 0] * margin + self._slope[:, 1]))))


class WordList:
    """Words and phrases nobody wants to read (`better-profanity`), also where digits stand for letters."""

    VERSION: Final = version_of("better-profanity")

    def __init__(self) -> None:
        """Read the list; raises ModelMissing without it."""
        try:
            raw = (files("better_profanity") / "profanity_wordlist.txt").read_text(encoding="utf-8")
        except (ModuleNotFoundError, OSError) as error:
            raise ModelMissing(f"the list of words cannot be read: {error}") from error
        self._phrases = frozenset(" ".join(_WORD.findall(line.lower())) for line in raw.splitlines() if line.strip())

    def matches(self, text: str) -> list[str]:
        """The words and phrases of the list in a text, each as often as it stands there."""
        lowered = text.lower()
        found = self._in(_WORD.findall(lowered))
        swapped = lowered.translate(_LEET)
        return found if swapped == lowered or found else self._in(_WORD.findall(swapped))

    def _in(self, words: list[str]) -> list[str]:
        runs = (
            " ".join(words[start : start + length])
            for start in range(len(words))
            for length in range(1, min(_LONGEST, len(words) - start) + 1)
        )
        return [run for run in runs if run in self._phrases]


@lru_cache(maxsize=1)
def abuse_model() -> AbuseModel:
    """The model of this process."""
    return AbuseModel()


@lru_cache(maxsize=1)
def word_list() -> WordList:
    """The list of this process."""
    return WordList()
