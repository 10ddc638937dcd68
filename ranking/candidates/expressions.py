"""Conditions on contents as a caller writes them, and boosts made of them.

    filter    category in ("ocean", "neon") and not creator_id = "mara" and duration_s <= 30
    boost     category = "ocean" => 0.8; age_h < 24 => 0.3

`and` binds stronger than `or`. Texts stand in quotes; `language` compares the language of a tag, so "pt" is also
"pt-BR". What is not known equals the empty text, and fails every comparison of numbers.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from events.cleaning.audience import primary
from ranking.pipeline.stages import Mask

TEXTS: Final = ("content_id", "creator_id", "category", "language", "tags")
NUMBERS: Final = ("duration_s", "age_h")
MAX_CHARS: Final = 1_000
MAX_DEPTH: Final = 10
MAX_BOOSTS: Final = 5
MOST_BOOST: Final = 3.0
"""Standard deviations of the score: what is boosted by three stands before nearly all that is not."""

_COMPARE: Final[Mapping[str, Callable[[Any, float], Any]]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
}
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>\"[^\"]*\"|'[^']*')|(?P<number>-?\d{1,9}(?:\.\d{1,9})?)(?![\w.])|(?P<word>[A-Za-z_]+)"
    r"|(?P<sign>=>|!=|<=|>=|[=<>(),;]))",
    re.ASCII,
)


class ExpressionError(ValueError):
    """A text that is no condition or boost; says where."""


class Table(Protocol):
    """Contents as columns."""

    @property
    def size(self) -> int:
        """How many contents there are."""

    def among(self, field: str, values: frozenset[str]) -> Mask:
        """Whose text is one of the values; of tags: who has any."""

    def number(self, field: str) -> NDArray[Any]:
        """A column of numbers, NaN where unknown."""


class Expression(Protocol):
    """A condition."""

    def mask(self, table: Table) -> Mask:
        """For which contents it holds."""


@dataclass(frozen=True, slots=True)
class Among:
    """The text of a field is one of these."""

    field: str
    values: frozenset[str]

    def mask(self, table: Table) -> Mask:
        """See `Expression`."""
        return table.among(self.field, self.values)


@dataclass(frozen=True, slots=True)
class Compared:
    """The number of a field compared with one."""

    field: str
    operator: str
    value: float

    def mask(self, table: Table) -> Mask:
        """See `Expression`."""
        column = table.number(self.field)
        return np.asarray(_COMPARE[self.operator](column, self.value) & ~np.isnan(column), np.bool_)


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Expression

    def mask(self, table: Table) -> Mask:
        """See `Expression`."""
        return ~self.part.mask(table)


@dataclass(frozen=True, slots=True)
class Joined:
    """All of the parts hold, or any of them."""

    parts: tuple[Expression, ...]
    every: bool

    def mask(self, table: Table) -> Mask:
        """See `Expression`."""
        join = np.logical_and.reduce if self.every else np.logical_or.reduce
        return np.asarray(join([part.mask(table) for part in self.parts]), np.bool_)


@dataclass(frozen=True, slots=True)
class Boost:
    """What is added to the score where a condition holds, in standard deviations of the score."""

    condition: Expression
    by: float


@lru_cache(maxsize=256)
def parse_filter(text: str) -> Expression:
    """The condition that a text states; raises ExpressionError."""
    reader = _Reader(text)
    found = reader.either(0)
    reader.end()
    return found


@lru_cache(maxsize=256)
def parse_boosts(text: str) -> tuple[Boost, ...]:
    """The boosts that a text states, at most `MAX_BOOSTS`; raises ExpressionError.

    >>> [boost.by for boost in parse_boosts('category = "ocean" => 1; age_h < 24 => -0.5')]
    [1.0, -0.5]
    """
    reader, found = _Reader(text), []
    while True:
        condition = reader.either(0)
        reader.expect("=>")
        by = reader.number()
        if not -MOST_BOOST <= by <= MOST_BOOST:
            raise ExpressionError(f"a boost must lie between -{MOST_BOOST:g} and {MOST_BOOST:g}, got {by:g}")
        found.append(Boost(condition, by))
        if len(found) > MAX_BOOSTS:
            raise ExpressionError(f"more than {MAX_BOOSTS} boosts")
        if not reader.took(";"):
            break
    reader.end()
    return tuple(found)


class _Reader:
    """Recursive descent over the tokens of one text, each (kind, value, place)."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARS:
            raise ExpressionError(f"longer than {MAX_CHARS} characters")
        self._tokens: Sequence[tuple[str, str, int]] = [*_tokens(text), ("end", "the end", len(text))]
        self._at = 0

    def either(self, depth: int) -> Expression:
        return self._joined("or", lambda: self._joined("and", lambda: self._single(depth), every=True), every=False)

    def took(self, sign: str) -> bool:
        kind, value, _ = self._tokens[self._at]
        found = kind in {"sign", "word"} and value == sign
        self._at += found
        return found

    def expect(self, sign: str) -> None:
        if not self.took(sign):
            raise self._wrong(sign)

    def number(self) -> float:
        return float(self._take("number", "a number"))

    def end(self) -> None:
        if self._tokens[self._at][0] != "end":
            raise self._wrong("and, or, or the end")

    def _joined(self, word: str, part: Callable[[], Expression], *, every: bool) -> Expression:
        parts = [part()]
        while self.took(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(tuple(parts), every)

    def _single(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise ExpressionError(f"nested deeper than {MAX_DEPTH}")
        if self.took("not"):
            return Not(self._single(depth + 1))
        if self.took("("):
            found = self.either(depth + 1)
            self.expect(")")
            return found
        kind, field, _ = self._tokens[self._at]
        if kind != "word" or field not in TEXTS + NUMBERS:
            raise self._wrong(f"one of {', '.join(TEXTS + NUMBERS)}")
        self._at += 1
        return self._of_number(field) if field in NUMBERS else self._of_text(field)

    def _of_text(self, field: str) -> Expression:
        if self.took("in"):
            self.expect("(")
            values = [self._text()]
            while self.took(","):
                values.append(self._text())
            self.expect(")")
            return _among(field, values)
        if self.took("="):
            return _among(field, [self._text()])
        if self.took("!="):
            return Not(_among(field, [self._text()]))
        raise self._wrong("=, != or in")

    def _of_number(self, field: str) -> Expression:
        kind, operator, _ = self._tokens[self._at]
        if kind != "sign" or operator not in _COMPARE:
            raise self._wrong(f"one of {' '.join(_COMPARE)}")
        self._at += 1
        return Compared(field, operator, self.number())

    def _text(self) -> str:
        return self._take("text", "a text in quotes")[1:-1]

    def _take(self, kind: str, wanted: str) -> str:
        found, value, _ = self._tokens[self._at]
        if found != kind:
            raise self._wrong(wanted)
        self._at += 1
        return value

    def _wrong(self, wanted: str) -> ExpressionError:
        _, value, place = self._tokens[self._at]
        return ExpressionError(f"expected {wanted} at character {place + 1}, got {value[:40]}")


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    place, stop = 0, len(text.rstrip())
    while place < stop:
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            rest = text[place:].lstrip()
            raise ExpressionError(f"nothing that can be read at character {len(text) - len(rest) + 1}: {rest[:20]}")
        yield found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)
        place = found.end()


def _among(field: str, values: Sequence[str]) -> Among:
    return Among(field, frozenset(map(primary, values) if field == "language" else values))
