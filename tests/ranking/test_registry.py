"""One champion at any time, no half model, and serving that goes on whatever is broken."""

import logging
import shutil
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import IntegrityError, connections, transaction

from features.extraction.definitions import FEATURE_SET
from ranking import registry
from ranking.models import ModelVersion
from ranking.ranker.bundle import BundleError, FeatureSetError
from ranking.registry import GateError, NothingToRollBackError, UnknownVersionError
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
def model_dir(settings, tmp_path):
    settings.MODEL_DIR = tmp_path / "models"
    registry.forget()
    yield settings.MODEL_DIR
    registry.forget()


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
        assert registry.serving_of(pointers[1]).version == first, "it is tried again in a second"
        registry.forget()
        assert registry.serving_of(pointers[1]).version == second


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
