"""Whatever moderators do in whatever order: taking it back restores what was, and the log alone gives every row."""

from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from dashboards import moderation, moderation_appeals, moderation_log
from dashboards.casework.log import DECISIONS
from dashboards.moderation import Decision
from dashboards.moderation_models import ModerationAction, ModerationCase, Report
from events import queries
from events.errors import ApiError
from events.models import Content, Suspension
from tests.dashboards.cases import ANN, BOB, LEAD, NOW, clip, report

CLIPS = ("c1", "c2", "c3")
DERIVED = [
    field.name
    for field in ModerationCase._meta.fields
    # A log that grew has a newer version, whatever it says, and a claim is no part of it.
    if field.name not in {"claimed_by", "claim_expires_at"}
]


def world(*, versions=True):
    """Every row that moderation derives, and what the catalogue was told."""
    names = DERIVED if versions else [name for name in DERIVED if name != "version"]
    return (
        list(ModerationCase.objects.order_by("case_id").values(*names)),
        list(Report.objects.order_by("report_id").values("report_id", "outcome")),
        list(
            Content.objects.order_by("content_id").values(
                "content_id", "status", "feed_eligible", "imposed_age_rating", "imposed_geo_deny"
            )
        ),
        list(Suspension.objects.order_by("user_id").values()),
    )


class Moderation(RuleBasedStateMachine):
    """Random people report and appeal, random moderators decide, undo, overturn, and time passes."""

    def __init__(self) -> None:
        super().__init__()
        # Each run has the database to itself.
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.now = NOW
        self.people = 0
        self.made = []

    @initialize()
    def contents(self) -> None:
        for at, content_id in enumerate(CLIPS):
            clip(content_id, f"creator-{at % 2}", status="hidden" if at == 2 else "active")
            report(content_id, "first", now=self.now)

    @rule(content=st.sampled_from(CLIPS), reason=st.sampled_from(["spam", "hate", "threat"]), crowd=st.integers(1, 4))
    def people_report(self, content, reason, crowd) -> None:
        for _ in range(crowd):
            self.people += 1
            report(content, f"r{self.people}", reason, now=self.now)

    @rule(content=st.sampled_from(CLIPS), kind=st.sampled_from(sorted(DECISIONS)), by=st.sampled_from([ANN, BOB, LEAD]),
          hours=st.none() | st.integers(1, 48))  # fmt: skip
    def decide(self, content, kind, by, hours) -> None:
        before = world(versions=False)
        case = ModerationCase.objects.get(subject_id=content)
        countries = ("DE",) if kind == "geo_block" else ()
        policy = "spam" if DECISIONS[kind].restricts else ""
        decision = Decision((kind,), policy=policy, duration_h=hours, countries=countries)
        made, code = attempt(lambda: moderation.decide(case.case_id, decision, by, version=case.version, now=self.now))
        assert code in {"", "lead_required"}
        if not made:
            return
        after = world()
        # Undo is checked on every single decision, and then the decision is made again, so that states pile up.
        moderation.undo(made.decision_id, by, now=self.now)
        assert world(versions=False) == before
        fresh = ModerationCase.objects.get(subject_id=content)
        again = moderation.decide(case.case_id, decision, by, version=fresh.version, now=self.now)
        assert after[2:] == world()[2:]
        self.made.append((again.decision_id, by))

    @rule(data=st.data())
    def undo_any(self, data) -> None:
        if self.made:
            decision_id, by = data.draw(st.sampled_from(self.made))
            self._taken_back(lambda: moderation.undo(decision_id, by, now=self.now))

    @rule(data=st.data(), upheld=st.booleans())
    def appeal(self, data, upheld) -> None:
        if not self.made:
            return
        decision_id, by = data.draw(st.sampled_from(self.made))
        author = ModerationAction.objects.filter(decision_id=decision_id)[0].author_id
        other = BOB if by == ANN else ANN
        _, code = attempt(lambda: moderation_appeals.appeal(decision_id, author_id=author, text="no", now=self.now))
        assert code in {"", "not_found", "not_in_force"}
        if not code:
            _, code = attempt(lambda: moderation_appeals.answer(decision_id, other, upheld=upheld, now=self.now))
            assert code in {"", "already_answered"}

    @rule(hours=st.integers(1, 60))
    def time_passes(self, hours) -> None:
        self.now += timedelta(hours=hours)
        moderation.expire_due(now=self.now)

    @invariant()
    def the_log_alone_gives_every_row(self) -> None:
        before = world()
        moderation_log.replay(now=self.now)
        assert world() == before

    @invariant()
    def the_catalogue_shows_what_the_cases_say(self) -> None:
        for case in ModerationCase.objects.all():
            content = queries.content(case.subject_id)
            assert content["status"] == case.shown_status
            assert content["feed_eligible"] == case.feed_eligible

    def teardown(self) -> None:
        """Take back everything that is left: nothing but the reports and the first state remain."""
        try:
            for decision_id, by in reversed(self.made):
                self._taken_back(lambda decision_id=decision_id, by=by: moderation.undo(decision_id, by, now=self.now))
            if not ModerationAction.objects.filter(kind__in=["overturn", "expire", "auto_hide"]).exists():
                assert [row["status"] for row in world()[2]] == ["active", "active", "hidden"][: len(world()[2])]
                assert not Suspension.objects.exists()
        finally:
            transaction.set_rollback(True)
            self.transaction.__exit__(None, None, None)

    def _taken_back(self, undo) -> None:
        assert attempt(undo)[1] in {"", "already_taken_back"}


def attempt(call):
    """What a call gives and the code of its refusal: one of them is empty."""
    try:
        return call(), ""
    except ApiError as refusal:
        return None, refusal.code


def run(examples, steps):
    quiet = list(HealthCheck)
    run_state_machine_as_test(
        Moderation,
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=quiet),
    )


@pytest.mark.django_db
def test_random_decisions_are_taken_back_and_replayed():
    run(examples=8, steps=10)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.django_db
def test_many_random_decisions_are_taken_back_and_replayed():
    run(examples=40, steps=25)
