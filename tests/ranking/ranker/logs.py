"""Small logs written by hand, as columns."""

import numpy as np

from events.cleaning.schema import EVENT_TYPES
from events.columnar.interactions import ABSENT, ContentTable, Interactions

NAN = float("nan")


def codes(values):
    vocabulary = sorted({value for value in values if value})
    place = {value: code for code, value in enumerate(vocabulary)}
    return np.array([place.get(value, ABSENT) for value in values], np.int32), np.array(vocabulary, dtype=object)


def log(*rows):
    """Rows are (seconds, user, event type, content) or dicts with those and creator, watch_s, long_view, request."""
    names = ("at", "user", "type", "content")
    rows = [row if isinstance(row, dict) else dict(zip(names, row, strict=True)) for row in rows]
    rows = sorted(rows, key=lambda row: row["at"])
    user, users = codes([row["user"] for row in rows])
    content, contents = codes([row.get("content") for row in rows])
    creator, creators = codes([row.get("creator") for row in rows])
    request, requests = codes([row.get("request") for row in rows])
    return Interactions(
        event_type=np.array([EVENT_TYPES.index(row["type"]) for row in rows], np.uint8),
        user=user,
        content=content,
        creator=creator,
        timestamp=np.array([row["at"] for row in rows], float),
        watch_s=np.array([row.get("watch_s", NAN) for row in rows], np.float32),
        long_view=np.array([row.get("long_view", -1) for row in rows], np.int8),
        session=np.full(len(rows), ABSENT, np.int32),
        request=request,
        users=users,
        contents=contents,
        creators=creators,
        sessions=np.empty(0, dtype=object),
        requests=requests,
    )


def catalogue(durations, creators=None):
    """A catalogue of contents by duration in seconds; creators by content id, else "maker"."""
    ids = sorted(durations)
    text = np.array([""] * len(ids), dtype=object)
    return ContentTable(
        content_id=np.array(ids, dtype=object),
        creator_id=np.array([(creators or {}).get(content, "maker") for content in ids], dtype=object),
        category=text,
        language=text,
        text=text,
        upload_timestamp=np.zeros(len(ids)),
        duration_s=np.array([durations[content] for content in ids], np.float32),
        active=np.ones(len(ids), bool),
        sound=np.full(len(ids), -1, np.int32),
    )
