import numpy as np
import pytest

from features.extraction import definitions
from features.extraction.definitions import CONTENT, CONTEXT, FEATURES, NAMES, USER, stack


def test_names_are_unique_and_blocks_stand_together_in_the_order_of_the_slices():
    names = [feature.name for feature in FEATURES]
    assert len(set(names)) == len(names)
    assert tuple(names[USER]) == NAMES["user"]
    assert tuple(names[CONTENT]) == NAMES["content"]
    assert tuple(names[CONTEXT]) == NAMES["context"]


def test_columns_are_stacked_in_the_order_of_the_list_whatever_the_order_of_computing():
    columns = {name: np.full(2, float(at)) for at, name in enumerate(NAMES["context"])}
    matrix = stack("context", dict(reversed(columns.items())), 2)
    assert matrix.dtype == np.float32
    assert matrix[1].tolist() == list(range(len(NAMES["context"])))


def test_a_value_that_is_not_finite_becomes_the_default_of_its_feature():
    columns = {name: np.zeros(1) for name in NAMES["user"]}
    columns["user_long_rate"] = np.array([np.nan])
    columns["user_gap"] = np.array([np.inf])
    row = dict(zip(NAMES["user"], stack("user", columns, 1)[0].tolist(), strict=True))
    assert row["user_long_rate"] == pytest.approx(definitions.PRIOR_RATE["long_views"])
    assert row["user_gap"] == pytest.approx(np.log1p(definitions.AGE_LIMIT_S))


def test_a_feature_that_is_computed_but_not_listed_is_an_error_naming_it():
    columns = {name: np.zeros(1) for name in NAMES["user"]} | {"user_shoe_size": np.zeros(1)}
    with pytest.raises(ValueError, match="user_shoe_size"):
        stack("user", columns, 1)


def test_no_rows_stack_to_no_rows():
    assert stack("content", {name: np.zeros(0) for name in NAMES["content"]}, 0).shape == (0, len(NAMES["content"]))
