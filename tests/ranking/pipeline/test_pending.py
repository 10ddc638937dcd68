"""What waits in the client is not sent twice; what was left behind may return."""

from uuid import UUID

from ranking.pipeline.pending import ServedPosition, pending


def page(number: int, *content_ids: str) -> list[ServedPosition]:
    return [ServedPosition(UUID(int=number), each, 1_000.0 * number) for each in content_ids]


def test_an_untouched_page_waits():
    found = pending(page(1, "a", "b"), {})
    assert (found.waiting, found.passed_over) == ({"a", "b"}, frozenset())


def test_the_end_of_the_page_being_watched_waits():
    found = pending(page(1, *"abcdef"), {"a": 1_001.0, "b": 1_002.0})
    assert found.waiting == set("cdef")


def test_asking_with_most_of_a_page_left_is_a_refresh():
    found = pending(page(1, *"abcdef"), {"a": 1_001.0})
    assert (found.waiting, found.passed_over) == (frozenset(), set("bcdef"))


def test_pages_before_the_last_touched_one_were_passed_over():
    found = pending(page(1, "a", "b") + page(2, "c", "d") + page(3, "e"), {"c": 2_001.0})
    assert found.passed_over == {"a", "b"}
    assert found.waiting == {"d", "e"}


def test_a_meeting_long_before_the_page_does_not_touch_it():
    found = pending(page(1, "a", "b"), {"a": 10.0})
    assert found.waiting == {"a", "b"}


def test_nothing_served_leaves_nothing_pending():
    assert pending([], {"a": 1.0}).waiting == frozenset()
