"""Doors and pages of experiments: who may do what, and every refusal by name."""

import pytest
from django.urls import reverse

from dashboards import experiment_results, rollups
from dashboards.experiment_decisions import plan_for
from events import api_keys
from ranking.experiment_models import Experiment, ExperimentDecision, Exposure
from tests.dashboards.conftest import NOW, at, send, view
from tests.dashboards.test_experiment_results import experiment, expose, harm
from tests.ranking.doors import client_of, refusal

pytestmark = pytest.mark.django_db
ALL = "/api/v1/experiments"
SET_UP = {
    "key": "fresher", "title": "Fresher", "arms": [{"key": "control"}, {"key": "fresh", "overrides": {"theta": 3.0}}],
    "goals": ["watch_h"], "guardrails": [{"metric": "negative_rate", "margin": 0.05}],
}  # fmt: skip


@pytest.fixture
def app(db):
    """A backend that may run experiments and nothing else."""
    return client_of(api_keys.create_key("runner", scopes={"experiments:write", "metrics:read"})[1])


def post(client, path, **body):
    return client.post(f"{ALL}{path}", body, format="json")


def test_a_whole_life_over_http(app):
    made = post(app, "", **SET_UP)
    assert made.status_code == 201, made.content
    assert (made.json()["state"], made.json()["decisions"][0]["kind"]) == ("draft", "create")
    edited = app.put(f"{ALL}/fresher", {**SET_UP, "coverage": 0.5}, format="json")
    assert edited.json()["coverage"] == 0.5
    started = post(app, "/fresher/start", reason="to learn", lift=0.1)
    assert started.json()["state"] == "running"
    assert post(app, "/fresher/coverage", reason="no harm seen", coverage=0.8).json()["coverage"] == 0.8
    assert post(app, "/fresher/stop", reason="enough").json()["state"] == "stopped"
    assert post(app, "/fresher/phase", reason="again").json()["phase"] == 2
    post(app, "/fresher/start", reason="to learn")
    shipped = post(app, "/fresher/ship", reason="better", arm="fresh").json()
    assert (shipped["state"], shipped["winner"]) == ("shipped", "fresh")
    assert [each["kind"] for each in shipped["decisions"]] == [
        "ship", "start", "phase", "stop", "coverage", "start", "edit", "create",
    ]  # fmt: skip
    assert shipped["decisions"][0]["by"] == "API key"
    assert shipped["decisions"][0]["numbers"]["arm"] == "fresh"
    assert post(app, "/fresher/withdraw", reason="worse").json()["state"] == "stopped"
    assert [each["key"] for each in app.get(ALL).json()["experiments"]] == ["fresher"]


@pytest.mark.parametrize(
    ("path", "body", "code", "field"),
    [
        ("", {**SET_UP, "goals": []}, "invalid_experiment", "goals"),
        ("", {**SET_UP, "colour": 1}, "unknown_field", "colour"),
        ("", {**SET_UP, "key": "plan"}, "invalid_experiment", "key"),
        ("", {**SET_UP, "arms": [{"key": "a"}, {"key": "b", "overrides": {"theta": "x"}}]}, "invalid_experiment",
         "arms[1].overrides"),
        ("", [1], "invalid_experiment", None),
        ("/plan", {"metric": "profit"}, "invalid", None),
        ("/plan", {"metric": "views", "lift": "much"}, "invalid", None),
        ("/fresher/start", {}, "invalid", None),
    ],
)  # fmt: skip
def test_bad_input_is_named(app, path, body, code, field):
    post(app, "", **SET_UP)
    answer = app.post(f"{ALL}{path}", body, format="json")
    status, said = refusal(answer)
    assert status == 400, answer.content
    if field is not None:
        assert (said, answer.json()["error"]["details"]["field"]) == (code, field)


def test_steps_out_of_turn_and_unknown_keys_are_refused(app):
    post(app, "", **SET_UP)
    assert refusal(post(app, "/fresher/stop", reason="x")) == (409, "refused")
    assert refusal(post(app, "", **SET_UP)) == (409, "refused")
    assert refusal(post(app, "/none/start", reason="x")) == (404, "unknown_experiment")
    assert refusal(app.get(f"{ALL}/none/results")) == (404, "unknown_experiment")
    assert app.get(f"{ALL}/fresher/results").json() == {"key": "fresher", "phase": 1, "blocked": "", "reading": None}


def test_reading_and_running_are_two_rights(analyst, staff, as_user):
    assert analyst.get(ALL).status_code == 200
    assert refusal(post(analyst, "", **SET_UP))[0] == 403
    assert refusal(as_user("mia").get(ALL))[0] == 403
    assert refusal(post(staff("analyst"), "", **SET_UP))[0] == 403
    assert post(staff("experimenter"), "", **SET_UP).status_code == 201
    assert ExperimentDecision.objects.get().by == "experimenter"
    assert refusal(client_of("sk_none").get(ALL))[0] == 401


def test_a_split_that_is_off_hides_effects_and_refuses_to_ship(app):
    experiment()
    expose([f"u{n:03d}" for n in range(200)])
    Exposure.objects.filter(arm="treatment", user_id__lt="u150").update(arm="control")
    experiment_results.read(Experiment.objects.get(), now=NOW)
    told = app.get(f"{ALL}/hooks/results").json()
    assert told["blocked"].startswith("users are not split as planned (p = ")
    assert told["reading"]["metrics"] == []
    assert told["reading"]["exposed"] == [175, 25]
    assert refusal(post(app, "/hooks/ship", reason="x", arm="treatment")) == (409, "refused")
    assert Experiment.objects.get().state == "running"


def test_assignments_say_arm_and_payload_and_clients_tell_exposures(app, server, as_user):
    arms = [{"key": "off", "payload": {"autoplay": False}}, {"key": "on", "payload": {"autoplay": True}}]
    post(app, "", **{**SET_UP, "arms": arms})
    assert server.get(f"{ALL}/assignments", {"user_id": "mia"}).json()["experiments"] == []
    post(app, "/fresher/start", reason="to learn")
    mia = as_user("mia")
    (told,) = mia.get(f"{ALL}/assignments").json()["experiments"]
    assert told["payload"] == {"autoplay": told["variant"] == "on"}
    assert Exposure.objects.count() == 0
    for _ in range(2):
        answer = mia.post(f"{ALL}/exposures", {"experiment": "fresher"}, format="json")
        assert answer.json() == {"user_id": "mia", "experiment": "fresher", "variant": told["variant"]}
    assert Exposure.objects.get().arm == told["variant"]
    assert refusal(mia.post(f"{ALL}/exposures", {"experiment": "none"}, format="json")) == (404, "not_in_experiment")
    assert refusal(mia.post(f"{ALL}/exposures", {"experiment": "fresher", "variant": "on"}, format="json"))[0] == 400
    other = mia.post(f"{ALL}/exposures", {"experiment": "fresher", "user_id": "leo"}, format="json")
    assert refusal(other)[0] == 403


def test_the_plan_follows_from_what_users_did(app):
    assert app.post(f"{ALL}/plan", {"metric": "views"}, format="json").json()["per_arm"] is None
    send(*(view(f"u{n}", at(18, f"10:{k:02d}")) for n in range(40) for k in range(n % 7)))
    rollups.measure_kpis(until=NOW)
    plan = plan_for("views", 0.2, arms=2, coverage=0.5, alpha=0.05, tuned_for=5000, now=NOW)
    assert plan["mean"] == pytest.approx(sum(n % 7 for n in range(40)) / sum(n % 7 > 0 for n in range(40)))
    assert plan["users"] == 2 * plan["per_arm"]
    assert plan["per_arm"] > plan["one_look_per_arm"] > 100


def page(client, name, *args):
    answer = client.get(reverse(f"dashboards:{name}", args=args))
    assert answer.status_code == 200
    return answer.content.decode()


def test_pages_tell_what_an_experiment_says(staff):
    users = [f"u{n:03d}" for n in range(160)]
    experiment()
    expose(users)
    harm(users, 0.12)
    rollups.measure_kpis(until=NOW)
    experiment_results.read(Experiment.objects.get(), now=at(12, "12:00"))
    told = page(staff("analyst"), "experiment", "hooks")
    for each in (
        "Hooks",
        "Exposed to treatment",
        "p 1.000",
        "Negative feedback",
        "Guardrails",
        "By day, as a table",
    ):
        assert each in told
    assert "Decide" not in told
    assert "Ship" in page(staff("experimenter"), "experiment", "hooks")
    assert "running" in page(staff("analyst"), "experiments")
    assert staff("analyst").get(reverse("dashboards:experiment-new")).status_code == 403
    assert staff("analyst").get(reverse("dashboards:experiment", args=["none"])).status_code == 404
    assert staff("moderator").get(reverse("dashboards:experiments")).status_code == 403


def test_a_blocked_page_shows_no_effect_and_cannot_ship(staff):
    experiment()
    expose([f"u{n:03d}" for n in range(200)])
    Exposure.objects.filter(arm="treatment", user_id__lt="u150").update(arm="control")
    experiment_results.read(Experiment.objects.get(), now=NOW)
    told = page(staff("experimenter"), "experiment", "hooks")
    assert "Not to be read" in told
    assert 'value="ship" disabled' in told
    assert "Goals and guardrails" not in told


def test_the_form_plans_refuses_and_creates(staff):
    client = staff("experimenter")
    address = reverse("dashboards:experiment-new")
    typed = {
        "key": "fresher", "title": "Fresher", "hypothesis": "", "coverage": "50", "namespace": "",
        "namespace_from": "0", "namespace_to": "100", "lift": "5", "margin": "2", "goals": ["watch_h"],
        "guardrails": ["negative_rate"], "arm_key": ["control", "fresh", ""], "arm_weight": ["1", "1", "1"],
        "arm_overrides": ["", '{"for_you": {"fresh": 100}}', ""],
    }  # fmt: skip
    assert "nothing to plan with" in client.post(address, {**typed, "do": "plan"}, format="multipart").content.decode()
    wrong = client.post(address, {**typed, "do": "create", "arm_overrides": ["", "{", ""]}, format="multipart")
    assert wrong.status_code == 400
    assert "arms[1].overrides" in wrong.content.decode()
    assert 'value="fresher"' in wrong.content.decode()
    assert client.post(address, {**typed, "do": "create", "coverage": "half"}, format="multipart").status_code == 400
    assert client.post(address, {**typed, "do": "create"}, format="multipart").status_code == 302
    row = Experiment.objects.get()
    assert (row.coverage, row.guardrails) == (0.5, [{"metric": "negative_rate", "margin": 0.02}])
    step = reverse("dashboards:experiment-step", args=["fresher"])
    client.post(step, {"do": "start", "reason": "to learn", "lift": "5"}, format="multipart")
    assert Experiment.objects.get().state == "running"
    client.post(step, {"do": "stop", "reason": ""}, format="multipart")
    assert Experiment.objects.get().state == "running"
    assert "a decision needs a reason" in page(client, "experiment", "fresher")
    assert staff("analyst").post(step, {"do": "stop", "reason": "x"}, format="multipart").status_code == 403
