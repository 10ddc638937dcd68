"""The ranking half of the quality benchmark: on rows with a known answer, and on a log that goes the whole way."""

import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from events.columnar.interactions import ABSENT
from features import store
from features.extraction.definitions import CONTENT_DIM, CONTEXT_DIM, NAMES, USER_DIM
from ranking.ranker.examples import FeatureMatrix
from ranking.ranker.heads import COLUMN, HEADS, PRIMARY, Labels
from ranking.ranker.training_set import TrainingSet
from recsys.benchmarks import quality_exposures, quality_hybrid, quality_ranking
from recsys.benchmarks.quality_exposures import Exposures
from recsys.benchmarks.quality_peers import PeerMissingError
from recsys.benchmarks.quality_ranking import OURS, SOURCE, TREES, Ranked
from recsys.benchmarks.scratch import BenchmarkFailedError

NOW = datetime(2026, 11, 20, tzinfo=UTC)
TEST_ROWS = 20_000


def rows_of(rng, n):
    """Rows whose chance of a long view is known: it rises with one column of the user and one of the content."""
    features = FeatureMatrix(
        *(rng.normal(size=(n, width)).astype(np.float32) for width in (USER_DIM, CONTENT_DIM, CONTEXT_DIM))
    )
    chance = 1 / (1 + np.exp(0.6 - features.user[:, 0] - features.content[:, 1]))
    told = np.full((n, len(HEADS)), np.nan, np.float32)
    told[:, COLUMN[PRIMARY]] = rng.random(n) < chance
    watch_s = rng.exponential(5.0 + 20.0 * chance).astype(np.float32)
    return TrainingSet(features, Labels(told, watch_s), np.full(n, ABSENT, np.int16))


@pytest.fixture(scope="module")
def exposures():
    rng = np.random.default_rng(0)
    train, held_out, test = (rows_of(rng, n) for n in (4000, 800, TEST_ROWS))
    user = np.sort(rng.integers(0, 2000, TEST_ROWS))
    return Exposures("kuairand", train, held_out, test, user, user)


def test_every_ranker_finds_what_can_be_found_and_the_counters_nothing(exposures):
    found = quality_ranking.compare(exposures)
    result = quality_ranking.judge(exposures, found)
    json.dumps(result.to_json())
    assert len(result.rows) == 8, "measured or named as missing"
    for name in (OURS, SOURCE, *([TREES] if TREES in found else [])):
        assert result.figures[f"{name}: AUC"] > 0.6, name
        assert result.figures[f"{name}: log loss"] < np.log(2), name
    assert abs(result.figures["item counter: AUC"] - 0.5) < 0.02
    assert result.figures[f"{SOURCE}: AUC over source low"] == 0.0
    assert len(result.bars) == (7 if TREES in found else 1)
    assert result.figures[f"{OURS}: XAUC"] > 0.5


def test_signals_that_tell_nothing_cost_the_hybrid_what_they_weigh(exposures):
    result = quality_hybrid.judge(exposures, quality_hybrid.scores(exposures, quick=True))
    json.dumps(result.to_json())
    auc = [result.figures[f"session x {factor:g}: AUC"] for factor in quality_hybrid.FACTORS]
    assert auc == sorted(auc, reverse=True)
    assert result.figures["model alone: AUC"] > auc[0] - 0.05, "the other signals stay"
    low, high = (result.figures[f"{quality_hybrid.SERVED}: AUC over served {end}"] for end in ("low", "high"))
    assert low == high == 0.0


def test_the_hybrid_is_compared_pair_by_pair_with_what_serves(exposures):
    worth = (exposures.test.features.user[:, 0] + exposures.test.features.content[:, 1]).astype(np.float64)
    noise = np.random.default_rng(2).normal(size=len(worth))
    figures = quality_hybrid.judge(exposures, {"session x 0": worth, quality_hybrid.SERVED: worth + noise}).figures
    assert figures["session x 0: AUC over served low"] > 0.0


def test_scrambled_labels_give_an_auc_of_one_half(exposures):
    scrambled = quality_ranking.scramble(exposures, np.random.default_rng(1))
    found = quality_ranking.compare(scrambled, quick=True)
    bars = quality_ranking.judge(scrambled, found, scrambled=True).bars
    assert [bar.name for bar in bars if not bar.holds] == []
    assert len(bars) == (3 if TREES in found else 2)


def test_a_missing_peer_names_the_file_that_pins_it(exposures, monkeypatch):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(quality_ranking, "import_module", missing)
    with pytest.raises(PeerMissingError, match=r"lightgbm, pinned in requirements-bench\.txt"):
        quality_ranking._trees(exposures)


def test_a_head_is_judged_where_its_answer_is_known(exposures):
    label = exposures.test.labels.of(PRIMARY).astype(float)
    heads = dict.fromkeys(HEADS, np.full(TEST_ROWS, label.mean()))
    errors = quality_ranking.head_errors(exposures, Ranked(label, heads, None, 0.0, 0.0))
    assert set(errors) == {PRIMARY}
    assert errors[PRIMARY] < 0.05


@pytest.fixture
def places(db, settings, tmp_path):
    settings.SNAPSHOT_DIR, settings.MODEL_DIR = tmp_path / "snapshots", tmp_path / "models"
    store.forget()
    yield tmp_path
    store.forget()


def write_log(path, *, later="ocean"):
    """Twelve days of sessions of six clips; from the eleventh day on everybody watches the family `later` names."""
    rng = np.random.default_rng(2)
    lines = [
        {"kind": "content", "content_id": f"v{number}", "creator_id": f"c{number % 5}", "duration_s": 10.0,
         "upload_timestamp": "2026-10-01T00:00:00Z", "metadata": {"caption": f"{family(number)} {number}"}}
        for number in range(40)
    ]  # fmt: skip
    for day in range(12):
        for user in range(50):
            at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=day, minutes=int(rng.integers(0, 1300)))
            for number in rng.choice(40, 6, replace=False).tolist():
                wanted = ("ocean", "neon")[user % 2] if day < 10 else later
                shown = {"user_id": f"u{user}", "content_id": f"v{number}", "timestamp": at.isoformat()}
                watched = {"watch_duration": 10.0 if family(number) == wanted else 1.0}
                after = {"timestamp": (at + timedelta(seconds=11)).isoformat()}
                lines += [shown | {"event_type": "impression"}, shown | {"event_type": "view"} | watched | after]
                at += timedelta(seconds=30)
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return path


def family(number):
    return ("ocean", "neon")[number % 2]


def test_a_log_goes_the_way_of_the_product_and_features_stand_still_within_a_session(places):
    log = write_log(places / "mine.jsonl")
    found = quality_exposures.load("jsonl", log, date(2026, 11, 10), now=NOW)
    assert len(found.test) == 2 * 50 * 6
    assert len(found.learned_from) + len(found.held_out) == 10 * 50 * 6
    rate = found.test.features.user[:, NAMES["user"].index("user_long_rate_7d")]
    of_session = [np.unique(rate[found.session == session]) for session in np.unique(found.session)]
    assert all(len(values) == 1 for values in of_session), "no counter moves within a session"
    assert len(np.unique(rate)) > 10
    label = found.test.labels.of(PRIMARY)
    assert set(np.unique(label).tolist()) == {0.0, 1.0}


def test_what_happens_after_the_cut_changes_no_row_that_is_learned_from(places):
    def learned(later):
        found = quality_exposures.load("jsonl", write_log(places / f"{later}.jsonl", later=later), UNTIL, now=NOW)
        return found.learned_from.features, found.learned_from.labels

    (before, outcomes) = learned("ocean")
    _empty_database()
    (after, same) = learned("neon")
    for block in ("user", "content", "context"):
        assert np.array_equal(getattr(before, block), getattr(after, block)), block
    assert np.array_equal(outcomes.of(PRIMARY), same.of(PRIMARY))


UNTIL = date(2026, 11, 10)


def _empty_database():
    """The same world without a log."""
    from django.core.management import call_command  # noqa: PLC0415

    call_command("flush", interactive=False, verbosity=0)
    store.forget()


def test_an_order_without_times_and_too_small_a_log_are_refused(places, tmp_path):
    with pytest.raises(BenchmarkFailedError, match="needs a log with times"):
        quality_exposures.load(None, None, None, now=NOW)
    (tmp_path / "sequences.csv.gz").write_bytes(b"")
    with pytest.raises(BenchmarkFailedError, match="an order without times"):
        quality_exposures.load(None, tmp_path, None, now=NOW)
