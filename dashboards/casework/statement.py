"""The statement of reasons that goes with every restriction, in the words of Article 17 of the Digital Services Act.

The field names and codes follow the Commission's transparency database as far as its public pages show them. It names
no moderator and no reporter.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from dashboards.casework.log import HOLDING, SUBJECTS
from dashboards.casework.policies import POLICIES

APPEAL_DAYS: Final = 183
"""An author may object for six months (Article 20)."""
TOLD_OF: Final = (*SUBJECTS, "tag", "sound")
"""What a statement may be about: an emergency stop of a tag or a sound reaches whoever has contents with it."""
_VISIBILITY: Final[Mapping[str, str]] = {
    "auto_hide": "DECISION_VISIBILITY_CONTENT_DISABLED",
    "hold": "DECISION_VISIBILITY_CONTENT_DISABLED",
    "quarantine": "DECISION_VISIBILITY_CONTENT_DISABLED",
    "hide": "DECISION_VISIBILITY_CONTENT_DISABLED",
    "remove": "DECISION_VISIBILITY_CONTENT_REMOVED",
    "age_restrict": "DECISION_VISIBILITY_CONTENT_AGE_RESTRICTED",
    "geo_block": "DECISION_VISIBILITY_CONTENT_DISABLED",
    "feed_ineligible": "DECISION_VISIBILITY_CONTENT_DEMOTED",
    "stop": "DECISION_VISIBILITY_CONTENT_DISABLED",
}
_SAYS: Final[Mapping[str, str]] = {
    "auto_hide": "was hidden because of reports until somebody has looked at it",
    "hold": "waits until somebody has looked at it",
    "quarantine": "was hidden by an automatic check until somebody has looked at it",
    "hide": "was hidden",
    "remove": "was removed",
    "age_restrict": "is shown to adults only",
    "geo_block": "is not shown in some countries",
    "feed_ineligible": "is no longer recommended in feeds",
    "warn": "led to a warning",
    "strike": "led to a strike against your account",
    "suspend": "led to the suspension of your account",
    "stop": "was taken out of every feed, list and page in an emergency",
}
_THINGS: Final = {
    "content": "Your content", "comment": "Your comment", "user": "Your profile", "tag": "Every content with this tag",
    "sound": "Every content with this sound",
}  # fmt: skip


def statement(
    *,
    puid: str,
    kind: str,
    policy: str,
    subject_kind: str,
    decided_at: datetime,
    expires_at: datetime | None,
    countries: tuple[str, ...],
    after_report: bool,
    appealable: bool = True,
) -> dict[str, Any]:
    """One restriction as a statement of reasons. What is stopped of everybody ends for all of them or for none, so
    there is no appeal by one of them.

    >>> day = datetime(2026, 11, 25)
    >>> made = statement(
    ...     puid="p",
    ...     kind="hide",
    ...     policy="spam",
    ...     subject_kind="content",
    ...     decided_at=day,
    ...     expires_at=None,
    ...     countries=(),
    ...     after_report=True,
    ... )
    >>> made["explanation"], made["decision_visibility"], made["automated_decision"]
    ('Your content was hidden. It is spam or a scam.', 'DECISION_VISIBILITY_CONTENT_DISABLED', 'NOT_AUTOMATED')
    """
    rule = POLICIES[policy]
    automated = kind in HOLDING
    because = "The automatic check could not look at all of it." if kind == "hold" else rule.sentence
    if not appealable:
        because = "It ends when the danger is over."
    return {
        "puid": puid,
        "decision_visibility": _VISIBILITY.get(kind),
        "decision_account": "DECISION_ACCOUNT_SUSPENDED" if kind == "suspend" else None,
        "decision_ground": "DECISION_GROUND_ILLEGAL_CONTENT"
        if rule.illegal
        else "DECISION_GROUND_INCOMPATIBLE_CONTENT",
        "policy": policy,
        "explanation": f"{_THINGS[subject_kind]} {_SAYS[kind]}. {because}",
        "territorial_scope": list(countries) or None,
        "application_date": decided_at,
        "end_date": expires_at,
        "source_type": "SOURCE_ARTICLE_16" if after_report else "SOURCE_VOLUNTARY",
        "automated_detection": automated,
        "automated_decision": "AUTOMATED_DECISION_FULLY" if automated else "NOT_AUTOMATED",
        "redress": f"You can object within {APPEAL_DAYS} days; somebody else decides then."
        if appealable
        else "Write to whoever runs this service.",
    }
