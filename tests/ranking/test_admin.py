"""The admin shows the evidence, promotes through the registry, and edits nothing."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from ranking import registry
from ranking.admin import COUNTED_ROWS, BoundedPaginator
from ranking.models import ModelVersion, Served
from tests.ranking.test_registry import GOOD, POOR, promote, register

LIST = "admin:ranking_modelversion_changelist"


@pytest.fixture(autouse=True)
def model_dir(settings, tmp_path):
    settings.MODEL_DIR = tmp_path / "models"
    registry.forget()
    yield
    registry.forget()


def act(client, action, *versions):
    given = {"action": action, "_selected_action": versions, "reason": "a test"}
    return client.post(reverse(LIST), given, follow=True).content.decode()


def test_list_and_page_of_a_version_show_its_evidence(admin_client):
    version = register(metrics=GOOD | {"test": GOOD["test"] | {"ece": 0.0123, "gauc": None}})
    page = admin_client.get(reverse(LIST)).content.decode()
    assert "0.7000 (0.6500 to 0.7500)" in page
    assert "0.0123" in page
    assert "9000 / 900" in page
    page = admin_client.get(reverse("admin:ranking_modelversion_change", args=[version])).content.decode()
    assert "train_examples" in page


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
