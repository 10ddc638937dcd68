"""The names of what is counted per hour and day: columns of the rollups, in their order.

All are sums of whole numbers, so neither the order of events nor how a range is cut changes a figure; `users` and
`publishers` are distinct within their hour or day and are never added up.
"""

from typing import Final

from events.cleaning.schema import EVENT_TYPES

OF_KIND: Final = {
    "views": "view", "completes": "complete_view", "replays": "replay", "skips": "skip", "likes": "like",
    "comments": "comment", "shares": "share", "saves": "save", "follows": "follow", "unlikes": "unlike",
    "unsaves": "unsave", "unfollows": "unfollow", "hides": "hide", "reports": "report", "uploads": "content_upload",
}  # fmt: skip
"""Counts of one event type each."""
OF_EVENTS: Final = (
    "events", *OF_KIND, "impressions", "clicked", "engaged", "unattributed", "watch_ms", "night_ms", "regretted_ms",
)  # fmt: skip
OF_SESSIONS: Final = (
    "sessions", "session_ms", "watched_sessions", "engaged_sessions", "long_sessions", "session_views",
)  # fmt: skip
DISTINCT: Final = ("users", "publishers")
ADDITIVE: Final = (*OF_EVENTS, *OF_SESSIONS)
MEASURES: Final = (*ADDITIVE, *DISTINCT)

CLICK_WATCH_S: Final = 2.0
"""An autoplay feed has no click; a view of this length stands for one."""
ENGAGEMENTS: Final = ("like", "comment", "share", "save", "follow")
KEY_EVENTS: Final = (*ENGAGEMENTS, "complete_view")
PASSIVE: Final = ("impression", "content_upload")
"""Neither being shown something nor publishing makes a user active: K1 leaves out impressions and what servers send."""
REFUSALS: Final = ("hide", "report")
ENGAGED_SESSION_MS: Final = 10_000
ENGAGED_SESSION_VIEWS: Final = 2
LONG_SESSION_MS: Final = 2 * 3_600_000
NIGHT_HOURS: Final = range(5)
"""Local hours, from midnight to five."""


def codes(*kinds: str) -> list[int]:
    """Codes of event types."""
    return [EVENT_TYPES.index(kind) for kind in kinds]
