"""What a benchmark is given and what it answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Options:
    """How to run a benchmark.

    Attributes
    ----------
    quick : less than a minute
    path, dataset : real data where a benchmark can use it, and which that is
    train_until : the last day that is learned from
    mode : another question to the same data
    contents : size of the catalogue where a benchmark makes one
    """

    quick: bool = False
    path: Path | None = None
    dataset: str | None = None
    train_until: date | None = None
    mode: str | None = None
    contents: int | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure that must hold; `bound` is inclusive."""

    name: str
    value: float
    bound: float
    holds: bool

    @classmethod
    def at_least(cls, name: str, value: float, bound: float) -> "Bar":
        """A figure that must not be lower.

        >>> Bar.at_least("rows per second", 12.0, 10.0).holds
        True
        """
        return cls(name, value, bound, value >= bound)

    @classmethod
    def at_most(cls, name: str, value: float, bound: float) -> "Bar":
        """A figure that must not be higher; a figure that is not a number does not hold.

        >>> Bar.at_most("p99 ms", float("nan"), 10.0).holds
        False
        """
        return cls(name, value, bound, value <= bound)


@dataclass(frozen=True, slots=True)
class Result:
    """What a benchmark found.

    Attributes
    ----------
    figures : numbers by name, with the unit at the end of the name
    columns, rows : the table for people, the limit or peer beside each figure
    """

    name: str
    figures: Mapping[str, float]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    bars: Sequence[Bar] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Result":
        """The inverse of `to_json`."""
        return cls(**{**data, "bars": tuple(Bar(**bar) for bar in data["bars"])})


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One entry of the registry; `what` is the sentence shown by `bench --list`."""

    name: str
    what: str
    run: Callable[[Options], Result]
