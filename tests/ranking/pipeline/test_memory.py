"""Served, seen and viewed are three states."""

from ranking.pipeline.memory import remember


def test_what_was_served_is_held_back_for_a_while_and_then_left_behind():
    served = {"late": 100.0, "early": 10.0}
    assert remember({}, served, held_since=50.0) == remember({}, served, held_since=100.0)
    memory = remember({}, served, held_since=50.0)
    assert (memory.contact, memory.passed_over) == ({"late": 100.0}, {"early"})


def test_what_was_met_stays_away_however_long_ago_it_was_served():
    memory = remember({"early": 12.0}, {"early": 10.0}, held_since=50.0)
    assert (memory.contact, memory.passed_over) == ({"early": 12.0}, frozenset())


def test_contact_is_the_later_of_being_served_and_being_met():
    memory = remember({"a": 60.0, "b": 70.0}, {"a": 65.0, "b": 55.0}, held_since=50.0)
    assert memory.contact == {"a": 65.0, "b": 70.0}
