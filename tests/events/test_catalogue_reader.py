"""Reading what changed gives the same table as reading everything."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from events import queries
from events.catalogue import NewContent, register_contents, set_moderation_state
from events.catalogue_reader import CatalogueReader
from events.models import Content

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 11, 20, tzinfo=UTC)


def register(*names: str, caption: str = "a caption") -> None:
    register_contents(NewContent(name, f"by {name}", DAY, {"caption": caption}, duration_s=9.0) for name in names)


def assert_whole(table) -> None:
    whole = queries.catalogue_table()
    for name in whole.__dataclass_fields__:
        assert getattr(table, name).tolist() == getattr(whole, name).tolist(), name
        assert getattr(table, name).dtype == getattr(whole, name).dtype, name


@pytest.fixture
def reader():
    register("b", "d", "f")
    # What was read is older than the overlap, or the reader would read it all again.
    Content.objects.update(updated_at=DAY)
    reader = CatalogueReader()
    assert_whole(reader.read())
    return reader


def test_an_empty_catalogue_is_read_as_one():
    reader = CatalogueReader()
    assert len(reader.read()) == 0
    register("a")
    assert_whole(reader.read())


def test_new_contents_come_in_their_order_and_changed_ones_replace(reader, django_assert_num_queries):
    register("a", "c", "e", "g")
    register("d", caption="another caption")
    set_moderation_state("f", status="hidden")
    with django_assert_num_queries(3):
        table = reader.read()
    assert_whole(table)
    assert np.flatnonzero(~table.active).tolist() == [5]


def test_only_what_changed_is_read_again(reader):
    register("a")
    # A change that no writer would make: it does not move the stamp, and so stays unseen.
    Content.objects.filter(pk="b").update(creator_id="somebody else", updated_at=DAY - timedelta(days=1))
    assert reader.read().creator_id.tolist()[:2] == ["by a", "by b"]
    reader.forget()
    assert_whole(reader.read())


def test_a_content_that_is_gone_is_noticed_even_where_another_one_came(reader):
    Content.objects.filter(pk="d").delete()
    register("e")
    assert_whole(reader.read())
