"""One champion at any time, no half model, and serving that goes on whatever is broken."""

import json
import logging
import shutil
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import DatabaseError, IntegrityError, connections, transaction

from features.extraction.definitions import FEATURE_SET
from ranking import registry, serving_models
from ranking.model_files import Pointer
from ranking.models import ModelAlert, ModelMove, ModelVersion
from ranking.queries import open_model_alerts
from ranking.ranker.bundle import BundleError, FeatureSetError, sha256_of
from ranking.registry import GateError, NothingToRollBackError, StateError, UnknownVersionError
from ranking.serving_models import Canary, pointer_of, pointer_to
from tests.ranking.ranker.graphs import plain_graph

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DIMS = {"user": 1, "content": 2, "context": 1}
GOOD = {
    "train_examples": 9000,
    "test": {"examples": 900, "auc": 0.7, "auc_interval": {"low": 0.65, "high": 0.75}},
    "champion": None,
}
POOR = GOOD | {"test": {"examples": 900, "auc": 0.51, "auc_interval": {"low": 0.47, "high": 0.55}}}


@pytest.fixture(autouse=True)
def model_dir(settings, tmp_path, monkeypatch):
    settings.MODEL_DIR = tmp_path / "models"
    # A new process: versions of the same content have the same name in every test, and would be at hand.
    monkeypatch.setattr(serving_models, "_models", serving_models._Models())
    return settings.MODEL_DIR


def register(bias=0.0, metrics=GOOD):
    return registry.register(
        plain_graph(DIMS, bias), kind="mlp", dims=DIMS, config={"seed": 7}, metrics=metrics, trained_until=NOW, now=NOW
    )


def promote(version, hours=0, **how):
    return registry.promote(version, now=NOW + timedelta(hours=hours), **how)


def score(bundle):
    rows = np.ones((1, 2), np.float32)
    return float(bundle.score_rows({"user": rows[:, :1], "content": rows, "context": rows[:, :1]})[0])


def states():
    return dict(ModelVersion.objects.order_by("version").values_list("version", "state"))


@pytest.mark.django_db
def test_registered_model_is_whole_and_does_not_serve_yet(model_dir):
    version = register(bias=1.0)
    assert states() == {version: "candidate"}
    assert sorted(path.name for path in model_dir.iterdir()) == [version]
    assert registry.champion() is None
    assert registry.champion_version() is None
    assert score(registry.load_version(version)) == pytest.approx(0.04)


@pytest.mark.django_db
def test_same_model_registered_twice_is_one_version():
    assert register() == register()
    assert ModelVersion.objects.count() == 1


@pytest.mark.django_db
def test_graph_that_cannot_run_leaves_nothing_behind(model_dir):
    with pytest.raises(BundleError, match="not a graph"):
        registry.register(b"no graph", kind="mlp", dims=DIMS, config={}, metrics=GOOD, trained_until=NOW, now=NOW)
    assert list(model_dir.iterdir()) == []
    assert ModelVersion.objects.count() == 0


@pytest.mark.django_db
def test_leftovers_of_a_crash_are_swept_a_day_later_and_not_before(model_dir):
    old, fresh = model_dir / ".unfinished-old", model_dir / ".unfinished-fresh"
    for folder in (old, fresh):
        folder.mkdir(parents=True)
    registry.register(
        plain_graph(DIMS), kind="mlp", dims=DIMS, config={}, metrics=GOOD, trained_until=NOW,
        now=datetime.fromtimestamp(old.stat().st_mtime, UTC) + timedelta(hours=23),
    )  # fmt: skip
    assert old.exists()
    registry.register(
        plain_graph(DIMS, 2.0), kind="mlp", dims=DIMS, config={}, metrics=GOOD, trained_until=NOW,
        now=datetime.fromtimestamp(old.stat().st_mtime, UTC) + timedelta(hours=25),
    )  # fmt: skip
    assert not old.exists()
    assert not fresh.exists()


@pytest.mark.django_db
def test_folder_left_by_a_crash_before_its_row_is_replaced(model_dir):
    version = register()
    ModelVersion.objects.all().delete()
    (model_dir / version / "ranker.onnx").write_bytes(b"half")
    assert register() == version
    assert score(registry.load_version(version)) == pytest.approx(0.03)


@pytest.mark.django_db
def test_promotion_changes_what_serves_at_once():
    first, second = register(1.0), register(2.0)
    assert promote(first).previous is None
    assert score(registry.champion()) == pytest.approx(0.04)
    assert promote(second, hours=1).previous == first
    assert score(registry.champion()) == pytest.approx(0.05)
    assert registry.champion().version == registry.champion_version() == second
    assert states() == {first: "archived", second: "champion"}


@pytest.mark.django_db
def test_promoting_the_champion_again_changes_nothing():
    version = register()
    promote(version)
    assert promote(version, hours=5).previous == version
    assert ModelVersion.objects.get().promoted_at == NOW


@pytest.mark.django_db
def test_model_that_failed_its_gates_serves_only_when_told_so():
    version = register(metrics=POOR)
    with pytest.raises(GateError, match=r"AUC 0\.5100 may be chance"):
        promote(version)
    assert states() == {version: "candidate"}
    promote(version, despite_gates=True)
    assert states() == {version: "champion"}


@pytest.mark.django_db
def test_unknown_version_is_named():
    with pytest.raises(UnknownVersionError, match="'nothing'"):
        promote("nothing")


@pytest.mark.django_db
@pytest.mark.parametrize("damage", [lambda f: (f / "ranker.onnx").write_bytes(b"x"), shutil.rmtree])
def test_damaged_model_is_never_promoted(model_dir, damage):
    first, second = register(1.0), register(2.0)
    promote(first)
    damage(model_dir / second)
    with pytest.raises(BundleError):
        promote(second)
    assert registry.champion_version() == first
    refused = ModelMove.objects.get(version=second)
    assert (refused.action, len(refused.gates)) == ("refused", 1)


@pytest.mark.django_db
def test_model_of_another_feature_set_is_never_promoted(monkeypatch):
    version = register()
    monkeypatch.setattr(registry, "FEATURE_SET", "newer")
    with pytest.raises(FeatureSetError, match=f"{FEATURE_SET}, the code has newer"):
        promote(version)


@pytest.mark.django_db
def test_roll_back_goes_back_step_by_step_and_never_to_what_was_rolled_back():
    first, second, third = register(1.0), register(2.0), register(3.0)
    for hour, version in enumerate((first, second)):
        promote(version, hours=hour)
    assert registry.roll_back(now=NOW).version == first
    assert score(registry.champion()) == pytest.approx(0.04)
    promote(third, hours=2)
    report = registry.roll_back(now=NOW)
    assert (report.previous, report.version) == (third, first)
    with pytest.raises(NothingToRollBackError, match=f"{first} is the first champion"):
        registry.roll_back(now=NOW)


@pytest.mark.django_db
def test_version_promoted_anew_after_a_roll_back_is_a_goal_again():
    first, second, third = register(1.0), register(2.0), register(3.0)
    promote(first)
    promote(second, hours=1)
    registry.roll_back(now=NOW)
    promote(second, hours=2)
    promote(third, hours=3)
    assert registry.roll_back(now=NOW).version == second


@pytest.mark.django_db
def test_roll_back_goes_to_the_one_before_also_where_clocks_and_waiting_mixed_up_the_moments():
    versions = [register(float(number)) for number in range(4)]
    for hour, version in zip((5, 9, 1, 3), versions, strict=True):
        promote(version, hours=hour)
    assert [registry.roll_back(now=NOW).version for _ in range(3)] == versions[2::-1]


@pytest.mark.django_db
def test_nothing_to_roll_back_is_said():
    with pytest.raises(NothingToRollBackError, match="no model serves"):
        registry.roll_back(now=NOW)


@pytest.mark.django_db
def test_serving_keeps_the_old_bundle_when_the_new_one_is_damaged_and_says_so_once(model_dir, caplog):
    first, second = register(1.0), register(2.0)
    promote(first)
    assert registry.champion().version == first
    promote(second, hours=1)
    (model_dir / second / "ranker.onnx").write_bytes(b"x")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            registry.forget()
            assert registry.champion().version == first
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1
    assert f"serving goes on with {first}, because {second}" in caplog.text


@pytest.mark.django_db
def test_serving_reads_the_pointer_at_most_once_a_second(django_assert_num_queries):
    promote(register())
    with django_assert_num_queries(1):
        for _ in range(50):
            registry.champion()


@pytest.mark.django_db
def test_who_knows_the_pointer_gets_its_bundle_without_a_query(model_dir, django_assert_num_queries):
    first, second = register(1.0), register(2.0)
    pointers = [
        registry.Pointer(row.version, row.artefacts["manifest.json"])
        for row in (ModelVersion.objects.get(version=each) for each in (first, second))
    ]
    with django_assert_num_queries(0):
        assert [registry.serving_of(each).version for each in pointers] == [first, second]
        assert registry.serving_of(None) is None
        assert registry.serving_of(pointers[0]).version == first
        wrong = registry.Pointer(second, "0" * 64)
        assert registry.serving_of(wrong).version == first, "not the model that was promoted"
        assert registry.serving_of(pointers[1]).version == second, "what is loaded needs no second try"


@pytest.mark.django_db
def test_what_could_not_be_loaded_is_tried_again_after_a_second_and_not_by_every_request(model_dir):
    first, second = register(1.0), register(2.0)
    promote(first)
    assert registry.champion().version == first
    kept = model_dir.parent / "kept"
    (model_dir / second).rename(kept)
    pointer = pointer_to(ModelVersion.objects.get(version=second))
    assert registry.serving_of(pointer).version == first
    kept.rename(model_dir / second)
    assert registry.serving_of(pointer).version == first, "it is tried again in a second"
    registry.forget()
    assert registry.serving_of(pointer).version == second


@pytest.mark.django_db
def test_database_allows_no_second_champion():
    first, second = register(1.0), register(2.0)
    promote(first)
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelVersion.objects.filter(version=second).update(state="champion")


@pytest.mark.django_db(transaction=True)
def test_promotions_at_the_same_moment_leave_one_champion_and_a_line_of_predecessors():
    versions = [register(float(number)) for number in range(6)]
    barrier, failures = threading.Barrier(len(versions)), []

    def run(version, hour):
        try:
            barrier.wait()
            promote(version, hours=hour)
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(v, hour)) for hour, v in enumerate(versions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(states().values()) == ["archived"] * 5 + ["champion"]
    assert registry.champion().version == registry.champion_version()


@pytest.mark.django_db
def test_decisions_are_kept_with_who_and_why_and_so_are_refusals():
    first, poor = register(1.0), register(2.0, metrics=POOR)
    promote(first, by="mia", reason="the first")
    with pytest.raises(GateError):
        promote(poor, by="mia", reason="a try")
    promote(poor, by="mia", reason="I know better", despite_gates=True)
    registry.roll_back(now=NOW, by="leo", reason="complaints")
    moves = list(ModelMove.objects.order_by("id").values_list("version", "action", "before", "made_by", "reason"))
    assert moves == [
        (first, "promoted", "", "mia", "the first"),
        (poor, "refused", first, "mia", "a try"),
        (poor, "promoted", first, "mia", "I know better"),
        (first, "rolled back to", poor, "leo", "complaints"),
    ]
    said = [move.gates for move in ModelMove.objects.order_by("id")]
    assert [len(each) for each in said] == [0, 1, 1, 0]
    assert "may be chance" in said[1][0]


@pytest.mark.django_db
@pytest.mark.parametrize("signed", [{"by": " "}, {"reason": ""}])
def test_a_decision_without_a_name_or_a_reason_is_refused(signed):
    version = register()
    for act in (
        lambda: promote(version, **signed), lambda: registry.roll_back(now=NOW, **signed),
        lambda: registry.canary(version, 5, now=NOW, **signed), lambda: registry.archive(version, now=NOW, **signed),
    ):  # fmt: skip
        with pytest.raises(StateError, match="needs a"):
            act()
    assert states() == {version: "candidate"}


@pytest.mark.django_db
def test_decisions_are_never_changed_or_deleted():
    promote(register())
    for change in (ModelMove.objects.all().delete, lambda: ModelMove.objects.update(reason="another")):
        with pytest.raises(DatabaseError, match="never changed or deleted"), transaction.atomic():
            change()


@pytest.mark.django_db
def test_there_is_one_canary_and_one_shadow_and_promotion_ends_both():
    first, second, third = register(1.0), register(2.0), register(3.0)
    promote(first)
    registry.shadow(second, 20, now=NOW)
    registry.canary(second, 5, now=NOW)
    assert states() == {first: "champion", second: "canary", third: "candidate"}
    registry.canary(third, 10, now=NOW)
    assert states() == {first: "champion", second: "candidate", third: "canary"}
    assert ModelVersion.objects.get(version=third).share_pct == 10
    promote(third, hours=1)
    assert states() == {first: "archived", second: "candidate", third: "champion"}
    assert ModelVersion.objects.get(version=third).share_pct is None
    registry.archive(second, now=NOW)
    assert states()[second] == "archived"
    assert registry.roll_back(now=NOW).version == first, "what never served is no goal"


@pytest.mark.django_db
@pytest.mark.parametrize("share", [0, 101, -3])
def test_a_share_that_is_none_is_named(share):
    with pytest.raises(StateError, match=f"1 to 100 percent, got {share}"):
        registry.canary(register(), share, now=NOW)


@pytest.mark.django_db
def test_the_champion_is_neither_tried_out_nor_archived():
    version = register()
    promote(version)
    for act in (registry.canary, registry.shadow):
        with pytest.raises(StateError, match="serves everybody already"):
            act(version, 5, now=NOW)
    with pytest.raises(StateError, match="roll back instead"):
        registry.archive(version, now=NOW)
    assert states() == {version: "champion"}


@pytest.mark.django_db
def test_damaged_model_is_tried_out_by_nobody(model_dir):
    version = register()
    shutil.rmtree(model_dir / version)
    for act in (registry.canary, registry.shadow):
        with pytest.raises(BundleError):
            act(version, 5, now=NOW)
    assert states() == {version: "candidate"}


def test_a_canary_gets_the_stated_share_of_the_users_and_keeps_whom_it_had():
    champion = Pointer("champion", None)
    users = [f"user-{number}" for number in range(4_000)]

    def chosen(share, version="new"):
        canary = Canary(version, None, share)
        return {user for user in users if pointer_of(user, champion, canary).version == version}

    five, ten = chosen(5), chosen(10)
    assert 0.04 < len(five) / len(users) < 0.06
    assert 0.085 < len(ten) / len(users) < 0.115
    assert five < ten
    assert five == chosen(5), "the same users every time"
    assert len(five & chosen(5, "newer")) < len(five) / 2, "another canary is of other users"
    assert chosen(100) == set(users)


@pytest.mark.django_db
def test_users_of_a_canary_get_it_and_fall_back_to_the_champion_when_it_breaks(model_dir):
    first, second = register(1.0), register(2.0)
    promote(first)
    registry.canary(second, 50, now=NOW)
    users = [f"user-{number}" for number in range(40)]
    served = {user: registry.serving_for(user).version for user in users}
    assert set(served.values()) == {first, second}
    assert served == {user: registry.serving_for(user).version for user in users}
    assert registry.champion().version == first
    third = register(3.0)
    registry.canary(third, 50, now=NOW)
    (model_dir / third / "ranker.onnx").write_bytes(b"x")
    assert {registry.serving_for(user).version for user in users} == {first}


@pytest.mark.django_db
def test_a_process_that_starts_beside_a_damaged_champion_serves_the_one_before(model_dir, monkeypatch):
    first, second = register(1.0), register(2.0)
    promote(first)
    promote(second, hours=1)
    (model_dir / second / "manifest.json").unlink()
    monkeypatch.setattr(serving_models, "_models", serving_models._Models())
    assert registry.champion().version == first
    assert registry.champion_version() == second


@pytest.mark.django_db
def test_weights_that_are_no_numbers_never_get_into_the_repository(model_dir):
    with pytest.raises(BundleError, match="not finite"):
        register(bias=float("nan"))
    assert not ModelVersion.objects.exists()
    assert list(model_dir.iterdir()) == []


@pytest.mark.django_db
def test_weights_that_are_no_numbers_never_serve_even_where_the_hashes_hold(model_dir):
    first, second = register(1.0), register(2.0)
    promote(first)
    assert registry.champion().version == first
    folder, broken = model_dir / second, plain_graph(DIMS, float("nan"))
    (folder / "ranker.onnx").write_bytes(broken)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["ranker.onnx"] = sha256_of(broken)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    row = ModelVersion.objects.get(version=second)
    row.artefacts["manifest.json"] = sha256_of((folder / "manifest.json").read_bytes())
    row.save()
    with pytest.raises(BundleError, match="not finite"):
        promote(second)
    assert registry.serving_of(pointer_to(row)).version == first


@pytest.mark.django_db
def test_what_cannot_be_loaded_is_an_alert_until_it_can(model_dir):
    first, second = register(1.0), register(2.0)
    promote(first)
    registry.keep()
    promote(second, hours=1)
    graph = model_dir / second / "ranker.onnx"
    content = graph.read_bytes()
    graph.write_bytes(content[:-1] + b"x")
    registry.keep()
    (alert,) = open_model_alerts()
    assert (alert.version, alert.serving, alert.times) == (second, first, 1)
    assert "is damaged" in alert.message
    assert registry.check(now=NOW) == (second,)
    assert [each.times for each in open_model_alerts()] == [2], "one open alert, whoever noticed"
    graph.write_bytes(content)
    assert registry.check(now=NOW) == ()
    assert open_model_alerts() == []
    assert ModelAlert.objects.get().cleared_at == NOW


@pytest.mark.django_db
def test_roll_back_passes_over_what_is_damaged(model_dir):
    first, second, third = register(1.0), register(2.0), register(3.0)
    for hour, version in enumerate((first, second, third)):
        promote(version, hours=hour)
    shutil.rmtree(model_dir / second)
    assert registry.roll_back(now=NOW).version == first


@pytest.mark.django_db
def test_roll_back_changes_nothing_where_all_earlier_ones_are_damaged(model_dir):
    first, second = register(1.0), register(2.0)
    promote(first)
    promote(second, hours=1)
    shutil.rmtree(model_dir / first)
    with pytest.raises(BundleError, match="cannot be read"):
        registry.roll_back(now=NOW)
    assert registry.champion_version() == second


@pytest.mark.django_db
def test_forgotten_are_old_candidates_that_were_never_used_and_nothing_went_on_from(model_dir):
    used, parent, moved, idle = (register(float(number)) for number in range(4))
    child = register(9.0)
    promote(used)
    registry.shadow(moved, 5, now=NOW)
    ModelVersion.objects.filter(version=child).update(parent=parent)
    ModelVersion.objects.exclude(version=child).update(created_at=NOW - timedelta(days=4))
    assert registry.prune(now=NOW, keep_for=timedelta(days=3)) == 1
    assert set(states()) == {used, parent, moved, child}
    assert not (model_dir / idle).exists()
    assert (model_dir / parent).exists()


@pytest.mark.django_db
def test_a_model_that_takes_too_long_is_not_promoted():
    version = register()
    row = ModelVersion.objects.get()
    assert 0 < row.metrics["latency"]["ms_300"] < 1_000
    assert row.metrics["latency"]["champion_ms_300"] is None
    row.metrics["latency"] = {"ms_300": 80.0, "champion_ms_300": None}
    row.save()
    with pytest.raises(GateError, match=r"80\.0 ms for 300 candidates; at most 50 ms"):
        promote(version)
    row.metrics["latency"] = {"ms_300": 30.0, "champion_ms_300": 3.0}
    row.save()
    with pytest.raises(GateError, match=r"10\.0 times the champion's 3\.0 ms"):
        promote(version)
