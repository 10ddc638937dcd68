"""Lengths of clips: a small catalogue is read once, a large one by the clip, and nobody is asked twice."""

import threading

import pytest
from django.utils import timezone

from events import durations
from events.models import Content

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clips():
    Content.objects.bulk_create(
        Content(content_id=f"c{number}", creator_id="k1", upload_timestamp=timezone.now(), duration_s=length)
        for number, length in enumerate([10.0, 20.0, None])
    )


def lengths(*ids):
    known = durations.durations(ids)
    return [known.get(content_id) for content_id in ids]


def test_a_small_catalogue_costs_one_query_a_minute(django_assert_num_queries):
    with django_assert_num_queries(1):
        assert lengths("c0", "c1", "c2", "nobody's") == [10.0, 20.0, None, None]
        assert lengths("c1", "another's") == [20.0, None]


def test_of_a_large_catalogue_each_clip_is_asked_for_once(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(durations, "WHOLE", 0)
    with django_assert_num_queries(2):
        assert lengths("c0", "c1", "c2", "nobody's") == [10.0, 20.0, None, None]
        assert lengths("c2", "nobody's") == [None, None]
    with django_assert_num_queries(1):
        assert lengths("another's") == [None]


def test_what_is_old_is_read_again(monkeypatch):
    assert lengths("c2") == [None]
    Content.objects.update(duration_s=7.0)
    assert lengths("c0", "c2") == [10.0, None]
    monkeypatch.setattr(durations, "REMEMBER_S", -1.0)
    durations.forget()
    assert lengths("c0", "c2") == lengths("c0", "c2") == [7.0, 7.0]


def test_whoever_comes_while_another_thread_reads_goes_on_with_what_is_known():
    assert lengths("c0") == [10.0]
    old = durations._known._snapshot._replace(until=0.0)
    durations._known._snapshot = old
    seen = []
    with durations._known._lock:
        reader = threading.Thread(target=lambda: seen.append(durations.durations(["c0"])["c0"]))
        reader.start()
        reader.join(5)
    assert seen == [10.0]
