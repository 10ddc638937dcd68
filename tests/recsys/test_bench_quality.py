"""The quality benchmark: cuts that do not leak, a measure that agrees with the metrics, peers, bars, chance."""

import json
from datetime import date
from importlib.util import find_spec

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from features.embeddings.encoder_training import EncoderConfig
from recsys.benchmarks import quality, quality_data, quality_ours, quality_peers, retrieval_data
from recsys.benchmarks.quality_data import Log, cut, dealt, moments, split
from recsys.benchmarks.quality_finding import Asked, Found, Measure, ask_same, find
from recsys.benchmarks.quality_peers import PeerMissingError
from recsys.benchmarks.results import Options
from recsys.benchmarks.scratch import BenchmarkFailedError

DAY_S = 86_400.0
CONTENTS = 60


@pytest.fixture(scope="module")
def log():
    """Four weeks of users who meet contents of their own third, and enjoy the even ones of it."""
    rng = np.random.default_rng(0)
    users, each = 300, 24
    user = np.repeat(np.arange(users), each)
    row = (rng.integers(0, CONTENTS // 3, users * each)) * 3 + user % 3
    time_s = np.sort(rng.random((users, each)) * 28 * DAY_S, axis=1).ravel()
    happy = rng.random(users * each) < np.where(row % 2 == 0, 0.8, 0.1)
    return Log("jsonl", user, row, time_s, happy, CONTENTS)


def test_nothing_after_the_cut_is_learned_from_and_a_target_was_never_met(log):
    start, span = moments(log, None)
    found = split(log, start, span)
    past = log.time_s < start
    assert len(found.fit_row) == (past & log.happy).sum()
    met = set(zip(log.user[past].tolist(), log.row[past].tolist(), strict=True))
    targets = list(zip(found.target_user.tolist(), found.target_row.tolist(), strict=True))
    assert targets
    assert not met & set(targets)
    assert set(zip(found.met_user.tolist(), found.met_row.tolist(), strict=True)) == met
    assert found.popularity["all"].sum() == (past & log.happy).sum()
    assert found.met_popularity["all"].sum() == past.sum()


def test_the_tuning_split_ends_where_the_test_begins(log):
    trial = cut(log, None)
    start, span = moments(log, None)
    assert len(trial.tune.fit_row) == ((log.time_s < start - span) & log.happy).sum()
    later = log.rows(np.flatnonzero(log.time_s < start))
    again = split(later, start - span, span)
    assert np.array_equal(again.target_row, trial.tune.target_row), "tuning sees nothing of the test"


def test_permuting_the_future_changes_no_score(log):
    start, span = moments(log, None)
    order = np.arange(len(log.row))
    later = np.flatnonzero(log.time_s >= start)
    order[later] = np.random.default_rng(1).permutation(later)
    other = dealt(log, order)
    assert not np.array_equal(other.row, log.row)
    asked = Asked.of(split(log, start, span))
    config = EncoderConfig(epochs=1)
    one, two = (
        quality_ours.fit_channels(split(each, start, span), CONTENTS, config, lambda *_: None) for each in (log, other)
    )
    for name, table in one.tables(asked).items():
        assert np.array_equal(table, two.tables(asked)[name]), name
    for name, scores in one.shared.items():
        assert np.array_equal(scores, two.shared[name]), name


def test_a_day_to_train_until_is_a_day_of_the_log(log):
    first = Log(log.name, log.user, log.row, log.time_s + 1_651_000_000, log.happy, CONTENTS)
    start, span = moments(first, date(2022, 5, 19))
    assert start == 1_653_004_800, "20 May, midnight UTC"
    assert start + span > first.time_s.max()
    with pytest.raises(BenchmarkFailedError, match=r"cannot be cut at 2031-01-01"):
        moments(first, date(2030, 12, 31))
    with pytest.raises(BenchmarkFailedError, match="twice"):
        moments(first, date(2022, 5, 1))


def test_the_measure_counts_ranks_as_the_metrics_do(log):
    trial = cut(log, None)
    asked = Asked.of(trial.tune)
    scores = np.random.default_rng(2).random((len(asked), CONTENTS)).astype(np.float32)
    by_user = dict(zip(asked.user.tolist(), scores, strict=True))
    found = find(asked, lambda part: np.stack([by_user[user] for user in part.user.tolist()]))
    measure = Measure(asked, trial.tune.popularity["all"])
    assert measure.figures(scores) == pytest.approx([found.ndcg.mean(), found.recall[100].mean()])
    assert measure(np.tile(trial.tune.popularity["all"].astype(np.float32), (len(asked), 1))) <= 1.0 + 1e-9


def test_scoring_all_alike_finds_nothing(log):
    trial = cut(log, None)
    asked = Asked.of(trial.tune)
    measure = Measure(asked, trial.tune.popularity["all"])
    assert measure.figures(np.zeros((len(asked), CONTENTS), np.float32))[0] == 0.0


def test_what_was_met_tells_more_than_what_was_enjoyed_and_the_fusion_uses_it(log):
    trial = cut(log, None)
    measure = Measure(Asked.of(trial.tune), trial.tune.popularity["all"])
    ours = quality_ours.fit_all(trial, measure, quick=True, progress=quality._bar)
    asked = Asked.of(trial.test)
    found = {name: find(asked, ask, setting=told) for name, (ask, _, told) in ours.asks.items()}
    popular = find(asked, ask_same(trial.test.popularity["all"]))
    assert found[quality.FUSED].ndcg.mean() > 1.5 * popular.ndcg.mean()
    assert "met +" in found[quality.FUSED].setting
    assert "met" not in found[quality.LINEAR].setting


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_scrambled_labels_are_found_as_well_as_by_popularity(log, seed):
    trial = cut(dealt(log, np.random.default_rng(seed).permutation(len(log.row))), None)
    measure = Measure(Asked.of(trial.tune), trial.tune.popularity["all"])
    ours = quality_ours.fit_all(trial, measure, quick=True, progress=quality._bar)
    asked = Asked.of(trial.test)
    popular = find(asked, ask_same(trial.test.popularity["all"]))
    for name, (ask, _, _) in ours.asks.items():
        difference = quality.interval(find(asked, ask).ndcg - popular.ndcg)
        assert difference.low < 0.02, f"{name} finds more than chance in scrambled labels"


def test_settings_are_drawn_once_and_data_falls_away_where_all_that_was_met_was_enjoyed(log):
    trial = cut(log, None)
    peers = {peer.name: peer for peer in quality_peers.PEERS}
    for name in ("iALS", "BPR", "item-kNN"):
        drawn = peers[name].drawn(trial.tune, quick=False)
        assert len(drawn) >= 10, "a fair search has ten settings"
        assert drawn == peers[name].drawn(trial.tune, quick=False)
        assert {each["data"] for each in drawn} == {"enjoyed", "met"}
    order = retrieval_data.made().tune
    assert {each["data"] for each in peers["iALS"].drawn(order, quick=False)} == {"enjoyed"}


def test_ease_is_searched_and_finds_what_it_should(log):
    trial = cut(log, None)
    measure = Measure(Asked.of(trial.tune), trial.tune.popularity["all"])
    [ease] = [peer for peer in quality_peers.PEERS if peer.name == "EASE"]
    chosen = quality_peers.search(ease, trial.tune, trial.test, CONTENTS, measure, quick=False)
    asked = Asked.of(trial.test)
    assert chosen.tried == 12
    assert find(asked, chosen.ask).ndcg.mean() > find(asked, ask_same(trial.test.popularity["all"])).ndcg.mean()


@pytest.mark.parametrize("name", ["item-kNN", "iALS", "BPR"])
def test_a_peer_of_implicit_answers_or_says_which_file_names_it(log, name):
    trial = cut(log, None)
    [peer] = [each for each in quality_peers.PEERS if each.name == name]
    if find_spec("implicit") is None:
        with pytest.raises(PeerMissingError, match=r"requirements-bench\.txt"):
            peer.prepare(trial.test, CONTENTS)
        return
    asked = Asked.of(trial.test)
    with threadpool_limits(1):
        scores = peer.prepare(trial.test, CONTENTS)(peer.drawn(trial.tune, quick=False)[0])(asked)
    assert scores.shape == (len(asked), CONTENTS)
    assert np.isfinite(scores).all()


def test_kuairand_has_bars_of_ratio_and_of_difference():
    def found(level):
        values = np.full(50, level)
        return Found(values, values, dict.fromkeys((20, 100, 500), values), np.zeros((50, 20), int), 1.0, 1.0)

    def bars(ours):
        every = {"popular 1 d": found(0.2), "EASE": found(0.4), quality.LINEAR: found(0.3), quality.FUSED: found(ours)}
        trial = retrieval_data.Trial("kuairand", CONTENTS, *[_some_split()] * 2)
        return [bar.holds for bar in quality.judge(trial, every).bars]

    assert not bars(0.45)[0], "peers that were not measured were not beaten"

    assert bars(0.45)[1:] == [True, True, True, True]
    assert bars(0.435)[1:] == [True, True, False, True], "a ratio of 1.0875 is enough for recall alone"
    assert bars(0.39)[1:] == [False, False, False, False]


def _some_split():
    ids = np.arange(3)
    return retrieval_data.Split(*[ids] * 8, {"all": np.ones(CONTENTS)}, ids, ids, {"all": np.ones(CONTENTS)})


def test_a_jsonl_of_ones_own_is_read_as_the_importer_reads_it(tmp_path):
    path = tmp_path / "mine.jsonl"
    nine = {"event_type": "view", "user_id": "u1", "watch_duration": 9}
    events = [
        {"kind": "content", "content_id": "v1", "creator_id": "c", "upload_timestamp": "2026-01-01T00:00:00Z",
         "duration_s": 8.0, "metadata": {"caption": "a cat", "tags": ["pets"]}},
        nine | {"content_id": "v1", "timestamp": "2026-01-02T00:00:00Z"},
        nine | {"content_id": "v2", "timestamp": "2026-01-02T00:01:00Z"},
        {"event_type": "impression", "user_id": "u2", "content_id": "v1", "timestamp": "2026-01-02T00:02:00Z"},
        {"event_type": "like", "user_id": "u2", "content_id": "v2", "timestamp": "2026-01-02T00:03:00Z"},
        {"event_type": "hide", "user_id": "u2", "content_id": "v1", "timestamp": "2026-01-02T00:04:00Z"},
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, events)) + "\n")
    log = quality_data.read_log("jsonl", path)
    assert log.user.tolist() == [0, 0, 1, 1]
    assert log.row.tolist() == [0, 1, 0, 1]
    assert log.happy.tolist() == [True, False, False, True], "9 s are all of 8 s, but of an unknown length not 18"
    assert log.texts == ("a cat pets", "")
    assert quality_data.guessed(path) == "jsonl"


def test_a_path_of_something_else_and_an_order_without_days_are_refused(tmp_path):
    with pytest.raises(BenchmarkFailedError, match="is no movielens"):
        quality_data.load(None, tmp_path, None)
    (tmp_path / "sequences.csv.gz").write_bytes(b"")
    with pytest.raises(BenchmarkFailedError, match="an order without times"):
        quality_data.load(None, tmp_path, date(2022, 4, 29))
    with pytest.raises(BenchmarkFailedError, match="a log with times"):
        quality.run(Options(mode="future"))
