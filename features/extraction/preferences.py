"""Explicit feedback as preferences: one small step for every deliberate gesture.

    p <- p + 0.25 * (sign - p)

Praise (like, comment, save, share, follow) pulls the preference for the content's category, creator and language
towards 1, refusal (hide, report, and what takes praise back) towards -1. The last gestures count most, no number of
likes goes beyond 1, and a change of mind shows after two or three of them. The source design asks for
`adjust_preferences(preferences, feedback)` without saying how; this is an exponential mean of signs.

The same step keeps the profile current (`features.preferences`) and is replayed over a history by the features, so
that training sees what was known at the moment.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from events.cleaning.schema import EVENT_TYPES

STEP: Final = 0.25
KEPT: Final = 50
"""Preferences of one kind that a profile keeps: the strongest."""
SIGN: Final = {
    "like": 1.0, "comment": 1.0, "save": 1.0, "share": 1.0, "follow": 1.0, "unhide": 1.0,
    "unlike": -1.0, "unsave": -1.0, "unfollow": -1.0, "hide": -1.0, "report": -1.0,
}  # fmt: skip
EXPLICIT: Final = tuple(SIGN)
"""Event types that are feedback."""
SIGN_OF: Final[NDArray[np.float64]] = np.array([SIGN.get(name, 0.0) for name in EVENT_TYPES])

Learned = dict[str, dict[str, float]]
"""Kind ("categories", "creators", "languages") to id to preference in -1..1."""


class Feedback(NamedTuple):
    """One deliberate gesture; "" where unknown."""

    event_type: str
    category: str = ""
    creator: str = ""
    language: str = ""


def adjust_preferences(preferences: Mapping[str, Mapping[str, float]], feedback: Iterable[Feedback]) -> Learned:
    """Learned preferences after some feedback, oldest first; what is no feedback changes nothing.

    >>> adjust_preferences({}, [Feedback("like", "cooking"), Feedback("like", "cooking"), Feedback("view", "cars")])
    {'categories': {'cooking': 0.4375}, 'creators': {}, 'languages': {}}
    """
    learned = {kind: dict(preferences.get(kind, {})) for kind in ("categories", "creators", "languages")}
    for each in feedback:
        sign = SIGN.get(each.event_type)
        if sign is None:
            continue
        for kind, name in (("categories", each.category), ("creators", each.creator), ("languages", each.language)):
            if name:
                learned[kind][name] = stepped(learned[kind].get(name, 0.0), sign)
    return {kind: _strongest(values) for kind, values in learned.items()}


def stepped(preference: float, sign: float) -> float:
    """One step towards the sign."""
    return preference + STEP * (sign - preference)


def preference_of(code: NDArray[np.int32] | NDArray[np.int64], event_type: NDArray[np.uint8]) -> dict[int, float]:
    """The same replayed over the events of one user, oldest first: code (of a category, a creator) to preference.

    >>> like, hide = EVENT_TYPES.index("like"), EVENT_TYPES.index("hide")
    >>> preference_of(np.array([3, -1, 3]), np.array([like, like, hide], np.uint8))
    {3: -0.0625}
    """
    told = np.flatnonzero((SIGN_OF[event_type] != 0.0) & (code >= 0))
    found: dict[int, float] = {}
    for each, sign in zip(code[told].tolist(), SIGN_OF[event_type[told]].tolist(), strict=True):
        found[each] = stepped(found.get(each, 0.0), sign)
    return found


def _strongest(values: dict[str, float]) -> dict[str, float]:
    kept = sorted(values.items(), key=lambda item: (-abs(item[1]), item[0]))[:KEPT]
    return {name: round(value, 6) for name, value in sorted(kept)}
