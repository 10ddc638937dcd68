"""Hand the past of a device on to the user who logged in on it.

What the log, the refusals of dropped months and the sessions say of the device is said of the user from then on, as if
the user had been logged in all along; triggers of the log note the hours, so that everything derived is counted again.
Event ids stay taken, so what the device sends twice still counts once. Lists of the device's preferences are joined to
the user's, whose switches and languages stay; its profile goes. Of too much that is liked the device's comes first;
of too much that is muted or blocked nothing may be lost, so the merge is refused. What
the device sends later stays the device's until it
is merged again.
"""

from dataclasses import dataclass
from typing import Final

from django.db import connection, transaction

from events import catalogue
from events.cleaning.preferences import LISTS, MOST_NAMES, as_document, read_preferences
from events.models import UserProfile
from events.preferences import TooManyNames

_JOINED: Final = tuple(name for name in LISTS if name != "languages")


@dataclass(frozen=True, slots=True)
class MergeReport:
    """How many events changed hands, and whether the device had stated anything."""

    events: int
    stated: bool


def take_over(device_id: str, user_id: str) -> MergeReport:
    """Hand everything on; zero where there is nothing, so it is safe to repeat.

    Served by the indexes event_user_recent and refusal_user.

    Raises
    ------
    TooManyNames : both together mute or block more than a list has room for; nothing was handed on
    """
    with transaction.atomic():
        moved = 0
        with connection.cursor() as cursor:
            for table in ("event", "refusal"):
                cursor.execute(f"UPDATE {table} SET user_id = %s WHERE user_id = %s", [user_id, device_id])  # noqa: S608
                moved += cursor.rowcount
        return MergeReport(moved, _take_over_preferences(device_id, user_id))


def _take_over_preferences(device_id: str, user_id: str) -> bool:
    profile = UserProfile.objects.select_for_update().filter(user_id=device_id).first()
    if profile is None:
        return False
    device = as_document(read_preferences(profile.preferences))
    stated = {name: device[name] for name in _JOINED if device[name]}
    if stated:
        catalogue.revise_preferences(
            user_id,
            lambda known: {
                **known,
                **{
                    name: _joined(name, as_document(read_preferences(known))[name], names)
                    for name, names in stated.items()
                },
            },
        )
    profile.delete()
    return bool(stated)


def _joined(field: str, known: list[str], added: list[str]) -> list[str]:
    joined = list(dict.fromkeys([*known, *added]))
    if len(joined) <= MOST_NAMES:
        return joined
    if field.startswith("liked_"):
        return list(dict.fromkeys([*added, *known]))[:MOST_NAMES]
    if len(joined) == len(known):
        return known
    raise TooManyNames(field)
