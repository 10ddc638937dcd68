"""Which contents have a tag: the one fact of a filter that is looked up by content and not kept in columns."""

from collections.abc import Collection
from typing import Final

from django.db import connection

# Served by the index content_tags, a lookup per tag and no more rows than are found.
_ANY_OF: Final = "SELECT content_id FROM content WHERE metadata -> 'tags' ?| %s"
# No index tells what a document lacks; asked only by `tags = ""`.
_NONE: Final = """
    SELECT content_id FROM content
    WHERE coalesce(jsonb_typeof(metadata -> 'tags') <> 'array' OR metadata -> 'tags' = '[]', true)
"""


def contents_tagged(tags: Collection[str]) -> list[str]:
    """Ids of the contents that have any of some tags, whatever their state; "" stands for having none at all."""
    named, found = [tag for tag in tags if tag], set[str]()
    with connection.cursor() as cursor:
        if named:
            cursor.execute(_ANY_OF, [named])
            found.update(content_id for (content_id,) in cursor.fetchall())
        if len(named) < len(tags):
            cursor.execute(_NONE)
            found.update(content_id for (content_id,) in cursor.fetchall())
    return sorted(found)
