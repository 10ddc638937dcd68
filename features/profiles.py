"""User profiles as features read them."""

from collections.abc import Collection, Mapping
from dataclasses import replace
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
    return from_documents({}, {})


def from_documents(demographics: Mapping[str, Any], preferences: Mapping[str, Any]) -> Profile:
    """The profile that two documents make now, for whoever has read them already and asks for no moment of the past."""
    return read_profile(demographics, preferences, default_zone=_default_zone())


def _of(row: Mapping[str, Any]) -> Profile:
    """A profile with its past, as the trigger of migration 0012 keeps it."""
    now = _at_some_time(row)
    unknown = Profile(now.zone)
    earlier = tuple(
        (float(each["until"]), unknown if each["stated"] is None else _at_some_time(each["stated"]))
        for each in row["stated_before"]
    )
    return replace(now, since=row["created_at"].timestamp(), earlier=earlier)


def _at_some_time(documents: Mapping[str, Any]) -> Profile:
    """What the host app made no object says nothing."""
    known = [documents[name] if isinstance(documents[name], dict) else {} for name in ("demographics", "preferences")]
    return from_documents(*known)


def _default_zone() -> Any:
    return zone_of(settings.REPORTING_TIME_ZONE) or zone_of("UTC")
