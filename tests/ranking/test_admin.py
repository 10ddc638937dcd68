"""The admin shows the evidence, decides through the registry with a reason, and edits nothing."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from ranking import model_alerts, registry
from ranking.admin import COUNTED_ROWS, BoundedPaginator
from ranking.models import ModelVersion, Served
from tests.ranking.test_registry import GOOD, NOW, POOR, promote, register

LIST = "admin:ranking_modelversion_changelist"
PAGE = "admin:ranking_modelversion_change"


@pytest.fixture(autouse=True)
def model_dir(settings, tmp_path):
    settings.MODEL_DIR = tmp_path / "models"
    registry.forget()
    yield
    registry.forget()


def act(client, action, *versions, reason="a test"):
    given = {"action": action, "_selected_action": versions, "reason": reason}
    return client.post(reverse(LIST), given, follow=True).content.decode()


def page_of(client, version):
    return client.get(reverse(PAGE, args=[version])).content.decode()


def move(client, version, **given):
    return client.post(reverse("admin:ranking_model_move", args=[version]), given, follow=True).content.decode()


def state_of(version):
    row = ModelVersion.objects.get(version=version)
    return row.state, row.share_pct


def test_list_and_page_of_a_version_show_its_evidence(admin_client):
    version = register(metrics=GOOD | {"test": GOOD["test"] | {"ece": 0.0123, "gauc": None}})
    page = admin_client.get(reverse(LIST)).content.decode()
    assert "0.7000 (0.6500 to 0.7500)" in page
    assert "0.0123" in page
    assert "9000 / 900" in page
    page = page_of(admin_client, version)
    assert "0.7000 (0.6500 to 0.7500)" in page
    assert "all hold" in page
    assert "It was registered without the points to plot." in page


RICH = GOOD | {
    "champion": {
        "version": "ranker-before", "auc": 0.69, "log_loss": 0.5,
        "auc_difference_interval": {"low": 0.001, "high": 0.02},
    },
    "curves": {
        "calibration": [
            {"examples": 450, "expected": 0.2, "observed": 0.25}, {"examples": 450, "expected": 0.6, "observed": 0.55},
        ],
        "lift": [
            {"top_pct": 50.0, "captured": 0.8, "lift": 1.6}, {"top_pct": 100.0, "captured": 1.0, "lift": 1.0},
        ],
    },
    "segments": [
        {"kind": "users", "name": "new", "examples": 400, "positives": 100, "auc": 0.66, "log_loss": 0.6, "ece": 0.01},
        {"kind": "users", "name": "heavy", "examples": 9, "positives": 2, "auc": None, "log_loss": None, "ece": None},
    ],
    "importance": [
        {"feature": "content_long_rate_7d", "block": "content", "auc_lost": 0.08},
        {"feature": "gone", "block": "user", "auc_lost": -0.001},
    ],
    "loss": [0.7, 0.6, 0.55], "validation_loss": [0.69, 0.62, 0.63],
    "trained_on": {
        "examples": 8000, "positives": {"long_view": 2400}, "test_examples": 900, "test_users": 120,
        "test_contents": 64, "test_from": 1.7e9, "test_until": 1.7001e9,
    },
}  # fmt: skip


def test_page_of_a_version_shows_all_that_it_was_judged_by(admin_client):
    page = page_of(admin_client, register(metrics=RICH))
    for expected in (
        "ranker-before", "+0.0010 to +0.0200",  # beside the champion
        "2 bins of equally many test examples; the two differ by at most 0.05", "0.2500",
        "Among the best tenth long views are 1.6 times", "least after 2, whose weights were kept",
        "heavy", "content_long_rate_7d", "+0.0800", "not in the list of features any more",
        "120 and 64", "long_view 2400", "ranker.onnx", "milliseconds for 300 candidates",
    ):  # fmt: skip
        assert expected in page, expected
    assert page.count("View as table") == 3
    assert page.count("<polyline") == 6


def test_every_decision_is_made_on_the_page_with_a_reason_and_kept_there(admin_client):
    first, second = register(1.0), register(2.0)
    promote(first)
    move(admin_client, second, to="shadow", share=20, reason="a look")
    assert state_of(second) == ("shadow", 20)
    move(admin_client, second, to="canary", share=10, reason="a try")
    assert state_of(second) == ("canary", 10)
    said = move(admin_client, second, to="champion", reason="it is better")
    assert f"Promoted {second}, which serves now; before: {first}" in said
    assert registry.champion_version() == second
    page = page_of(admin_client, second)
    assert f'Roll back to <a href="{reverse(PAGE, args=[first])}">{first}</a>' in page
    for expected in ("a look", "a try", "it is better", "admin", "canary, 10 %"):
        assert expected in page, expected
    said = admin_client.post(reverse("admin:ranking_model_roll_back"), {"reason": "no"}, follow=True).content.decode()
    assert f"Rolled back from {second} to {first}" in said
    move(admin_client, second, to="archived", reason="done")
    assert state_of(second) == ("archived", None)


def test_without_a_reason_nothing_is_decided(admin_client):
    first, second = register(1.0), register(2.0)
    promote(first)
    promote(second, hours=1)
    for address, given in (
        (reverse("admin:ranking_model_move", args=[first]), {"to": "champion", "reason": " "}),
        (reverse("admin:ranking_model_roll_back"), {"reason": ""}),
    ):
        answer = admin_client.post(address, given)
        assert answer.status_code == 400
        assert "This field is required" in answer.content.decode()
    assert "needs a reason" in act(admin_client, "promote", first, reason="")
    assert registry.champion_version() == second


def test_what_makes_no_sense_is_refused_and_said(admin_client):
    poor = register(1.0, metrics=POOR)
    for given, status, said in (
        ({"to": "champion"}, 409, "Refused: " + poor + " failed its gates: AUC 0.5100 may be chance"),
        ({"to": "canary", "share": 101}, 400, "less than or equal to 100"),
        ({"to": "canary", "share": "many"}, 400, "whole number"),
        ({"to": "the moon"}, 400, "not one of the available choices"),
    ):
        answer = admin_client.post(reverse("admin:ranking_model_move", args=[poor]), {"reason": "a test", **given})
        assert (answer.status_code, said in answer.content.decode()) == (status, True), (given, said)
    assert state_of(poor) == ("candidate", None)
    assert "AUC 0.5100 may be chance" in page_of(admin_client, poor)
    nobody = reverse("admin:ranking_model_move", args=["nobody"])
    assert admin_client.post(nobody, {"to": "champion", "reason": "a test"}).status_code == 404
    assert admin_client.get(reverse(PAGE, args=["nobody"])).status_code == 404


def test_an_open_alert_stands_on_the_list_and_on_the_page(admin_client):
    version = register()
    model_alerts.note(version, "its <file> is damaged", serving="ranker-before", now=NOW)
    for page in (admin_client.get(reverse(LIST)).content.decode(), page_of(admin_client, version)):
        assert "its &lt;file&gt; is damaged" in page
        assert "Serving goes on with ranker-before" in page


def test_promoting_and_rolling_back_by_action(admin_client):
    first, second = register(1.0), register(2.0)
    promote(first)
    assert f"Promoted {second}, which serves now; before: {first}" in act(admin_client, "promote", second)
    assert registry.champion_version() == second
    assert f"Rolled back from {second} to {first}" in act(admin_client, "roll_back", second)
    assert registry.champion_version() == first


def test_refusals_are_said_on_the_page(admin_client):
    poor, good = register(1.0, metrics=POOR), register(2.0)
    assert "Not promoted" in act(admin_client, "promote", poor)
    assert "exactly one" in act(admin_client, "promote", poor, good)
    assert "Not rolled back: no model serves" in act(admin_client, "roll_back", good)
    assert registry.champion_version() is None


def test_nothing_can_be_added_edited_or_deleted(admin_client):
    version = register()
    assert admin_client.get(reverse("admin:ranking_modelversion_add")).status_code == 403
    assert admin_client.get(reverse("admin:ranking_modelversion_delete", args=[version])).status_code == 403
    admin_client.post(reverse("admin:ranking_modelversion_change", args=[version]), {"state": "champion"})
    assert ModelVersion.objects.get().state == "candidate"
    assert admin_client.get(reverse("admin:ranking_served_add")).status_code == 403


def test_staff_who_may_only_look_are_offered_no_actions(client, django_user_model):
    analyst = django_user_model.objects.create_user("analyst", is_staff=True)
    analyst.user_permissions.add(Permission.objects.get(codename="view_modelversion"))
    client.force_login(analyst)
    version = register()
    assert "Promote: let" not in client.get(reverse(LIST)).content.decode()
    act(client, "promote", version)
    assert "Decide" not in page_of(client, version)
    for address in (reverse("admin:ranking_model_move", args=[version]), reverse("admin:ranking_model_roll_back")):
        assert client.post(address, {"to": "champion", "reason": "a test"}).status_code == 403
        assert client.get(address).status_code == 403
    assert registry.champion_version() is None


def test_log_of_served_positions_is_listed_without_counting_the_table(admin_client, django_assert_num_queries):
    Served.objects.create(
        request_id="00000000-0000-0000-0000-000000000001", position=0, user_id="712", content_id="clip", source="fresh",
        surface="for_you", arm="default", score=0.5, propensity=1.0, served_at=datetime(2026, 11, 23, tzinfo=UTC),
    )  # fmt: skip
    page = admin_client.get(reverse("admin:ranking_served_changelist"), {"q": "712"}).content.decode()
    assert "712" in page
    with django_assert_num_queries(1) as captured:
        assert BoundedPaginator(Served.objects.order_by("-id"), 50).count == 1
    assert f"LIMIT {COUNTED_ROWS}" in captured[0]["sql"]
