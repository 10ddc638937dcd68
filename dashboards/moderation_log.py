"""The moderation log and what follows from it: append an entry, derive the case, tell the catalogue.

Everything that changes a case goes through `changing`, which holds the subject, and `derive`, which makes the case
again from the log. So the live rows and those of `replay` cannot differ.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet

from dashboards.casework.log import LOGGED, REPORT, AuthorStanding, Entry, Standing, fold, fold_author
from dashboards.casework.priority import Tally, priority
from dashboards.moderation_models import ModerationAction, ModerationCase, Report
from events import catalogue, queries
from events.cleaning.audience import EVERYONE

ADULTS: Final = "18"
_TALLY: Final = """
    SELECT data->>'reason', count(*), sum((data->>'weight')::float8), min(at),
           (array_agg((data->>'viewers')::int ORDER BY id DESC) FILTER (WHERE data ? 'viewers'))[1],
           (array_agg((data->>'strikes')::int ORDER BY id DESC))[1], max(id)
    FROM moderation_action
    WHERE subject_kind = %s AND subject_id = %s AND id > %s AND kind = 'report' GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a case is about: a content, a comment or a user, with its author."""

    kind: str
    id: str
    author_id: str = ""


@contextmanager
def changing(subject: Subject) -> Iterator[None]:
    """Hold a subject until the transaction ends, so that of two changes at once one sees the other."""
    with transaction.atomic():
        _hold(f"moderation {subject.kind} {subject.id}")
        yield


def append(subject: Subject, kind: str, *, at: datetime, **fields: Any) -> ModerationAction:
    """Write one entry; the first one about a subject keeps what status the catalogue had before it."""
    data = dict(fields.pop("data", {}))
    if not _about(subject).exists():
        data["base"] = catalogue_status(subject)
    return ModerationAction.objects.create(
        subject_kind=subject.kind, subject_id=subject.id, author_id=subject.author_id, kind=kind, at=at, data=data,
        **fields,
    )  # fmt: skip


def derive(subject: Subject) -> ModerationCase:
    """Make the case of a subject from its log, and bring the catalogue in line where the log says something new."""
    case_id, first_at, base = _first(subject)
    standing = _standing(subject, base)
    case = ModerationCase.objects.filter(case_id=case_id).first()
    answered, effect = (case.settled, case.verdict) if case else (0, ""), _effect(case, base)
    columns = _columns(subject, standing, first_at)
    if case is None:
        case = ModerationCase(case_id=case_id, subject_kind=subject.kind, subject_id=subject.id)
    for name, value in columns.items():
        setattr(case, name, value)
    # A claim may change at this moment, so the other columns are left alone.
    case.save(force_insert=True) if case._state.adding else case.save(update_fields=list(columns))
    if answered != (standing.settled, standing.verdict):
        _settle_reports(subject, standing)
    if subject.kind == "content" and effect != _effect(case, base):
        _tell_catalogue(subject, standing)
    return case


def _columns(subject: Subject, standing: Standing, first_at: datetime) -> dict[str, Any]:
    """The derived columns of a case."""
    tally, reported_at = _tally(subject, standing.settled)
    is_open = bool(tally.reports or standing.held or standing.appealed or standing.escalated or standing.flags)
    appealed = {policy: 1 for policy in standing.appealed.values() if policy}
    parts = priority(tally, held=standing.held, appealed=appealed, flags=standing.flags) if is_open else {}
    status = ModerationCase.Status.ESCALATED if standing.escalated else ModerationCase.Status.OPEN
    moments = [moment for moment in (reported_at, standing.appealed_at) if moment is not None]
    return {
        "author_id": subject.author_id,
        "status": status if is_open else ModerationCase.Status.CLOSED,
        "version": standing.version,
        "shown_status": standing.shown_status,
        "held": standing.held,
        "flags": dict(standing.flags),
        "age_restricted": standing.age_restricted,
        "blocked_countries": list(standing.blocked_countries),
        "feed_eligible": standing.feed_eligible,
        "reports": tally.reports,
        "report_weight": tally.weight,
        "reasons": dict(tally.reasons),
        "appeals": len(standing.appealed),
        "barred": list(standing.barred),
        "priority": round(sum(parts.values()), 3),
        "priority_parts": parts,
        "settled": standing.settled,
        "verdict": standing.verdict,
        "settled_at": standing.settled_at,
        "opened_at": min(moments, default=first_at),
    }


def derive_author(author_id: str, *, now: datetime) -> AuthorStanding:
    """Fold what was decided about an author, and suspend or readmit them where that is new."""
    standing = author_standing(author_id, now=now)
    if author_id:
        catalogue.set_suspension(author_id, suspended=standing.suspended, until=standing.until)
    return standing


def hold_author(author_id: str) -> None:
    """Hold an author until the transaction ends; always after the subject, so that nobody waits in a circle."""
    _hold(f"moderation author {author_id}")


def author_standing(author_id: str, *, now: datetime) -> AuthorStanding:
    """What holds for an author at a moment. Served by the index moderation_action_author."""
    rows = ModerationAction.objects.filter(author_id=author_id).exclude(kind=REPORT).order_by("id")
    return fold_author(_entries(rows), now=now) if author_id else AuthorStanding()


def standing_of(subject: Subject) -> Standing:
    """What holds for a subject that the log knows."""
    return _standing(subject, _first(subject)[2])


def replay(*, now: datetime) -> int:
    """Forget every case and every suspension and make them again from the log; returns how many cases there are.

    Claims are forgotten with them. The catalogue is told everything once more.
    """
    with transaction.atomic():
        ModerationCase.objects.all().delete()
        Report.objects.update(outcome="")
        names = ("subject_kind", "subject_id")
        newest = ModerationAction.objects.order_by(*names, "-id").distinct(*names)
        subjects = [Subject(*row) for row in newest.values_list(*names, "author_id")]
        for subject in subjects:
            derive(subject)
            if subject.kind == "content":
                _tell_catalogue(subject, standing_of(subject))
        for author_id in ModerationAction.objects.exclude(author_id="").values_list("author_id", flat=True).distinct():
            derive_author(author_id, now=now)
    return len(subjects)


def catalogue_status(subject: Subject) -> str:
    """The status that the catalogue has of a content; what is no content of it counts as active."""
    card = queries.content_cards([subject.id]).get(subject.id) if subject.kind == "content" else None
    return card.status if card else "active"


def in_force(decision_id: UUID) -> list[ModerationAction]:
    """The entries of a decision that nothing has taken back yet, in order."""
    entries = ModerationAction.objects.filter(decision_id=decision_id, kind__in=LOGGED).order_by("id")
    gone = set(
        ModerationAction.objects.filter(about__in=[entry.pk for entry in entries]).values_list("about", flat=True)
    )
    return [entry for entry in entries if entry.pk not in gone]


def in_force_of(subject: Subject) -> list[ModerationAction]:
    """The decisions about a subject that nothing has taken back yet, in order."""
    taken = ModerationAction.objects.filter(about__isnull=False).values("about")
    return list(_about(subject).filter(kind__in=LOGGED).exclude(pk__in=taken).order_by("id"))


def _about(subject: Subject) -> QuerySet[ModerationAction]:
    return ModerationAction.objects.filter(subject_kind=subject.kind, subject_id=subject.id)


def _entries(rows: Iterable[ModerationAction]) -> list[Entry]:
    return [
        Entry(
            row.pk, row.kind, row.at, row.subject_kind, row.actor_id, row.policy, row.data, row.expires_at, row.about,
            str(row.decision_id or ""),
        )
        for row in rows
    ]  # fmt: skip


def _tally(subject: Subject, settled: int) -> tuple[Tally, datetime | None]:
    """The reports after the newest decision, and when the first of them came."""
    with connection.cursor() as cursor:
        cursor.execute(_TALLY, [subject.kind, subject.id, settled])
        rows = cursor.fetchall()
    if not rows:
        return Tally(), None
    newest = max(rows, key=lambda row: row[6])
    seen = [row for row in rows if row[4] is not None]
    tally = Tally(
        reports=sum(row[1] for row in rows),
        weight=round(sum(row[2] for row in rows), 6),
        reasons={row[0]: row[1] for row in rows},
        viewers=max((row[4] for row in seen), default=0),
        strikes=newest[5],
    )
    return tally, min(row[3] for row in rows)


def _first(subject: Subject) -> tuple[int, datetime, str]:
    """Id and time of the first entry, and the status that the catalogue had before it."""
    first: tuple[int, datetime, str] = _about(subject).order_by("id").values_list("id", "at", "data__base")[0]
    return first


def _standing(subject: Subject, base: str) -> Standing:
    return fold(_entries(_about(subject).exclude(kind=REPORT).order_by("id")), base=base)


def _settle_reports(subject: Subject, standing: Standing) -> None:
    """Write into the reports what the newest decision made of them; it says how far their senders are to be trusted."""
    about = Report.objects.filter(subject_kind=subject.kind, subject_id=subject.id)
    about.filter(entry_id__lte=standing.settled).update(outcome=standing.verdict)
    about.filter(entry_id__gt=standing.settled).update(outcome="")


def _effect(case: ModerationCase | None, base: str) -> tuple[object, ...]:
    """What the catalogue has to know; before the first case that is what it had."""
    if case is None:
        return (base, False, [], True)
    return (case.shown_status, case.age_restricted, case.blocked_countries, case.feed_eligible)


def _tell_catalogue(subject: Subject, standing: Standing) -> None:
    # A content that the catalogue lost meanwhile is in no feed either.
    with suppress(catalogue.UnknownContent):
        catalogue.impose(
            subject.id,
            status=standing.shown_status,
            feed_eligible=standing.feed_eligible,
            age_rating=ADULTS if standing.age_restricted else EVERYONE,
            geo_deny=standing.blocked_countries,
        )


def _hold(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
