"""The automatic check of uploads: numbers about each, a verdict by the rules in force, and what follows from it.

    UploadSigns (due) --> signals --> rules --> pass | flag | hold | quarantine --> moderation log --> next feed

The database alone says what is due, so a lost message costs a delay. What the check could not look at is not passed:
it is held until it can be looked at, or until somebody has looked. A content without media needs none to be looked at,
and one without words no model of words; an installation that looks at no media (`ANALYSE_MEDIA=0`) has chosen so.
"""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Count, Q

from dashboards import moderation, moderation_log, screening_lists
from dashboards.casework.log import EXPIRE, FLAG, HOLD, SCREENINGS
from dashboards.casework.policies import POLICIES
from dashboards.casework.rules import PASS, Rule, Verdict, judge
from dashboards.moderation_log import Subject
from dashboards.moderation_models import ModerationAction, ModerationCase
from dashboards.screening_intake import text_of
from dashboards.screening_lists import Banned
from dashboards.screening_models import Screening, UploadSigns
from dashboards.screening_rules import rules_in_force
from events import catalogue, queries
from events.queries import ContentCard
from features.screening import text

logger = logging.getLogger(__name__)

AT_ONCE: Final = 200
ROUNDS: Final = 20
"""Of one task; an import of a million contents must not keep a worker for itself."""
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
NO_FRAMES: Final = frozenset({"", "truncated", "no_visual", "model_unavailable"})
"""Codes of files whose pictures, as far as there are any, were hashed: the last means the encoder, not this check."""


@dataclass(slots=True)
class Examined:
    """The numbers of one upload, what made them, and which listed thing it resembles, with the policy of that."""

    signals: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    resembles: str = ""
    listed_policy: str = ""


@dataclass(frozen=True, slots=True)
class ScreeningReport:
    """How many uploads were judged, by verdict."""

    verdicts: dict[str, int] = field(default_factory=dict)


def screen_due(*, now: datetime, limit: int = AT_ONCE) -> ScreeningReport:
    """Judge uploads that are new or changed, oldest first; several processes never judge the same one at once."""
    counts: dict[str, int] = {}
    if not UploadSigns.objects.filter(due=True).exists():
        return ScreeningReport()
    rules = rules_in_force()
    banned = screening_lists.listed(), screening_lists.removed()
    with transaction.atomic():
        due = UploadSigns.objects.filter(due=True).order_by("changed_at", "content_id")
        rows = list(due.select_for_update(skip_locked=True)[:limit])
        cards = queries.content_cards([row.content_id for row in rows])
        UploadSigns.objects.filter(pk__in=[row.pk for row in rows if row.pk not in cards]).delete()
        done = []
        for row in rows:
            if row.pk in cards and (verdict := _guarded(row, cards[row.pk], rules, banned, now=now)):
                counts[verdict] = counts.get(verdict, 0) + 1
                done.append(row.pk)
        UploadSigns.objects.filter(pk__in=done).update(due=False)
    return ScreeningReport(counts)


def _guarded(
    signs: UploadSigns, card: ContentCard, rules: list[Rule], banned: tuple[Banned, Banned], *, now: datetime
) -> str:
    """The verdict on one upload; where the check itself fails it is held, tried again behind all others, and ""."""
    try:
        with transaction.atomic():
            return _screen(signs, card, rules, banned, now=now)
    except Exception:
        logger.exception("the check of %s failed; it is held", signs.content_id)
        unknown = Verdict(HOLD, "other", (("unknown", 0),))
        _follow(Subject("content", signs.content_id, card.creator_id), signs, unknown, "other", now=now)
        UploadSigns.objects.filter(pk=signs.pk).update(changed_at=now)
        return ""


def examine(signs: UploadSigns, card: ContentCard, banned: tuple[Banned, Banned], *, now: datetime) -> Examined:
    """All numbers that rules may ask for; what could not be had is missing, and counted as `unknown`."""
    said, versions, complete = text.signals(text_of(card))
    found = Examined(said, versions)
    unknown = 0 if complete else 1
    if signs.media == UploadSigns.Media.SEEN:
        unknown += signs.media_code not in NO_FRAMES
        unknown += bool(signs.hashes) and not signs.indecency
        _examine_frames(found, signs, banned)
    unknown += signs.media == UploadSigns.Media.FAILED
    found.signals |= _creator(signs, now=now) | {"unknown": float(unknown)}
    return found


def _screen(
    signs: UploadSigns, card: ContentCard, rules: list[Rule], banned: tuple[Banned, Banned], *, now: datetime
) -> str:
    found = examine(signs, card, banned, now=now)
    verdict = judge(rules, found.signals)
    policy = _graver(verdict.policy, found.listed_policy) if _about_lists(verdict, rules) else verdict.policy
    subject = Subject("content", signs.content_id, card.creator_id)
    decision_id = _follow(subject, signs, verdict, policy, now=now)
    Screening.objects.create(
        content_id=signs.content_id, at=now, verdict=verdict.action, policy=policy,
        matched=[list(each) for each in verdict.matched], signals=found.signals, versions=found.versions,
        resembles=found.resembles, decision_id=decision_id,
    )  # fmt: skip
    return verdict.action


def _examine_frames(found: Examined, signs: UploadSigns, banned: tuple[Banned, Banned]) -> None:
    if signs.indecency:
        found.signals["indecency"] = max(signs.indecency)
        found.signals["indecency_mean"] = round(sum(signs.indecency) / len(signs.indecency), 5)
        found.versions["indecency"] = signs.indecency_version
    for kind, each, but in (("hash", banned[0], ""), ("removed", banned[1], signs.content_id)):
        match = each.match(signs, but=but)
        found.signals |= {f"{kind}_exact": match.exact, f"{kind}_same": match.same, f"{kind}_near": match.near}
        found.versions[kind] = each.version
        if match.name and (match.exact or match.near >= 0.3):
            found.resembles = found.resembles or match.name
            found.listed_policy = _graver(found.listed_policy, match.policy)
            found.signals["hash_severity"] = screening_lists.severity(found.listed_policy)


def _creator(signs: UploadSigns, *, now: datetime) -> dict[str, float]:
    """How much the creator uploads, by the times of the uploads, so that an import of an old catalogue is no flood."""
    at, key = signs.uploaded_at, signs.text_key
    in_hour, in_day = Q(uploaded_at__gt=at - _HOUR), Q(uploaded_at__gt=at - _DAY)
    own = UploadSigns.objects.filter(creator_id=signs.creator_id, uploaded_at__lte=at)
    counted = own.aggregate(
        hour=Count("pk", filter=in_hour), day=Count("pk", filter=in_day), all=Count("pk"),
        same=Count("pk", filter=in_day & Q(text_key=key)),
    )  # fmt: skip
    alike = UploadSigns.objects.filter(in_day, text_key=key, uploaded_at__lte=at)
    others = alike.aggregate(creators=Count("creator_id", distinct=True))["creators"] if key else 0
    cases = ModerationCase.objects.filter(author_id=signs.creator_id, subject_kind="content", shown_status="removed")
    return {
        "creator_uploads_1h": float(counted["hour"]),
        "creator_uploads_1d": float(counted["day"]),
        "creator_same_text_1d": float(counted["same"] if key else 0),
        "creators_same_text_1d": float(others),
        "creator_contents": float(counted["all"]),
        "creator_removed": float(cases.count()),
        "creator_strikes": float(moderation_log.author_standing(signs.creator_id, now=now).strikes),
    }


def _follow(subject: Subject, signs: UploadSigns, verdict: Verdict, policy: str, *, now: datetime) -> UUID | None:
    """Write the verdict into the moderation log where it says something new; returns the decision that it made.

    What was said of the same words and media before is not said again, whatever became of it: somebody who approved an
    upload is not asked twice.
    """
    about = f"{signs.text_digest} {signs.media_digest}"
    with moderation_log.changing(subject):
        said = _said(subject)
        if verdict.action != HOLD:
            _release(said, now=now)
        rules = [key for key, _ in verdict.matched]
        again = any(
            each.kind == verdict.action and each.data.get("about") == about and set(rules) <= set(each.data["rules"])
            for each in said
        )
        decision_id = None
        if verdict.action != PASS and not again:
            decision_id = uuid4()
            moderation_log.append(
                subject, verdict.action, at=now, decision_id=decision_id, policy=policy,
                data={"about": about, "rules": rules, "score": verdict.score},
            )  # fmt: skip
            moderation_log.derive(subject)
        if verdict.action in {PASS, FLAG} and signs.media != UploadSigns.Media.WAITING:
            _let_in(subject)
    return decision_id


def _said(subject: Subject) -> list[ModerationAction]:
    """What the check said of a content so far; the screenings of a content are few."""
    about = ModerationAction.objects.filter(subject_kind=subject.kind, subject_id=subject.id)
    return list(about.filter(kind__in=SCREENINGS).order_by("id"))


def _release(said: list[ModerationAction], *, now: datetime) -> None:
    """End what held a content because the check could not look, now that it could."""
    for entry in said:
        unseen = entry.kind == HOLD and "unknown" in entry.data["rules"]
        if unseen and entry.decision_id and moderation_log.in_force(entry.decision_id):
            moderation.take_back(entry.decision_id, EXPIRE, actor_id=None, now=now, note="it could be looked at")


def _let_in(subject: Subject) -> None:
    """Let a content into feeds that waited for the check (`UPLOADS_WAIT`), unless a decision keeps it out."""
    kept_out = ModerationCase.objects.filter(subject_kind="content", subject_id=subject.id, feed_eligible=False)
    if not kept_out.exists():
        catalogue.let_in(subject.id)


def _about_lists(verdict: Verdict, rules: list[Rule]) -> bool:
    holding = dict(verdict.matched)
    asked = [each.signal for rule in rules if rule.key in holding for each in rule.conditions]
    return any(signal.startswith(("hash_", "removed_")) for signal in asked)


def _graver(one: str, other: str) -> str:
    return max((each for each in (one, other) if each), key=lambda code: POLICIES[code].severity, default="")
