"""What an arm changes of the feed, as a document that people write and the database keeps.

    {"for_you": {"fresh": 100, "popular": 0},      quotas: these are changed, 0 leaves the source out
     "explorer": "linear",                          which stage tries something out
     "exploration": {"block": 20},                  any number of the parts of `FeedConfig`
     "theta": 3.0,
     "weights": {"all": {"like": 6.0}},             value weights over those that serve; "all" or a segment
     "model": "ranker-20261101T000000-1a2b3c4d"}    a registered model in the place of the champion

An empty document is what serves anyway: control.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Final

from ranking.feed_config import EXPLORERS, FeedConfig
from ranking.ranker.value import SEGMENTS, TERMS, InvalidWeights, Policy

SOURCES: Final = ("sequential", "content_based", "popular", "trending", "fresh", "following", "latest")
QUOTAS: Final = ("for_you", "category", "trending")
NESTED: Final = ("cut", "fusion", "mix", "exploration", "epsilon", "diverse", "guarantee")
NUMBERS: Final = ("theta", "fairness_loss")
WEIGHTS, MODEL, EXPLORER = "weights", "model", "explorer"
PARTS: Final = (*QUOTAS, *NESTED, *NUMBERS, EXPLORER, WEIGHTS, MODEL)
GUESSED: Final = ("for_you", "category")
"""Surfaces that a model ranks and re-ranking arranges; the others keep a promised order."""
EXPLORING: Final = frozenset({EXPLORER, "exploration", "epsilon", "diverse", "guarantee"})
MOST_QUOTA: Final = 1_000
MOST_NUMBER: Final = 1_000.0
MOST_LOSS: Final = 0.1
ALL: Final = "all"


class InvalidOverrides(ValueError):
    """A document that must not serve; the sentence names the part and the value."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """A checked document. `parts` are the names of what it changes."""

    document: Mapping[str, Any]

    @classmethod
    def parse(cls, document: Any) -> "Overrides":
        """Check a document against the configuration of today; raises InvalidOverrides."""
        if not isinstance(document, Mapping):
            raise InvalidOverrides(f"what an arm changes must be an object by part, got {document!r:.80}")
        unknown = sorted(set(map(str, document)) - set(PARTS))
        if unknown:
            raise InvalidOverrides(f"unknown parts {unknown}; an arm can change {', '.join(PARTS)}")
        found = cls(MappingProxyType(dict(document)))
        found.config(FeedConfig())
        if WEIGHTS in document:
            found.policy(Policy.default())
        model = document.get(MODEL)
        if MODEL in document and not (isinstance(model, str) and 0 < len(model) <= 64):
            raise InvalidOverrides(f"model must be the version of a registered model, got {model!r:.80}")
        return found

    @property
    def parts(self) -> frozenset[str]:
        return frozenset(self.document)

    @property
    def model(self) -> str | None:
        """The version that serves in the place of the champion."""
        return self.document.get(MODEL)

    def config(self, base: FeedConfig) -> FeedConfig:
        """A configuration with these changes; the same one without any."""
        changes: dict[str, Any] = {}
        for name, told in self.document.items():
            if name in QUOTAS:
                changes[name] = _quotas(name, getattr(base, name), told)
            elif name in NESTED:
                changes[name] = _nested(name, getattr(base, name), told)
            elif name in NUMBERS:
                changes[name] = _number(name, told, MOST_LOSS if name == "fairness_loss" else MOST_NUMBER)
            elif name == EXPLORER:
                if told not in EXPLORERS:
                    raise InvalidOverrides(f"explorer must be one of {', '.join(EXPLORERS)}, got {told!r:.80}")
                changes[name] = told
        try:
            return replace(base, **changes) if changes else base
        except ValueError as error:
            raise InvalidOverrides(str(error)) from None

    def policy(self, base: Policy) -> Policy:
        """Value weights with these changes, under the version of the base."""
        told = self.document.get(WEIGHTS)
        if told is None:
            return base
        document = base.document()
        _mapping(WEIGHTS, told, (ALL, *SEGMENTS))
        # "all" first, so that a segment's own weight stands, in whatever order the document was kept.
        for segment in sorted(told, key=lambda name: name != ALL):
            _mapping(f"weights of {segment}", told[segment], TERMS)
            for each in SEGMENTS if segment == ALL else (segment,):
                document[each] |= told[segment]
        try:
            return Policy.parse(base.version, document)
        except InvalidWeights as error:
            raise InvalidOverrides(f"weights: {error}") from None


def surfaces_of(parts: Iterable[str]) -> frozenset[str]:
    """Where changes of these parts can be noticed.

    >>> sorted(surfaces_of(["trending"])), sorted(surfaces_of(["theta"]))
    (['trending'], ['category', 'for_you'])
    """
    found: set[str] = set()
    for part in parts:
        found.update((part,) if part in QUOTAS else GUESSED)
    return frozenset(found)


def _quotas(name: str, base: Mapping[str, int], told: Any) -> Mapping[str, int]:
    _mapping(name, told, SOURCES)
    quotas = dict(base)
    # Added sources come after the usual ones, in an order of their own: that of a document is lost in the database.
    for source in sorted(told, key=SOURCES.index):
        quota = told[source]
        if isinstance(quota, bool) or not isinstance(quota, int) or not 0 <= quota <= MOST_QUOTA:
            raise InvalidOverrides(f"{name}.{source} must be a whole number up to {MOST_QUOTA}, got {quota!r:.80}")
        quotas[source] = quota
    kept = {source: quota for source, quota in quotas.items() if quota}
    if not kept:
        raise InvalidOverrides(f"{name} would have no source left")
    return MappingProxyType(kept)


def _nested(name: str, base: Any, told: Any) -> Any:
    numbers = {each.name: getattr(base, each.name) for each in fields(base)}
    numbers = {each: value for each, value in numbers.items() if isinstance(value, int | float)}
    _mapping(name, told, tuple(numbers))
    changes = {}
    for each, value in told.items():
        number = _number(f"{name}.{each}", value, MOST_NUMBER)
        if isinstance(numbers[each], int) and (number != int(number) or number < 1):
            raise InvalidOverrides(f"{name}.{each} must be a whole number from 1 on, got {value!r:.80}")
        changes[each] = int(number) if isinstance(numbers[each], int) else number
    try:
        return replace(base, **changes)
    except ValueError as error:
        raise InvalidOverrides(f"{name}: {error}") from None


def _number(name: str, value: Any, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidOverrides(f"{name} must be a number, got {value!r:.80}")
    if not 0.0 <= value <= most:
        raise InvalidOverrides(f"{name} must lie between 0 and {most:g}, got {value!r:.80}")
    return float(value)


def _mapping(name: str, told: Any, known: tuple[str, ...]) -> None:
    if not isinstance(told, Mapping) or not told:
        raise InvalidOverrides(f"{name} must be an object with at least one of {', '.join(known)}, got {told!r:.80}")
    unknown = sorted(set(map(str, told)) - set(known))
    if unknown:
        raise InvalidOverrides(f"{name} has no {', '.join(unknown)}; there are {', '.join(known)}")
