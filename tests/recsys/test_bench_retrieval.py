"""The retrieval benchmark: metrics by hand, splits that do not leak, and a made world with a known best model."""

import gzip
import json

import numpy as np
import pytest

from recsys.benchmarks import retrieval, retrieval_data
from recsys.benchmarks.results import Options
from recsys.benchmarks.retrieval import evaluate, interval, ndcg_at
from recsys.benchmarks.retrieval_data import Split
from recsys.benchmarks.scratch import BenchmarkFailedError


def split_of(*, query, seen, target):
    def pairs(rows):
        return (
            np.array([user for user, row in rows], np.int64),
            np.array([row for user, row in rows], np.int64),
        )

    return Split(*pairs(query), *pairs(query), *pairs(seen), *pairs(target), {})


def test_metrics_are_those_written_out_by_hand():
    asked = []
    split = split_of(query=[(4, 0), (4, 1), (9, 2)], seen=[(4, 0), (4, 1), (9, 2)], target=[(4, 3), (4, 5), (9, 4)])

    def ask(positives):
        asked.append(positives.tolist())
        return np.array([9.0, 8.0, 7.0, 6.0, 5.0, 4.0])

    found = evaluate(split, 6, ask)
    assert asked == [[0, 1], [2]]
    # User 4 sees 2 3 4 5, targets at ranks 2 and 4; user 9 sees 0 1 3 4, its target at rank 4.
    best = 1 / np.log2(2) + 1 / np.log2(3)
    assert found.ndcg == pytest.approx([(1 / np.log2(3) + 1 / np.log2(5)) / best, 1 / np.log2(5)])
    assert found.recall[100].tolist() == [1.0, 1.0]


def test_a_seen_content_is_never_found():
    split = split_of(query=[(0, 1)], seen=[(0, 1)], target=[(0, 1)])
    found = evaluate(split, 600, lambda _: np.arange(600)[::-1])
    assert found.ndcg.tolist() == [0.0]
    assert found.recall[500].tolist() == [0.0]


def test_ndcg_counts_ten_places_only():
    hit = np.zeros(30, np.bool_)
    hit[10] = True
    assert ndcg_at(hit, 1) == 0.0
    hit[:10] = True
    assert ndcg_at(hit, 25) == pytest.approx(1.0)


def test_an_interval_of_equal_users_is_a_point_and_of_different_ones_holds_the_mean():
    assert interval(np.full(50, 0.25)) == pytest.approx((0.25, 0.25))
    values = np.random.default_rng(0).random(400)
    low, high = interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.15)


@pytest.fixture
def movielens(tmp_path):
    rows = [(user, position, 100 + (user + position) % 7) for user in (5, 2) for position in (2, 0, 1, 3, 4)]
    with gzip.open(tmp_path / "sequences.csv.gz", "wt") as stream:
        stream.write("user,position,movie_id\n" + "".join(f"{u},{p},{m}\n" for u, p, m in rows))
    (tmp_path / "movies.csv").write_text('movie_id,title,genres,plot\n102,A film,Drama|War,"A war,\nlost."\n')
    return tmp_path


def test_of_movielens_the_last_two_of_each_user_are_held_back(movielens):
    trial = retrieval_data.load(None, movielens)
    assert trial.name == "ml-1m"
    assert trial.texts[2] == "A film Drama War A war,\nlost."
    movie = np.array([100, 101, 102, 103, 104, 105, 106])
    assert movie[trial.test.fit_row].tolist() == [102, 103, 104, 105, 106, 100]
    assert movie[trial.tune.target_row].tolist() == [105, 101]
    assert movie[trial.tune.query_row].tolist() == [102, 103, 104, 105, 106, 100]
    assert movie[trial.test.target_row].tolist() == [106, 102]
    assert movie[trial.test.query_row].tolist() == [102, 103, 104, 105, 105, 106, 100, 101]


def day_ms(day, hour):
    """A moment of a day in April 2022, Beijing time."""
    return int(
        (np.datetime64(f"2022-04-{day:02d}T{hour:02d}:00") - np.timedelta64(8, "h")).astype("M8[ms]").astype(int)
    )


@pytest.fixture
def kuairand(tmp_path):
    log = [
        (1, 10, day_ms(28, 9), 1),
        (1, 11, day_ms(29, 0), 1),
        (1, 12, day_ms(29, 23), 0),
        (1, 12, day_ms(30, 1), 1),
        (1, 13, day_ms(30, 2), 1),
        (2, 14, day_ms(30, 3), 0),
    ]
    (tmp_path / "log_standard_4_25_to_4_30_pure.csv").write_text(
        "user_id,video_id,time_ms,long_view\n" + "".join(f"{u},{v},{t},{y}\n" for u, v, t, y in log)
    )
    with gzip.open(tmp_path / "history_before_4_25.csv.gz", "wt") as stream:
        stream.write("user_id,pos_in_history,video_id,long_view,is_like,history_len,last_time_ms\n")
        stream.write(f"1,1,15,1,0,2,{day_ms(24, 9)}\n1,0,16,1,0,2,{day_ms(24, 9)}\n")
    return tmp_path


def test_of_kuairand_the_last_day_is_asked_and_what_was_met_before_is_no_target(kuairand):
    trial = retrieval_data.load("kuairand", kuairand)
    video = np.arange(10, 17)
    assert video[trial.test.fit_row].tolist() == [16, 15, 10, 11], "12 was met, not enjoyed; the history comes first"
    assert video[trial.test.target_row].tolist() == [13], "12 was met the day before"
    assert video[trial.test.seen_row].tolist() == [10, 11, 12, 15, 16]
    assert video[trial.tune.fit_row].tolist() == [16, 15, 10]
    assert video[trial.tune.target_row].tolist() == [11]
    assert trial.test.popularity["1 d"].tolist() == [0, 1, 0, 0, 0, 0, 0]


def test_a_folder_of_something_else_and_a_set_without_a_folder_are_refused(tmp_path):
    with pytest.raises(BenchmarkFailedError, match="is no folder of kuairand"):
        retrieval_data.load(None, tmp_path)
    with pytest.raises(BenchmarkFailedError, match="name its folder with --path"):
        retrieval_data.load("ml-1m", None)


def test_in_the_made_world_the_models_that_know_the_order_win_and_the_result_is_plain_data():
    result = retrieval.run(Options(quick=True))
    json.dumps(result.to_json())
    ndcg = {name.partition(":")[0]: value for name, value in result.figures.items() if name.endswith(": NDCG@10")}
    assert set(ndcg) >= {"popular all", "text, decayed", "word2vec, mean", "EASE", "SLIT", retrieval.FUSED}
    assert ndcg["popular all"] < ndcg["EASE"] < ndcg["SLIT"] < ndcg[retrieval.OURS]
    low, high = [value for name, value in result.figures.items() if f"{retrieval.FUSED}: Recall@100 over" in name]
    assert -1.0 <= low <= high <= 1.0
    assert result.bars == (), "a made world proves nothing about others"


def test_movielens_has_bars_and_a_model_below_them_is_named():
    weak = retrieval.Found(np.full(40, 0.1), {100: np.full(40, 0.5), 500: np.full(40, 0.9)}, fit_s=20.0, ask_s=11.0)
    found = dict.fromkeys(["SLIT", "two channels", retrieval.OURS, retrieval.FUSED], weak)
    trial = retrieval_data.Trial("ml-1m", 9, *[split_of(query=[(0, 1)], seen=[], target=[(0, 2)])] * 2)
    assert [bar.holds for bar in retrieval._judge(trial, found).bars] == [False, False, True]
