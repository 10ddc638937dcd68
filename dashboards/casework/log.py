"""What a log of actions says: the standing of a subject and of an author, folded from the entries in force.

    decisions   set something: hide, remove, ..., also what the system does by itself (`auto_hide`)
    reversals   take one entry back: `undo` as if it had never been, `overturn` after an appeal, `expire` when its time
                is over
    appeal      the author objects to a decision; `uphold` and `overturn` are the answers
    report      somebody complains; these are tallied, not folded (`priority.Tally`)
    screening   what the automatic check says of an upload: `flag` asks for a look, `quarantine` and `hold` hide until
                somebody has looked, the latter because the check itself could not
    stop        an emergency stop of the content or of all of the user; the stop itself hides, the entry tells of it

Taking an entry back means folding without it. So every action has an inverse that restores what was before, in
whatever order the actions are taken back, and the same log always gives the same standing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

REPORT: Final = "report"
AUTO_HIDE: Final = "auto_hide"
FLAG, HOLD, QUARANTINE = "flag", "hold", "quarantine"
SCREENINGS: Final = (FLAG, HOLD, QUARANTINE)
STOP: Final = "stop"
ESCALATE: Final = "escalate"
APPEAL: Final = "appeal"
UPHOLD: Final = "uphold"
UNDO, EXPIRE, OVERTURN = "undo", "expire", "overturn"
REVERSALS: Final = (UNDO, EXPIRE, OVERTURN)
SUBJECTS: Final = ("content", "comment", "user")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of decision.

    Attributes
    ----------
    title : as a button says it
    subjects : what it can be decided about
    restricts : it limits somebody, so it needs a policy and a statement of reasons, and can be appealed against
    timed : it may end by itself
    of_author : it is about the author of the subject, not about the subject
    """

    title: str
    subjects: tuple[str, ...]
    restricts: bool = True
    timed: bool = True
    of_author: bool = False


_PLACES: Final = ("content", "comment")
DECISIONS: Final[Mapping[str, Kind]] = {
    "approve": Kind("Approve", SUBJECTS, restricts=False, timed=False),
    "hide": Kind("Hide", _PLACES),
    "remove": Kind("Remove", _PLACES),
    "age_restrict": Kind("Adults only", ("content",)),
    "geo_block": Kind("Block in countries", ("content",)),
    "feed_ineligible": Kind("Keep out of feeds", ("content",)),
    "warn": Kind("Warn the author", SUBJECTS, timed=False, of_author=True),
    "strike": Kind("Strike", SUBJECTS, of_author=True),
    "suspend": Kind("Suspend the author", SUBJECTS, of_author=True),
    "restore": Kind("Restore", SUBJECTS, restricts=False, timed=False),
    ESCALATE: Kind("Escalate", SUBJECTS, restricts=False, timed=False),
}
LOGGED: Final = (*DECISIONS, AUTO_HIDE, *SCREENINGS, STOP)
"""What a reversal can take back."""
HOLDING: Final = (AUTO_HIDE, HOLD, QUARANTINE)
"""What the system hides by itself."""
RESTRICTIONS: Final = (*(name for name, kind in DECISIONS.items() if kind.restricts), *HOLDING, STOP)
SETTLING: Final = tuple(name for name in DECISIONS if name != ESCALATE)
AGREED, DISAGREED = "agreed", "disagreed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log, as far as folding needs it; `about` is the entry that a reversal takes back."""

    id: int
    kind: str
    at: datetime
    subject_kind: str = "content"
    actor_id: int | None = None
    policy: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    expires_at: datetime | None = None
    about: int | None = None
    decision_id: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds for a subject.

    Attributes
    ----------
    status : active, hidden or removed, by the decisions in force
    held : hidden by the system until a human has looked
    age_restricted, blocked_countries, feed_eligible : what limits an active content
    flags : policy to score, of what the automatic check asks somebody to look at
    escalated : a lead is asked for
    version : id of the newest entry that is no report; whoever decides names the one they saw
    settled : id of the newest decision that answers the reports before it; 0 for none
    verdict : whether it agreed with them
    appealed : decision id to the policy of each decision whose appeal waits
    barred : who decided these, and so must not judge the appeal
    """

    status: str = "active"
    held: bool = False
    age_restricted: bool = False
    blocked_countries: tuple[str, ...] = ()
    feed_eligible: bool = True
    flags: Mapping[str, float] = field(default_factory=dict)
    escalated: bool = False
    version: int = 0
    settled: int = 0
    settled_at: datetime | None = None
    verdict: str = ""
    appealed: Mapping[str, str] = field(default_factory=dict)
    appealed_at: datetime | None = None
    barred: tuple[int, ...] = ()

    @property
    def shown_status(self) -> str:
        """The status that the catalogue is told."""
        return "hidden" if self.held and self.status == "active" else self.status


@dataclass(frozen=True, slots=True)
class AuthorStanding:
    """What holds for an author: `until` None while suspended is without an end."""

    warnings: int = 0
    strikes: int = 0
    suspended: bool = False
    until: datetime | None = None


def fold(entries: Sequence[Entry], *, base: str = "active") -> Standing:
    """The standing of a subject after its entries, in order of their ids; reports among them are passed over.

    `base` is the status that the catalogue had before the first entry.

    >>> day = datetime(2026, 11, 25)
    >>> log = [Entry(1, "hide", day), Entry(2, "remove", day), Entry(3, "undo", day, about=1)]
    >>> fold(log[:2]).status, fold(log).status, fold([*log, Entry(4, "undo", day, about=2)]).status
    ('removed', 'removed', 'active')
    """
    taken_back = {entry.about: entry.kind for entry in entries if entry.kind in REVERSALS}
    standing = Standing(status=base)
    for entry in entries:
        if entry.kind == REPORT:
            continue
        standing = replace(standing, version=entry.id)
        how = taken_back.get(entry.id, "")
        if entry.kind not in LOGGED or how == UNDO:
            continue
        if entry.kind in SETTLING:
            verdict = AGREED if DECISIONS[entry.kind].restricts and how != OVERTURN else DISAGREED
            standing = replace(
                standing, settled=entry.id, settled_at=entry.at, verdict=verdict, held=False, flags={}, escalated=False
            )
        if not how:
            standing = _applied(standing, entry)
    return _with_appeals(standing, entries)


def fold_author(entries: Iterable[Entry], *, now: datetime) -> AuthorStanding:
    """The standing of an author after the entries about them; what is past its end no longer counts.

    >>> day = datetime(2026, 11, 25)
    >>> fold_author([Entry(1, "strike", day), Entry(2, "suspend", day, subject_kind="user")], now=day)
    AuthorStanding(warnings=0, strikes=1, suspended=True, until=None)
    """
    entries = list(entries)
    taken_back = {entry.about for entry in entries if entry.kind in REVERSALS}
    warnings, strikes = 0, 0
    suspensions: list[datetime | None] = []
    for entry in entries:
        over = entry.expires_at is not None and entry.expires_at <= now
        if entry.id in taken_back or over:
            continue
        warnings += entry.kind == "warn"
        strikes += entry.kind == "strike"
        if entry.kind == "suspend":
            suspensions.append(entry.expires_at)
        elif entry.kind == "restore" and entry.subject_kind == "user":
            suspensions = []
    ends = [end for end in suspensions if end is not None]
    return AuthorStanding(warnings, strikes, bool(suspensions), max(ends) if ends and len(ends) == len(suspensions)
                          else None)  # fmt: skip


_SETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "approve": {"status": "active"},
    "hide": {"status": "hidden"},
    "remove": {"status": "removed"},
    "age_restrict": {"age_restricted": True},
    "feed_ineligible": {"feed_eligible": False},
    "restore": {"status": "active", "age_restricted": False, "blocked_countries": (), "feed_eligible": True},
    AUTO_HIDE: {"held": True},
    HOLD: {"held": True},
    QUARANTINE: {"held": True},
    ESCALATE: {"escalated": True},
}
"""What a kind sets of the standing; those about the author set nothing of it."""


def _applied(standing: Standing, entry: Entry) -> Standing:
    """The standing after one entry that is in force; countries add up."""
    if entry.kind == "geo_block":
        countries = {*standing.blocked_countries, *entry.data.get("countries", ())}
        return replace(standing, blocked_countries=tuple(sorted(countries)))
    if entry.kind in SCREENINGS:
        score = max(float(entry.data.get("score", 0.0)), standing.flags.get(entry.policy, 0.0))
        standing = replace(standing, flags={**standing.flags, entry.policy: score})
    return replace(standing, **_SETS.get(entry.kind, {}))


def _with_appeals(standing: Standing, entries: Sequence[Entry]) -> Standing:
    """Add the appeals that wait: those that nobody answered, against decisions of which something is in force."""
    taken_back = {entry.about for entry in entries if entry.kind in REVERSALS}
    upheld = {entry.decision_id for entry in entries if entry.kind == UPHOLD}
    holding = [entry for entry in entries if entry.kind in LOGGED and entry.id not in taken_back]
    open_ids = {entry.decision_id for entry in holding} - upheld
    waiting = [entry for entry in entries if entry.kind == APPEAL and entry.decision_id in open_ids]
    ids = {entry.decision_id for entry in waiting}
    decided = [entry for entry in holding if entry.decision_id in ids]
    return replace(
        standing,
        appealed={entry.decision_id: entry.policy for entry in decided},
        appealed_at=min((entry.at for entry in waiting), default=None),
        barred=tuple(sorted({entry.actor_id for entry in decided if entry.actor_id is not None})),
    )
