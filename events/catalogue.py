"""The catalogue: the only writer of contents and user profiles.

Contents come from the host app, from uploads in the event stream and from imports. Registering one again replaces what
was known, except for its moderation state: a removed clip must not come back because a nightly sync sent it again.
Moderation goes through `set_moderation_state`, `impose` and `set_suspension` alone.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Max, Q
from django.utils import timezone
from psycopg2.extras import execute_values

from events import vectors
from events.cleaning.audience import EVERYONE, RATINGS
from events.models import Content, Event, Suspension, UserProfile

BATCH_ROWS: Final = 2_000
STATUSES: Final = frozenset(Content.Status.values)
_TICK: Final = timedelta(milliseconds=1)


class UnknownContent(LookupError):
    """There is no content with this id."""


@dataclass(frozen=True, slots=True)
class NewContent:
    """A content as the host app describes it; `metadata` holds caption, tags, category and whatever else is known.

    `embedding` is a vector that the host app made itself, as `vectors.checked` gives it.
    """

    content_id: str
    creator_id: str
    upload_timestamp: datetime
    metadata: Mapping[str, Any] = field(default_factory=dict)
    status: str = "active"
    duration_s: float | None = None
    language: str = ""
    media_url: str = ""
    thumbnail_url: str = ""
    age_rating: str = EVERYONE
    geo_allow: Sequence[str] = ()
    geo_deny: Sequence[str] = ()
    expires_at: datetime | None = None
    embedding: bytes | None = None


@dataclass(frozen=True, slots=True)
class NewProfile:
    """What the host app tells of a user."""

    user_id: str
    demographics: Mapping[str, Any] = field(default_factory=dict)
    preferences: Mapping[str, Any] = field(default_factory=dict)


_UPSERT_CONTENT = """
    INSERT INTO content (content_id, creator_id, upload_timestamp, metadata, status, duration_s, language, media_url,
                         thumbnail_url, age_rating, geo_allow, geo_deny, expires_at, updated_at, feed_eligible)
    VALUES %s
    ON CONFLICT (content_id) DO UPDATE SET
        creator_id = EXCLUDED.creator_id, upload_timestamp = EXCLUDED.upload_timestamp, metadata = EXCLUDED.metadata,
        duration_s = EXCLUDED.duration_s, language = EXCLUDED.language, media_url = EXCLUDED.media_url,
        thumbnail_url = EXCLUDED.thumbnail_url, age_rating = EXCLUDED.age_rating, geo_allow = EXCLUDED.geo_allow,
        geo_deny = EXCLUDED.geo_deny, expires_at = EXCLUDED.expires_at, updated_at = EXCLUDED.updated_at
    RETURNING (xmax = 0)
"""
_INSERT_CONTENT = """
    INSERT INTO content (content_id, creator_id, upload_timestamp, metadata, status, duration_s, language, media_url,
                         thumbnail_url, age_rating, geo_allow, geo_deny, expires_at, updated_at, feed_eligible)
    VALUES %s ON CONFLICT (content_id) DO NOTHING RETURNING true
"""
_UPSERT_PROFILE = """
    INSERT INTO user_profile (user_id, demographics, preferences, created_at, updated_at)
    VALUES %s
    ON CONFLICT (user_id) DO UPDATE SET
        demographics = EXCLUDED.demographics,
        preferences = CASE WHEN user_profile.preferences->'learned' IS NULL THEN '{}'
            ELSE jsonb_build_object('learned', user_profile.preferences->'learned') END || EXCLUDED.preferences,
        updated_at = EXCLUDED.updated_at
    RETURNING (xmax = 0)
"""


def register_content(content: NewContent) -> bool:
    """Add or replace one content; True when it is new."""
    return register_contents([content]) == 1


def register_contents(contents: Iterable[NewContent], *, keep_known: bool = False) -> int:
    """Add or replace contents and return how many were new.

    With `keep_known` a content that exists already is left alone: an upload event may introduce a content, never
    rewrite somebody else's. Where an id appears twice, the last description counts.
    """
    told = {content.content_id: content for content in contents}
    rows = {content_id: _content_row(content) for content_id, content in told.items()}
    if keep_known or not rows:
        return _write(_INSERT_CONTENT, rows)
    with transaction.atomic():
        new = _write(_UPSERT_CONTENT, rows)
        vectors.put({content_id: content.embedding for content_id, content in told.items()}, now=timezone.now())
    return new


def change_content(content_id: str, changes: Mapping[str, Any]) -> bool:
    """Change some facts of a content; keys of `metadata` are changed by name, and None takes one away. False: unknown.

    The row is held meanwhile, so that of two changes at once neither is lost.
    """
    with transaction.atomic():
        content = Content.objects.select_for_update().filter(content_id=content_id).first()
        if content is None:
            return False
        facts = {name: value for name, value in changes.items() if name != "embedding"}
        for name, value in facts.items():
            setattr(content, name, _merged(content.metadata, value) if name == "metadata" else value)
        # Always: whoever reads what changed goes by `updated_at`.
        content.save(update_fields=[*facts, "updated_at"])
        if "embedding" in changes:
            vectors.put({content_id: changes["embedding"]}, now=timezone.now())
    return True


def end_content(content_id: str, *, now: datetime) -> bool:
    """Let a content end now, unless it has ended before; False where there is none. Registering it again revives it."""
    running = Content.objects.filter(content_id=content_id).filter(Q(expires_at=None) | Q(expires_at__gt=now))
    return bool(running.update(expires_at=now, updated_at=now)) or Content.objects.filter(pk=content_id).exists()


def change_profile(user_id: str, changes: Mapping[str, Mapping[str, Any]]) -> bool:
    """Change keys of a user's documents by name, and None takes one away; False for a user without a profile."""
    with transaction.atomic():
        profile = UserProfile.objects.select_for_update().filter(user_id=user_id).first()
        if profile is None:
            return False
        for name, value in changes.items():
            setattr(profile, name, _merged(getattr(profile, name), value))
        profile.save(update_fields=[*changes, "updated_at"])
    return True


def update_profile(profile: NewProfile) -> bool:
    """Add or replace one user's profile; True when the user is new."""
    return update_profiles([profile]) == 1


def update_profiles(profiles: Iterable[NewProfile]) -> int:
    """Add or replace profiles and return how many users were new; the last description of a user counts.

    What was learned from feedback stays unless the new preferences say otherwise.
    """
    now = timezone.now()
    rows = {
        profile.user_id: (profile.user_id, _json(profile.demographics), _json(profile.preferences), now, now)
        for profile in profiles
    }
    return _write(_UPSERT_PROFILE, rows)


def learn_preferences(learned: Mapping[str, Mapping[str, Any]]) -> int:
    """Set `preferences["learned"]` of some users; returns how many profiles changed.

    What the users state stays. Users without a profile are left out, and so is what the host app made no object.
    """
    if not learned:
        return 0
    users = sorted(learned)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE user_profile p SET preferences = p.preferences || jsonb_build_object('learned', u.learned) "
            "FROM unnest(%s::text[], %s::jsonb[]) AS u (user_id, learned) "
            "WHERE p.user_id = u.user_id AND p.preferences->'learned' IS DISTINCT FROM u.learned "
            "AND jsonb_typeof(p.preferences) = 'object'",
            [users, [_json(learned[user]) for user in users]],
        )
        return int(cursor.rowcount)


def revise_preferences(user_id: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Replace the preferences of one user by what `change` makes of them, and return that.

    The row is held meanwhile, so that of two changes at once neither is lost. A user without a profile gets one; where
    nothing changes, nothing is written.
    """
    with transaction.atomic():
        ensure_profiles([user_id])
        profile = UserProfile.objects.select_for_update().get(user_id=user_id)
        known = profile.preferences if isinstance(profile.preferences, dict) else {}
        changed = dict(change(known))
        if changed != known:
            profile.preferences = changed
            profile.save(update_fields=["preferences", "updated_at"])
    return changed


def begin_anew(user_id: str, *, now: datetime) -> datetime:
    """Let nothing that a user did until now choose for them, nor what was learned of it; returns from when on it does.

    An event of a clock that is ahead is in the past as well. Served by the index event_user_recent.
    """
    with transaction.atomic():
        ensure_profiles([user_id])
        profile = UserProfile.objects.select_for_update().get(user_id=user_id)
        newest = Event.objects.filter(user_id=user_id).aggregate(newest=Max("timestamp"))["newest"]
        profile.history_from = now if newest is None else max(now, newest + _TICK)
        if isinstance(profile.preferences, dict):
            profile.preferences.pop("learned", None)
        profile.save(update_fields=["history_from", "preferences", "updated_at"])
        return profile.history_from


def ensure_profiles(user_ids: Collection[str]) -> int:
    """Give every user an empty profile who has none; return how many were new."""
    if not user_ids:
        return 0
    with connection.cursor() as cursor:
        # In one order, so that batches with common users wait for each other; a plan may reorder its input.
        cursor.execute(
            "INSERT INTO user_profile (user_id, demographics, preferences, created_at, updated_at) "
            "SELECT u, '{}', '{}', now(), now() FROM unnest(%s::text[]) u "
            "WHERE NOT EXISTS (SELECT FROM user_profile p WHERE p.user_id = u) ORDER BY u ON CONFLICT DO NOTHING",
            [list(set(user_ids))],
        )
        return int(cursor.rowcount)


def set_moderation_state(content_id: str, *, status: str) -> bool:
    """Make a content active, hidden or removed; True when that changed anything. The next feed obeys."""
    if status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(sorted(STATUSES))}; got {status!r}")
    changed = Content.objects.filter(content_id=content_id).exclude(status=status)
    if changed.update(status=status, updated_at=timezone.now()):
        return True
    if not Content.objects.filter(content_id=content_id).exists():
        raise UnknownContent(f"no content with the id {content_id!r}")
    return False


def impose(
    content_id: str,
    *,
    status: str,
    feed_eligible: bool = True,
    age_rating: str = EVERYONE,
    geo_deny: Collection[str] = (),
) -> bool:
    """Set everything that moderation says of a content at once; True when that changed anything. The next feed obeys.

    What the host app itself says of ages and countries stays and holds as well.
    """
    if status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(sorted(STATUSES))}; got {status!r}")
    if age_rating not in RATINGS:
        raise ValueError(f"age_rating must be one of {', '.join(RATINGS)}; got {age_rating!r}")
    wanted = {
        "status": status,
        "feed_eligible": feed_eligible,
        "imposed_age_rating": age_rating,
        "imposed_geo_deny": sorted(geo_deny),
    }
    if Content.objects.filter(content_id=content_id).exclude(**wanted).update(**wanted, updated_at=timezone.now()):
        return True
    if not Content.objects.filter(content_id=content_id).exists():
        raise UnknownContent(f"no content with the id {content_id!r}")
    return False


def let_in(content_id: str) -> bool:
    """Let a content into feeds that waited for the check of uploads (`UPLOADS_WAIT`); True when it waited."""
    waiting = Content.objects.filter(content_id=content_id, feed_eligible=False)
    return bool(waiting.update(feed_eligible=True, updated_at=timezone.now()))


def note_expired(*, now: datetime) -> int:
    """Mark contents as changed whose end has come since they last changed; returns how many.

    Whoever asks what may be shown needs no mark, as the end is compared with the database's clock each time. This is
    for those who read what changed, which an end that comes by itself does not: snapshots.

    Served by the index content_expires.
    """
    ended = Content.objects.filter(expires_at__lte=now, updated_at__lt=F("expires_at"))
    return ended.update(updated_at=now)


def set_suspension(user_id: str, *, suspended: bool, until: datetime | None = None) -> None:
    """Suspend a user until a moment (None: without an end) or end it; the contents leave or rejoin the next feed."""
    if suspended:
        Suspension.objects.update_or_create(user_id=user_id, defaults={"until": until})
    else:
        Suspension.objects.filter(user_id=user_id).delete()


def _content_row(content: NewContent) -> tuple[object, ...]:
    if content.status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(sorted(STATUSES))}; got {content.status!r}")
    if content.age_rating not in RATINGS:
        raise ValueError(f"age_rating must be one of {', '.join(RATINGS)}; got {content.age_rating!r}")
    return (
        content.content_id,
        content.creator_id,
        content.upload_timestamp,
        _json(content.metadata),
        content.status,
        content.duration_s,
        content.language,
        content.media_url,
        content.thumbnail_url,
        content.age_rating,
        list(content.geo_allow),
        list(content.geo_deny),
        content.expires_at,
        timezone.now(),
        # Only of rows that are new: what moderation said of known ones stays.
        not settings.UPLOADS_WAIT,
    )


def _merged(known: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A document with some keys changed, those that change to None taken out."""
    merged = {**(known if isinstance(known, dict) else {}), **changes}
    return {name: value for name, value in merged.items() if value is not None}


def _json(value: Mapping[str, Any]) -> str:
    return msgspec.json.encode(value).decode()


def _write(statement: str, rows: Mapping[str, Sequence[object]]) -> int:
    """Run one multi-row statement over rows in the order of their keys; count the rows it reports as new."""
    if not rows:
        return 0
    ordered = [rows[key] for key in sorted(rows)]
    # Calls on the driver's own cursor bypass Django, which must still see its errors as its own.
    with transaction.atomic(), connection.wrap_database_errors, connection.cursor() as cursor:
        answers = execute_values(cursor.cursor, statement, ordered, page_size=BATCH_ROWS, fetch=True)
    return sum(1 for (new,) in answers if new)
