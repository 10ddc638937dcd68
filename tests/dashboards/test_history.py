"""The database itself writes down what changes, whoever changes it and however."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import DatabaseError, connection, transaction
from django.db.models import Max
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from dashboards.history_models import ChangeHistory
from events import api_keys, catalogue
from events.catalogue import NewContent, register_contents
from ranking.models import ModelVersion
from tests.dashboards.cases import NOW, clip

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def before(db):
    """What the migrations wrote is left out."""
    BEFORE[:] = [ChangeHistory.objects.aggregate(newest=Max("pk"))["newest"] or 0]


BEFORE: list[int] = []


def noted(table, **facts):
    rows = ChangeHistory.objects.filter(table=table, pk__gt=BEFORE[0], **facts).order_by("id")
    return [(row.row_id, row.op, row.before, row.after) for row in rows]


def test_a_changed_content_is_noted_by_what_changed_and_a_new_one_is_not():
    clip("c1")
    assert noted("content") == []
    catalogue.set_moderation_state("c1", status="hidden")
    assert noted("content") == [("c1", "U", {"status": "active"}, {"status": "hidden"})]


def test_raw_sql_and_bulk_writes_are_noted_and_a_sync_that_changes_nothing_is_not():
    contents = [NewContent(f"c{number}", "creator", NOW, {"caption": "x"}) for number in range(50)]
    register_contents(contents)
    register_contents(contents)
    assert noted("content") == []
    with connection.cursor() as cursor:
        cursor.execute("UPDATE content SET language = 'de' WHERE content_id IN ('c7', 'c8')")
    assert noted("content") == [
        ("c7", "U", {"language": ""}, {"language": "de"}), ("c8", "U", {"language": ""}, {"language": "de"}),
    ]  # fmt: skip
    register_contents([NewContent(each.content_id, "thief", NOW, {"caption": "x"}) for each in contents[:2]])
    assert noted("content", row_id="c0") == [("c0", "U", {"creator_id": "creator"}, {"creator_id": "thief"})]


def test_roles_flags_models_and_keys_are_noted_without_secrets():
    user = User.objects.create_user("ann", "ann@example.com", "a long demo password", is_staff=True)
    group = Group.objects.create(name="night shift")
    group.permissions.add(Permission.objects.get(codename="view_content"))
    user.groups.add(group)
    User.objects.filter(pk=user.pk).update(is_superuser=True)
    assert [op for _, op, _, _ in noted("auth_group_permissions")] == ["I"]
    assert [op for _, op, _, _ in noted("auth_user_groups")] == ["I"]
    assert noted("auth_user", op="U") == [(str(user.pk), "U", {"is_superuser": False}, {"is_superuser": True})]
    model = ModelVersion.objects.create(version="v1", kind="any", feature_set="x", trained_until=timezone.now())
    model.state = "champion"
    model.save()
    assert noted("model_version", op="U") == [("v1", "U", {"state": "candidate"}, {"state": "champion"})]
    _, secret = api_keys.create_key("server")
    TOTPDevice.objects.create(user=user, name="phone").delete()
    assert [op for _, op, _, _ in noted("otp_totp_totpdevice")] == ["I", "D"]
    written = "".join(str(row) for table in ("auth_user", "api_key", "otp_totp_totpdevice") for row in noted(table))
    assert secret[:8] in written
    assert secret not in written
    for secret in ("password", "digest", "ann@example.com", "'key'"):
        assert secret not in written


def test_who_did_it_is_noted_for_staff_and_forgotten_afterwards(client):
    root = User.objects.create_superuser("root")
    client.force_login(root)
    answer = client.post("/admin/auth/group/add/", {"name": "night shift"})
    assert answer.status_code == 302
    row = ChangeHistory.objects.get(table="auth_group", op="I", after__name="night shift")
    assert row.actor == f"staff {root.pk}"
    Group.objects.create(name="by a shell")
    assert ChangeHistory.objects.get(table="auth_group", after__name="by a shell").actor == ""
    page = client.get("/admin/dashboards/changehistory/?q=" + row.row_id)
    assert page.status_code == 200
    assert f"staff {root.pk}" in page.content.decode()


def test_the_history_refuses_to_be_changed_and_gives_way_to_an_erasure_alone():
    clip("c1")
    catalogue.set_moderation_state("c1", status="hidden")
    rows = ChangeHistory.objects.filter(row_id="c1")
    for change in (rows.delete, lambda: rows.update(actor="nobody")):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('recsys.erasing', 'on', true)")
        rows.delete()
    assert not rows.exists()
