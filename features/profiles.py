"""User profiles as features read them."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings

from events import queries
from features.extraction.profile import Profile, read_profile
from features.extraction.temporal import zone_of


def read(user_id: str) -> Profile:
    """One user's profile; a stranger's, by the project's clock, where there is none. One query by primary key."""
    row = queries.profile(user_id)
    return stranger() if row is None else _of(row)


def read_many(user_ids: Collection[str]) -> dict[str, Profile]:
    """The same for many users, by id; one query."""
    known = queries.profiles(user_ids)
    nobody = stranger()
    return {each: _of(known[each]) if each in known else nobody for each in user_ids}


def stranger() -> Profile:
    """The profile of a user nobody knows."""
    return read_profile({}, {}, since=0.0, default_zone=_default_zone())


def from_documents(
    demographics: Mapping[str, Any], preferences: Mapping[str, Any], *, changed_at: datetime | None
) -> Profile:
    """The profile that two documents make, for whoever has read them already; None dates those of a stranger."""
    since = 0.0 if changed_at is None else changed_at.timestamp()
    return read_profile(demographics, preferences, since=since, default_zone=_default_zone())


def _of(row: Mapping[str, Any]) -> Profile:
    documents = [row[name] if isinstance(row[name], dict) else {} for name in ("demographics", "preferences")]
    return from_documents(*documents, changed_at=row["updated_at"])


def _default_zone() -> Any:
    return zone_of(settings.REPORTING_TIME_ZONE) or zone_of("UTC")
