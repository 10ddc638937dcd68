"""Conditions: what they mean on every kind of table, and what cannot be read."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from ranking.candidates.expressions import MAX_DEPTH, ExpressionError, parse_boosts, parse_filter


@dataclass
class Rows:
    """Four contents."""

    category: tuple = ("ocean", "neon", "", "ocean")
    language: tuple = ("pt", "en", "en", "")
    tags: tuple = (("calm",), ("calm", "loud"), (), ("loud",))
    numbers: dict = field(default_factory=lambda: {"duration_s": np.array([5.0, 30.0, np.nan, 60.0])})
    size: int = 4

    def among(self, name, values):
        if name == "tags":
            return np.array([bool(values & set(each)) for each in self.tags])
        return np.array([each in values for each in getattr(self, name)])

    def number(self, name):
        return self.numbers[name]


def held(text: str) -> list[int]:
    return np.flatnonzero(parse_filter(text).mask(Rows())).tolist()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('category = "ocean"', [0, 3]),
        ("category = 'ocean'", [0, 3]),
        ('category != "ocean"', [1, 2]),
        ('category in ("neon", "")', [1, 2]),
        ('language = "pt-BR"', [0]),
        ("duration_s <= 30", [0, 1]),
        ("duration_s > 5", [1, 3]),
        ("duration_s != 5", [1, 3]),
        ("not duration_s <= 30", [2, 3]),
        ('tags = "calm"', [0, 1]),
        ('not tags in ("calm", "loud")', [2]),
        # and binds stronger than or, brackets stronger than both, not strongest
        ('category = "neon" or category = "ocean" and duration_s > 9', [1, 3]),
        ('(category = "neon" or category = "ocean") and duration_s > 9', [1, 3]),
        ('not category = "ocean" and duration_s > 9', [1]),
        ('not (category = "ocean" and duration_s > 9)', [0, 1, 2]),
    ],
)
def test_what_a_condition_means(text, rows):
    assert held(text) == rows


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the end"),
        ("colour = 'red'", "colour"),
        ("category == 'red'", "a text in quotes at character 11"),
        ("category = red", "red"),
        ("category < 'red'", "=, != or in"),
        ("duration_s = 'long'", "a number"),
        ("duration_s in (1)", "one of = !="),
        ("category in ()", "a text in quotes"),
        ("category = 'a' category = 'b'", "and, or, or the end"),
        ("category = 'a", "nothing that can be read at character 12"),
        ("(category = 'a'", "expected )"),
        ("duration_s < 1e9", "nothing that can be read"),
        ("duration_s < ٣", "nothing that can be read"),
        ("x" * 1_001, "longer than 1000"),
        ("(" * (MAX_DEPTH + 2) + "age_h < 1" + ")" * (MAX_DEPTH + 2), "nested deeper"),
        ("not " * 200 + "age_h < 1", "nested deeper"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text, says):
    with pytest.raises(ExpressionError) as refused:
        parse_filter(text)
    assert says in str(refused.value)


def test_boosts_are_conditions_with_a_number_each():
    first, second = parse_boosts('category = "ocean" and duration_s < 9 => 1.5 ; tags = "loud" => -0.25')
    assert (first.by, second.by) == (1.5, -0.25)
    assert np.flatnonzero(first.condition.mask(Rows())).tolist() == [0]
    assert np.flatnonzero(second.condition.mask(Rows())).tolist() == [1, 3]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("age_h < 1", "expected =>"),
        ("age_h < 1 => ", "a number"),
        ("age_h < 1 => 3.5", "between -3 and 3"),
        ("age_h < 1 => 1;", "one of content_id"),
        (";".join(["age_h < 1 => 1"] * 6), "more than 5"),
    ],
)
def test_a_boost_that_cannot_be_meant_is_refused(text, says):
    with pytest.raises(ExpressionError) as refused:
        parse_boosts(text)
    assert says in str(refused.value)
