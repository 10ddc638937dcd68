"""The log of what was served: the only writer of `Served`, and of `Exposure` beside it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection
from psycopg2 import Binary

from ranking.assignment import Exposed
from ranking.feed_request import Feed, FeedRequest
from ranking.shelves import ServedFeatures

# Nobody waits for the disk here: a page is visible to the next request at once, and what a crash of the database server
# may cost is the memory of its last half second of pages, while events (`events.log_writer`) are never answered before
# they are safe.
_LAZILY: Final = "SET LOCAL synchronous_commit TO off;"
# Columns as arrays: a row by row statement through the ORM takes longer than the ranking of the page.
_INSERT: Final = """
    INSERT INTO served (request_id, walk_id, ends_walk, user_id, model_version, surface, arm, config, served_at,
                        session_id, context, position, content_id, source, sources, score, propensity, features,
                        feature_set, counted_until)
    SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, page.position, page.content_id, page.source,
           page.sources, page.score,
           page.propensity, page.features, CASE WHEN page.features = '' THEN '' ELSE %s END,
           CASE WHEN page.features <> '' THEN %s::timestamptz END
    FROM unnest(%s::smallint[], %s::text[], %s::text[], %s::jsonb[], %s::float8[], %s::float8[], %s::bytea[])
        AS page (position, content_id, source, sources, score, propensity, features)
"""
# Only the first page of a user and arm adds anything.
_EXPOSE: Final = """;
    INSERT INTO exposure (experiment, phase, user_id, arm, exposed_at)
    SELECT met.experiment, met.phase, %s, met.arm, %s
    FROM unnest(%s::text[], %s::smallint[], %s::text[]) AS met (experiment, phase, arm) ON CONFLICT DO NOTHING
"""


def log_page(
    feed: Feed,
    request: FeedRequest,
    seen: ServedFeatures,
    *,
    walk_id: UUID,
    arm: str,
    config: str,
    now: datetime,
    exposures: Sequence[Exposed] = (),
) -> None:
    """Keep a page with what made it, what the ranker saw of it and which arms acted on it, in one statement; an empty
    page leaves no trace.

    Call it inside a transaction.
    """
    items = feed.items
    if not items:
        return
    of_page: list[Any] = [
        feed.request_id, walk_id, not feed.has_more, request.user_id, feed.model_version, request.surface, arm, config,
        now, request.session_id, msgspec.json.encode(request.context).decode(),
    ]  # fmt: skip
    columns: list[Any] = [
        [item.position for item in items],
        [item.content_id for item in items],
        [item.source for item in items],
        [msgspec.json.encode(item.sources).decode() for item in items],
        [item.score for item in items],
        [item.propensity for item in items],
        [Binary(seen.rows.get(item.content_id, b"")) for item in items],
    ]
    statement, values = _LAZILY + _INSERT, [*of_page, seen.feature_set, seen.counted_until, *columns]
    if exposures:
        met = [[each.experiment for each in exposures], [each.phase for each in exposures],
               [each.arm for each in exposures]]  # fmt: skip
        statement, values = statement + _EXPOSE, [*values, request.user_id, now, *met]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
