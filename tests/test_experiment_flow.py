"""An experiment from its set-up to its end, over HTTP alone but for the clockwork: users come, are assigned and exposed
by their feeds, and react; what does harm is stopped by itself, what does good is shipped."""

import uuid

import numpy as np
import pytest
from django.utils import timezone

from dashboards import experiment_watch, rollups
from events import api_keys
from ranking.experiment_models import Exposure
from ranking.experiments.allocation import held_out
from ranking.models import Served
from tests.ranking.conftest import catalogue, empty_catalogue, no_keys, snapshot
from tests.ranking.doors import client_of

__all__ = ["catalogue", "empty_catalogue", "no_keys", "snapshot"]
EXPERIMENTS = "/api/v1/experiments"
USERS = [user for user in (f"person-{n}" for n in range(150)) if not held_out(user, 0.02)][:120]


@pytest.fixture
def app(snapshot, no_keys, settings):
    """The host app's backend."""
    settings.RATE_LIMIT = False
    return client_of(api_keys.create_key("app", scopes={"admin"})[1])


def posted(client, path, status=200, **body):
    answer = client.post(path, body, format="json")
    assert answer.status_code == status, answer.content
    return answer.json()


def set_up(app, overrides):
    posted(
        app, EXPERIMENTS, 201, key="pages", title="Pages", goals=["engagement_rate"], tuned_for=200,
        guardrails=[{"metric": "negative_rate", "margin": 0.1}],
        arms=[{"key": "control"}, {"key": "treatment", "overrides": overrides}],
    )  # fmt: skip
    assert posted(app, f"{EXPERIMENTS}/pages/start", reason="to learn")["state"] == "running"


def live(app, kind, chance):
    """Everybody fetches a page, is shown it and reacts, by the arm that the page says; returns the arm of each."""
    rng, arm_of = np.random.default_rng(7), {}
    for user in USERS:
        feed = app.get("/api/v1/feed", {"user_id": user, "limit": 8}).json()
        ((_, arm),) = [(each["key"], each["variant"]) for each in feed["experiments"]]
        arm_of[user] = arm
        sent = []
        for item in feed["items"]:
            about = {"user_id": user, "content_id": item["content_id"], "request_id": feed["request_id"],
                     "position": item["position"]}  # fmt: skip
            kinds = ["impression", "skip", *([kind] if rng.random() < chance[arm] else [])]
            sent += [{**about, "event_id": str(uuid.uuid4()), "event_type": each,
                      "timestamp": timezone.now().isoformat()} for each in kinds]  # fmt: skip
        report = posted(app, "/api/v1/events", 202, events=sent)
        assert report["accepted"] == len(sent), report
    return arm_of


def clockwork():
    """What the beat does every few minutes."""
    rollups.measure_kpis(until=timezone.now())
    return experiment_watch.watch(now=timezone.now())


def test_an_arm_that_does_harm_is_stopped_by_itself(app):
    set_up(app, {"for_you": {"trending": 0}})
    arm_of = live(app, "hide", {"control": 0.03, "treatment": 0.35})
    assert dict(Exposure.objects.values_list("user_id", "arm")) == arm_of
    served = dict(Served.objects.values_list("user_id", "arm").distinct())
    assert served == {user: f"pages={arm}" for user, arm in arm_of.items()}
    assert clockwork().stopped == ("pages",)
    told = app.get(f"{EXPERIMENTS}/pages").json()
    assert (told["state"], told["decisions"][0]["kind"], told["decisions"][0]["by"]) == (
        "stopped", "auto_stop", "system",
    )  # fmt: skip
    # The very next page is everybody's usual one.
    assert app.get("/api/v1/feed", {"user_id": USERS[0]}).json()["experiments"] == []


def test_an_arm_that_does_good_is_found_and_shipped(app):
    set_up(app, {"theta": 3.0})
    arm_of = live(app, "like", {"control": 0.10, "treatment": 0.30})
    assert clockwork().stopped == ()
    told = app.get(f"{EXPERIMENTS}/pages/results").json()
    assert told["blocked"] == ""
    goal = next(each for each in told["reading"]["metrics"] if each["role"] == "goal")
    control, treatment = goal["arms"]
    assert [control["users"], treatment["users"]] == [
        list(arm_of.values()).count(arm) for arm in ("control", "treatment")
    ]
    # Planted are 10 % and 30 % of the impressions.
    assert treatment["effect"]["lower"] > 0
    assert treatment["effect"]["p_adjusted"] < 0.05
    assert control["value"] == pytest.approx(10, abs=4)
    assert treatment["value"] == pytest.approx(30, abs=6)
    shipped = posted(app, f"{EXPERIMENTS}/pages/ship", reason="more likes", arm="treatment")
    assert (shipped["state"], shipped["winner"]) == ("shipped", "treatment")
    assert shipped["decisions"][0]["numbers"]["goals"]["engagement_rate"]["treatment"]["effect"]["lower"] > 0
    after = app.get("/api/v1/feed", {"user_id": "somebody-new"}).json()
    assert after["experiments"] == []
    config = Served.objects.filter(user_id="somebody-new").values_list("config", flat=True)[0]
    treated = next(user for user, arm in arm_of.items() if arm == "treatment")
    assert config == Served.objects.filter(user_id=treated).values_list("config", flat=True)[0]
