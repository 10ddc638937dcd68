"""The queue: claim a case, decide it, take the decision back, let what has an end expire.

A claim is a lease. Two moderators never get the same case: rows that somebody is about to claim are passed over, and a
decision names the version of the case it was made on. Who comes late is told so (409) and has changed nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Q

from dashboards import moderation_log
from dashboards.casework.log import DECISIONS, EXPIRE, LOGGED, REVERSALS, STOP, UNDO
from dashboards.casework.policies import POLICIES
from dashboards.moderation_log import Subject
from dashboards.moderation_models import ModerationAction, ModerationCase
from events import stops
from events.cleaning.audience import is_countries
from events.cleaning.schema import show
from events.errors import ApiError, Conflict, Forbidden, InvalidRequest, NotFound

LEASE: Final = timedelta(minutes=5)
MAX_BULK: Final = 200
MAX_NOTE_CHARS: Final = 2_000
MAX_DURATION_H: Final = 24 * 365
STRIKE_FOR: Final = timedelta(days=90)
SUSPENSION_FOR: Final = timedelta(days=7)
_DEFAULT_ENDS: Final = {"strike": STRIKE_FOR, "suspend": SUSPENSION_FOR}


@dataclass(frozen=True, slots=True)
class Moderator:
    """Who acts: the key of the staff account, and whether it is a lead."""

    id: int
    lead: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided: kinds of `casework.log.DECISIONS`, made and taken back together.

    `duration_h` ends all of them that can end; without it a strike lasts 90 days, a suspension 7, the rest for good.
    """

    kinds: tuple[str, ...]
    policy: str = ""
    note: str = ""
    duration_h: float | None = None
    countries: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in DECISIONS]
        if unknown or not self.kinds or len(set(self.kinds)) < len(self.kinds):
            _refuse(
                f"kinds must be some of {', '.join(DECISIONS)}, each once; got {show(', '.join(self.kinds))}", "kinds"
            )
        restricts = any(DECISIONS[kind].restricts for kind in self.kinds)
        if restricts and not all(DECISIONS[kind].restricts for kind in self.kinds):
            _refuse(f"a decision restricts or it does not; got {', '.join(self.kinds)}", "kinds")
        if self.policy not in POLICIES and (self.policy or restricts):
            _refuse(f"policy must be one of {', '.join(POLICIES)}; got {show(self.policy)}", "policy")
        if len(self.note) > MAX_NOTE_CHARS:
            _refuse(f"note may have {MAX_NOTE_CHARS} characters; it has {len(self.note)}", "note")
        if self.duration_h is not None and not 0 < self.duration_h <= MAX_DURATION_H:
            _refuse(f"duration_h must lie in (0, {MAX_DURATION_H}]; got {self.duration_h}", "duration_h")
        if ("geo_block" in self.kinds) != bool(self.countries) or not is_countries(self.countries):
            _refuse(
                f"geo_block needs countries as in DE, and nothing else does; got {list(self.countries)}", "countries"
            )


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that holds, and the case as it is now."""

    decision_id: UUID
    case: ModerationCase


@dataclass(frozen=True, slots=True)
class BulkReport:
    """What became of each case of a bulk action: the code of the refusal by case, "" where it was decided."""

    batch: UUID
    results: Mapping[int, str] = field(default_factory=dict)


def claim_next(moderator: Moderator, *, now: datetime, skip: Collection[int] = ()) -> ModerationCase | None:
    """The most urgent case that waits and is nobody's, now this moderator's for `LEASE`; None when nothing waits.

    Who holds a case already gets it again, so a repeated request takes no second one. Escalated cases go to leads; an
    appeal never to who made the decision. Served by the index moderation_case_queue.
    """
    statuses = [ModerationCase.Status.OPEN, *([ModerationCase.Status.ESCALATED] if moderator.lead else [])]
    waiting = ModerationCase.objects.filter(status__in=statuses).exclude(case_id__in=list(skip))
    mine = waiting.filter(claimed_by=moderator.id, claim_expires_at__gt=now)
    free = waiting.filter(Q(claimed_by=None) | Q(claim_expires_at__lte=now))
    free = free.exclude(appeals__gt=0, barred__contains=[moderator.id])
    with transaction.atomic():
        for rows in (mine, free):
            ordered = rows.order_by("-priority", "opened_at", "case_id")
            case = ordered.select_for_update(skip_locked=True).first()
            if case is not None:
                return _lease(case, moderator, now=now)
    return None


def claim(case_id: int, moderator: Moderator, *, now: datetime) -> ModerationCase:
    """Take or renew the lease of one case; raises Conflict while somebody else holds it."""
    with transaction.atomic():
        case = _locked(case_id)
        _ensure_free(case, moderator, now=now)
        return _lease(case, moderator, now=now)


def release(case_id: int, moderator: Moderator) -> None:
    """Give a case back; somebody else's claim stays as it is."""
    held = ModerationCase.objects.filter(case_id=case_id, claimed_by=moderator.id)
    held.update(claimed_by=None, claim_expires_at=None)


def decide(
    case_id: int, decision: Decision, moderator: Moderator, *, version: int, now: datetime, batch: UUID | None = None
) -> Decided:
    """Decide a case on the version of it that the moderator saw.

    Raises
    ------
    Conflict
        Somebody else holds it (`claimed_by_other`), or it changed since (`stale_case`).
    InvalidRequest
        A kind does not fit the subject.
    Forbidden
        The case is escalated, and the moderator is no lead.
    """
    subject = _subject_of(case_id)
    with moderation_log.changing(subject):
        case = _locked(case_id)
        _ensure_free(case, moderator, now=now)
        if case.version != version:
            raise Conflict(
                f"the case has changed: you saw version {version}, it is at {case.version}",
                code="stale_case", version=case.version,
            )  # fmt: skip
        if case.status == ModerationCase.Status.ESCALATED and not moderator.lead:
            raise Forbidden("an escalated case is decided by a lead", code="lead_required")
        return _record(subject, decision, moderator, now=now, batch=batch)


def decide_unasked(subject: Subject, decision: Decision, moderator: Moderator, *, now: datetime) -> bool:
    """Decide about something that nobody need have reported; False where the catalogue says so already.

    Raises
    ------
    Conflict : somebody holds its case
    """
    with moderation_log.changing(subject):
        case = ModerationCase.objects.filter(subject_kind=subject.kind, subject_id=subject.id).first()
        if case is not None:
            _ensure_free(case, moderator, now=now)
        before = moderation_log.catalogue_status(subject)
        _record(subject, decision, moderator, now=now)
        return moderation_log.catalogue_status(subject) != before


def _record(
    subject: Subject, decision: Decision, moderator: Moderator, *, now: datetime, batch: UUID | None = None
) -> Decided:
    """Write a decision that may be made; the caller holds the subject."""
    _ensure_fitting(decision, subject)
    decision_id = uuid4()
    for kind in decision.kinds:
        moderation_log.append(
            subject, kind, at=now, actor_id=moderator.id, decision_id=decision_id, batch=batch, policy=decision.policy,
            note=decision.note, expires_at=_end(kind, decision, now),
            data={"countries": sorted(each.upper() for each in decision.countries)} if kind == "geo_block" else {},
        )  # fmt: skip
    return Decided(decision_id, _changed(subject, decision.kinds, now=now))


def undo(decision_id: UUID, moderator: Moderator, *, now: datetime, note: str = "") -> ModerationCase:
    """Take a decision back as if it had never been: the case, the catalogue and the author are as before it.

    Raises
    ------
    NotFound : there is no such decision
    Forbidden : it is somebody else's, and the moderator is no lead
    Conflict : it was taken back already, or has expired
    """
    made = ModerationAction.objects.filter(decision_id=decision_id, kind__in=LOGGED).first()
    if made is None:
        raise NotFound(f"there is no decision {decision_id}", decision_id=str(decision_id))
    if made.actor_id != moderator.id and not moderator.lead:
        raise Forbidden("only a lead takes back what somebody else decided", code="not_your_decision")
    return take_back(decision_id, UNDO, actor_id=moderator.id, now=now, note=note)


def take_back(
    decision_id: UUID, how: str, *, actor_id: int | None, now: datetime, note: str = "", only: int | None = None
) -> ModerationCase:
    """Reverse the entries of a decision that are in force, or `only` one of them; whoever calls checked who may.

    Raises
    ------
    Conflict : nothing of it is in force
    """
    assert how in REVERSALS, how
    made = ModerationAction.objects.filter(decision_id=decision_id, kind__in=LOGGED)[0]
    subject = Subject(made.subject_kind, made.subject_id, made.author_id)
    with moderation_log.changing(subject):
        entries = [each for each in moderation_log.in_force(decision_id) if only in {None, each.pk}]
        if not entries:
            raise Conflict("the decision was taken back already", code="already_taken_back")
        for entry in entries:
            moderation_log.append(
                subject, how, at=now, actor_id=actor_id, decision_id=decision_id, about=entry.pk, note=note,
                policy=entry.policy,
            )  # fmt: skip
            if entry.kind == STOP:
                assert actor_id is not None  # a stop has no end of its own
                # Whoever lifts the stop itself has done so before.
                with suppress(Conflict):
                    stops.lift(entry.data["stop"], by=actor_id, now=now)
        return _changed(subject, [entry.kind for entry in entries], now=now)


def decide_many(
    versions: Mapping[int, int], decision: Decision, moderator: Moderator, *, now: datetime, batch: UUID | None = None
) -> BulkReport:
    """Decide some cases alike, each by itself and in full: a refusal of one is told and stops no other.

    `versions` are the versions seen, by case. All of it can be undone together by the batch of the report. Who gives
    the `batch` of an earlier call goes on with that action, so that a long one can be shown as it proceeds.

    Raises
    ------
    InvalidRequest : there are too many cases, those of the earlier calls included
    Forbidden : the action to go on with is somebody else's
    """
    made = ModerationAction.objects.filter(batch=batch) if batch else ModerationAction.objects.none()
    count = len(versions) + made.values("decision_id").distinct().count()
    if not (versions and count <= MAX_BULK):
        raise InvalidRequest(f"a bulk action takes 1 to {MAX_BULK} cases; got {count}", code="bulk_size")
    if made.exclude(actor_id=moderator.id).exists():
        raise Forbidden("this bulk action is somebody else's", code="not_your_action")
    batch = batch or uuid4()
    results = {}
    for case_id, version in versions.items():
        try:
            decide(case_id, decision, moderator, version=version, now=now, batch=batch)
            results[case_id] = ""
        except ApiError as refusal:
            results[case_id] = refusal.code
    return BulkReport(batch, results)


def undo_many(batch: UUID, moderator: Moderator, *, now: datetime) -> BulkReport:
    """Take back all decisions of a bulk action that are in force; raises NotFound where there is no such action."""
    made = ModerationAction.objects.filter(batch=batch).order_by("decision_id").distinct("decision_id")
    if not made:
        raise NotFound(f"there is no bulk action {batch}", batch=str(batch))
    results = {}
    for entry in made:
        assert entry.decision_id is not None  # a constraint of the table
        try:
            results[undo(entry.decision_id, moderator, now=now).case_id] = ""
        except Conflict as refusal:
            case = ModerationCase.objects.get(subject_kind=entry.subject_kind, subject_id=entry.subject_id)
            results[case.case_id] = refusal.code
    return BulkReport(batch, results)


def expire_due(*, now: datetime) -> int:
    """End what has come to its end by now; returns how many entries that were. Running it again ends nothing twice."""
    due = ModerationAction.objects.filter(expires_at__lte=now).order_by("id")
    over = ModerationAction.objects.filter(kind__in=REVERSALS).values("about")
    ended = 0
    for entry in due.exclude(pk__in=over):
        assert entry.decision_id is not None  # a constraint of the table
        try:
            take_back(entry.decision_id, EXPIRE, actor_id=None, now=now, only=entry.pk)
            ended += 1
        except Conflict:
            # Somebody took it back at this very moment.
            continue
    return ended


def _changed(subject: Subject, kinds: Sequence[str], *, now: datetime) -> ModerationCase:
    """The case after new entries; nobody holds it any more. The author follows where it is about them."""
    case = moderation_log.derive(subject)
    case.claimed_by = case.claim_expires_at = None
    case.save(update_fields=["claimed_by", "claim_expires_at"])
    if any(DECISIONS[kind].of_author or kind == "restore" for kind in kinds if kind in DECISIONS):
        moderation_log.hold_author(subject.author_id)
        moderation_log.derive_author(subject.author_id, now=now)
    return case


def _ensure_fitting(decision: Decision, subject: Subject) -> None:
    for kind in decision.kinds:
        known = DECISIONS[kind]
        if subject.kind not in known.subjects:
            _refuse(f"{kind} is for {', '.join(known.subjects)}; the case is about a {subject.kind}", "kinds")
        if known.of_author and not subject.author_id:
            _refuse(f"{kind} needs an author, and nobody knows that of {show(subject.id)}", "kinds")


def _end(kind: str, decision: Decision, now: datetime) -> datetime | None:
    if not DECISIONS[kind].timed:
        return None
    if decision.duration_h is not None:
        return now + timedelta(hours=decision.duration_h)
    return now + _DEFAULT_ENDS[kind] if kind in _DEFAULT_ENDS else None


def _subject_of(case_id: int) -> Subject:
    row = ModerationCase.objects.filter(case_id=case_id).values_list("subject_kind", "subject_id", "author_id").first()
    if row is None:
        raise NotFound(f"there is no case {case_id}", case_id=case_id)
    return Subject(*row)


def _locked(case_id: int) -> ModerationCase:
    case = ModerationCase.objects.select_for_update().filter(case_id=case_id).first()
    if case is None:
        raise NotFound(f"there is no case {case_id}", case_id=case_id)
    return case


def _ensure_free(case: ModerationCase, moderator: Moderator, *, now: datetime) -> None:
    """Raise Conflict while somebody else's lease runs; a lease that is over binds nobody."""
    if case.claimed_by in {None, moderator.id} or (case.claim_expires_at and case.claim_expires_at <= now):
        return
    raise Conflict("somebody else is at this case", code="claimed_by_other", until=str(case.claim_expires_at))


def _lease(case: ModerationCase, moderator: Moderator, *, now: datetime) -> ModerationCase:
    case.claimed_by, case.claim_expires_at = moderator.id, now + LEASE
    case.save(update_fields=["claimed_by", "claim_expires_at"])
    return case


def _refuse(message: str, field_name: str) -> Any:
    raise InvalidRequest(message, code="invalid_decision", field=field_name)
