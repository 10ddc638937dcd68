"""Delivered, seen and viewed are three states, and what a walk delivered itself is a fourth."""

from ranking.pipeline.memory import Memory, remember


def test_what_was_delivered_and_never_met_waits():
    assert remember({}, {"late": 100.0, "early": 10.0}) == Memory({}, frozenset({"late", "early"}), frozenset())


def test_what_was_met_is_seen_however_it_was_found():
    assert remember({"found": 12.0, "fed": 11.0}, {"fed": 10.0}).seen == {"found": 12.0, "fed": 11.0}


def test_last_contact_is_the_later_of_being_delivered_and_being_met():
    assert remember({"a": 60.0, "b": 70.0}, {"a": 65.0, "b": 55.0}).seen == {"a": 65.0, "b": 70.0}


def test_what_a_walk_delivered_is_its_own_whether_it_was_met_or_not():
    memory = remember({"met": 2.0}, {"met": 1.0, "not": 1.0, "other": 1.0}, walked=["met", "not"])
    assert memory == Memory({}, frozenset({"other"}), frozenset({"met", "not"}))
