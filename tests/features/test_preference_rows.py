import pytest

from features.preference_rows import PreferenceRow, learned, stated


def test_lists_yes_and_no_numbers_and_deeper_things_are_written_for_people():
    rows = stated(
        {"topics": ["sea", 2], "mood": {"calm": True, "age": None}, "deep": [{"a": 1}], "none": [], "learned": 3}
    )
    assert [(row.name, row.about, row.value) for row in rows] == [
        ("topics", "", "sea, 2"),
        ("mood", "calm", "yes"),
        ("mood", "age", "–"),
        ("deep", "", '[{"a": 1}]'),
        ("none", "", "–"),
    ]


def test_the_strongest_that_was_learned_comes_first_with_its_sign():
    rows = learned({"learned": {"categories": {"sea": 0.25, "cars": -0.4375}, "creators": {}}})
    assert rows == [PreferenceRow("categories", "cars", "-0.44"), PreferenceRow("categories", "sea", "+0.25")]
    assert learned({"topics": ["sea"]}) == []


def test_what_the_host_app_put_under_the_name_is_shown_as_it_is():
    assert learned({"learned": ["sea"]}) == [PreferenceRow("learned", "", "sea")]
    assert learned({"learned": {"categories": {"sea": "much"}}}) == [PreferenceRow("categories", "sea", "much")]


@pytest.mark.parametrize(
    ("odd", "shown"),
    [(["sea", 2], "sea, 2"), ("sea", "sea"), (7, "7"), (True, "yes"), (None, "–"), ([{"a": 1}], '[{"a": 1}]')],
)
def test_preferences_that_are_no_object_are_one_row(odd, shown):
    assert stated(odd) == [PreferenceRow("preferences", "", shown)]
    assert learned(odd) == []
