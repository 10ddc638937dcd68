"""From reports to feeds, over HTTP: what a crowd or a moderator hides is in no answer any more, open walks included."""

from datetime import timedelta

import pytest
from django.utils import timezone

from dashboards import moderation, moderation_reports
from events import queries
from events.catalogue import NewContent, register_contents
from events.ingestion import ingest
from features import store, trends
from features.materialize import materialize, refresh_snapshot
from ranking import registry
from tests.dashboards.cases import case_of, decide
from tests.ranking.feeds import event

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(5400)]
REPORTERS = 6
SNAPSHOT_EVERY = 50


@pytest.fixture
def feed(server, settings, tmp_path, request):
    """Asks for pages of a catalogue with a past and a snapshot."""
    settings.SNAPSHOT_DIR, settings.MODEL_DIR = tmp_path / "snapshots", tmp_path / "models"
    settings.RATE_LIMITS = {}
    for module in (registry, store, trends):
        module.forget()
    now, contents = timezone.now(), getattr(request, "param", 150)
    register_contents(
        NewContent(
            f"c{number:04d}", f"maker-{number % 97}", now - timedelta(minutes=number),
            {"caption": f"clip {number}", "category": f"kind-{number % 11}"}, duration_s=8.0, language="en",
        )
        for number in range(contents)
    )  # fmt: skip
    raw = [event("like", f"u{n % 50}", f"c{(n * n) % contents:04d}", now - timedelta(minutes=n)) for n in range(600)]
    ingest(raw, now=now, source="test", historical=True)
    materialize(until=now)
    store.forget()

    def ask(user_id, **more):
        answer = server.get("/api/v1/feed", {"user_id": user_id, "limit": 10, **more})
        assert answer.status_code == 200, answer.json()
        return answer.json()

    yield ask
    for module in (registry, store, trends):
        module.forget()


def ids(page):
    return {item["content_id"] for item in page["items"]}


@pytest.mark.parametrize(
    ("feed", "times"), [(150, 8), pytest.param(1_300, 1000, marks=pytest.mark.slow)], indirect=["feed"]
)
def test_what_reports_hide_is_absent_from_every_answer_at_once(feed, server, times):
    """Each time the first clip of somebody's page is hidden; then the same page, the next and a new walk are asked."""
    absent = 0
    for number in range(times):
        if number % SNAPSHOT_EVERY == 0:
            # The running system takes a new one every two seconds in which the catalogue changed.
            refresh_snapshot(until=timezone.now())
        walker = f"walker-{number}"
        page = feed(walker, limit=5)
        again = {"limit": 5, "cursor": page["next_cursor"]}
        target = next(iter(feed(walker, **again)["items"]))["content_id"]
        for reporter in range(REPORTERS):
            body = {"content_id": target, "reason": "hate", "reporter_id": f"r{number}-{reporter}"}
            assert server.post("/api/v1/reports", body, format="json").status_code == 201
        answers = [feed(walker, **again), feed(walker), feed(f"new-{number}")]
        absent += all(page["items"] and target not in ids(page) for page in answers)
    assert absent == times


def test_what_a_moderator_takes_out_is_absent_and_comes_back_with_undo(feed):
    for kind in ("hide", "remove", "feed_ineligible", "age_restrict", "suspend"):
        walker = f"walker-{kind}"
        again = {"limit": 5, "cursor": feed(walker, limit=5)["next_cursor"]}
        target = feed(walker, **again)["items"][0]["content_id"]
        maker = queries.content(target)["creator_id"]
        subject = moderation_reports.subject_of("content", target)
        moderation_reports.report(subject, reporter_id="somebody", reason="spam", now=timezone.now())
        made = decide(case_of(target), kind, now=timezone.now())
        page = feed(walker, **again)
        assert page["items"]
        assert target not in ids(page), kind
        if kind == "suspend":
            assert maker not in {item["content"]["creator_id"] for item in page["items"]}
        moderation.undo(made, moderation.Moderator(1), now=timezone.now())
        assert target in queries.eligible_cards([target]), kind


def test_an_emergency_stop_is_obeyed_by_open_walks_lists_and_trends_and_lifting_it_ends_it(feed, server, staff):
    lead = staff("moderation lead")
    again = {"limit": 5, "cursor": feed("walker", limit=5)["next_cursor"]}
    target = feed("walker", **again)["items"][0]["content_id"]
    maker = queries.content(target)["creator_id"]
    body = {"kind": "creator", "value": maker, "reason": "an accident"}
    stop_id = lead.post("/api/v1/moderation/stops", body, format="json").json()["stop_id"]
    similar = f"/api/v1/contents/{target}/similar"
    for page in (feed("walker", **again), feed("walker"), server.get(similar).json()):
        assert maker not in {item["content"]["creator_id"] for item in page["items"]}
    for window in ("1h", "24h"):
        listed = server.get("/api/v1/trending", {"kind": "creator", "window": window}).json()["items"]
        assert maker not in {each["name"] for each in listed}
    assert lead.delete(f"/api/v1/moderation/stops/{stop_id}").status_code == 200
    assert target in ids(feed("walker", **again))
