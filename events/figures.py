"""Counts over the catalogue for listings."""

from django.db import connection


def active_by_category() -> dict[str, int]:
    """Active contents per category; those without a category are left out. One pass over the catalogue."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT metadata->>'category' AS category, count(*) FROM content "
            "WHERE status = 'active' AND (expires_at IS NULL OR expires_at > statement_timestamp()) "
            "AND jsonb_typeof(metadata->'category') = 'string' AND metadata->>'category' <> '' "
            "GROUP BY category"
        )
        return dict(cursor.fetchall())
