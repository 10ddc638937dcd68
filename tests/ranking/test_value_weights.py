"""Value weights: every change is a version with a name and a reason, and it serves within a second, everywhere."""

import copy
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import InternalError, connections, transaction
from django.urls import reverse

from ranking import registry, value_weights
from ranking.models import ValueWeights
from ranking.ranker.value import DEFAULTS, SEGMENTS, TERMS, InvalidWeights, Policy
from ranking.value_admin import field_of
from ranking.value_weights import UnknownWeightsError
from tests.ranking.feeds import promote_model

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
LIST = "admin:ranking_valueweights_changelist"


def weights(**regular):
    """The defaults, but for some weights of regular users."""
    document = copy.deepcopy(Policy.default().document())
    document["regular"].update(regular)
    return document


def publish(reason="why not", **regular):
    return value_weights.publish(weights(**regular), by="ann", reason=reason, now=NOW)


@pytest.fixture
def serving(db, settings, tmp_path):
    """A champion, so that weights have something to weigh."""
    settings.MODEL_DIR = tmp_path / "models"
    registry.forget()
    promote_model(0.0)
    yield
    registry.forget()


def served_like():
    """The weight of a like for regular users, as serving sees it."""
    registry.forget()
    return registry.champion().policy.document()["regular"]["like"]


def test_defaults_serve_as_version_0_before_anybody_changed_them(serving):
    assert value_weights.current().version == 0
    assert registry.champion().policy.version == 0
    assert served_like() == DEFAULTS["like"]


def test_change_serves_without_training_and_says_who_why_and_when(serving):
    version = publish(like=7.5, reason=" likes grew rare ")
    assert served_like() == 7.5
    assert registry.champion().policy.version == version
    row = ValueWeights.objects.get()
    assert (row.made_by, row.reason, row.made_at, row.restores) == ("ann", "likes grew rare", NOW, None)


def test_earlier_version_is_restored_as_a_new_one(serving):
    first, second = publish(like=5.0), publish(like=9.0)
    third = value_weights.restore(first, by="ben", reason="9 was too much", now=NOW + timedelta(hours=1))
    assert first < second < third
    assert served_like() == 5.0
    assert ValueWeights.objects.get(pk=third).restores_id == first
    value_weights.restore(0, by="ben", reason="back to the start", now=NOW)
    assert served_like() == DEFAULTS["like"]


def test_versions_are_never_changed_or_deleted(db):
    publish()
    for change in (lambda: ValueWeights.objects.update(reason="another"), lambda: ValueWeights.objects.all().delete()):
        with pytest.raises(InternalError, match="never changed or deleted"), transaction.atomic():
            change()
    assert ValueWeights.objects.get().reason == "why not"


def test_what_must_not_serve_is_refused_and_leaves_no_row(db):
    for wrong in ({"like": float("nan")}, {"hide": 5.0}, {"like": 1e9}, {"like": "4"}, {"like": True}):
        with pytest.raises(InvalidWeights, match=next(iter(wrong))):
            publish(**wrong)
    for who, why in (("", "because"), ("ann", "  ")):
        with pytest.raises(InvalidWeights, match="needs a"):
            value_weights.publish(weights(), by=who, reason=why, now=NOW)
    with pytest.raises(UnknownWeightsError, match="no version 77"):
        value_weights.restore(77, by="ann", reason="hm", now=NOW)
    assert not ValueWeights.objects.exists()


def test_weights_are_looked_for_with_the_champion_in_one_query_a_second(serving, django_assert_num_queries):
    registry.champion()
    publish(like=5.0)
    registry.forget()
    with django_assert_num_queries(2):  # the pointers, and once the weights that are new
        registry.champion()
    registry.forget()
    with django_assert_num_queries(1):
        for _ in range(50):
            registry.champion()


def test_row_that_does_not_hold_leaves_the_weights_before_it_serving(serving, caplog):
    publish(like=5.0)
    assert served_like() == 5.0
    ValueWeights.objects.create(weights={"regular": {}}, made_by="a script", reason="past the service", made_at=NOW)
    assert served_like() == 5.0
    assert "missing ['casual', 'heavy', 'new']" in caplog.text


def test_change_is_seen_by_a_process_that_nobody_tells(serving):
    assert registry.champion().policy.version == 0
    version = publish(like=5.0)
    deadline = time.monotonic() + 5.0
    while registry.champion().policy.version != version and time.monotonic() < deadline:
        time.sleep(0.05)
    assert registry.champion().policy.document()["regular"]["like"] == 5.0


@pytest.mark.django_db(transaction=True)
def test_changes_at_the_same_moment_are_versions_one_after_the_other(settings, tmp_path):
    barrier, made = threading.Barrier(6), []

    def run(like):
        try:
            barrier.wait()
            made.append((publish(like=like), like))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(float(like),)) for like in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({version for version, _ in made}) == 6
    newest, like = max(made)
    serving = value_weights.current()
    assert (serving.version, serving.document()["regular"]["like"]) == (newest, like)


def form(reason="trying", **regular):
    document = weights(**regular)
    given = {field_of(segment, term): document[segment][term] for segment in SEGMENTS for term in TERMS}
    return given | {"reason": reason}


class TestAdmin:
    def test_form_starts_from_what_serves_and_makes_the_next_version(self, admin_client):
        publish(like=5.25)
        address = reverse("admin:ranking_valueweights_add")
        assert 'value="5.25"' in admin_client.get(address).content.decode()
        answer = admin_client.post(address, form(like=6.5), follow=True)
        assert "trying" in answer.content.decode()
        row = ValueWeights.objects.latest("id")
        assert (row.weights["regular"]["like"], row.made_by, row.reason) == (6.5, "admin", "trying")
        page = admin_client.get(reverse("admin:ranking_valueweights_change", args=[row.pk])).content.decode()
        assert "<td>6.5</td>" in page

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            (form(hide=3.0), "less than or equal to 0"),
            (form(like=-1.0), "greater than or equal to 0"),
            (form(like="nan"), "Enter a number"),
            (form(reason=" "), "required"),
            (form(**dict.fromkeys(TERMS, 0.0)), "segment regular has no weight but 0"),
        ],
    )
    def test_wrong_weights_are_said_on_the_form(self, admin_client, given, says):
        page = admin_client.post(reverse("admin:ranking_valueweights_add"), given).content.decode()
        assert says in page
        assert not ValueWeights.objects.exists()

    def test_restoring_asks_for_a_reason(self, admin_client):
        first, _ = publish(like=5.0), publish(like=9.0)
        act = {"action": "restore", "_selected_action": [first]}
        assert "needs a reason" in admin_client.post(reverse(LIST), act, follow=True).content.decode()
        page = admin_client.post(reverse(LIST), act | {"reason": "9 was too much"}, follow=True).content.decode()
        assert f"The weights of version {first} serve now" in page
        assert value_weights.current().document()["regular"]["like"] == 5.0

    def test_who_may_only_look_changes_nothing(self, client, django_user_model):
        analyst = django_user_model.objects.create_user("analyst", is_staff=True)
        analyst.user_permissions.add(Permission.objects.get(codename="view_valueweights"))
        client.force_login(analyst)
        first = publish()
        assert client.get(reverse(LIST)).status_code == 200
        assert client.post(reverse("admin:ranking_valueweights_add"), form()).status_code == 403
        client.post(reverse(LIST), {"action": "restore", "_selected_action": [first], "reason": "mine"})
        assert ValueWeights.objects.count() == 1
