import numpy as np
import pytest

from features.extraction.definitions import FEATURES, NAMES
from features.extraction.habits import Weighted
from features.extraction.past import FLAGS, encounters, followed_creators, resolve
from features.extraction.user import taste_vector, user_columns, watch_quantile
from tests.features.logs import HOUR, T0, event, history_of, snapshot_of

SNAPSHOT = snapshot_of(12, embedding=np.eye(12, dtype=np.float32))


def past_of(rows):
    return resolve(history_of(rows, user="ann", before=T0), SNAPSHOT)


def habits(rows, now=T0):
    past = past_of(rows)
    met = encounters(past, SNAPSHOT)
    return user_columns(
        past, met, Weighted.of(met, now).in_all(), followed=len(followed_creators(past)), wishes=0,
        watch_quantile=watch_quantile(past, SNAPSHOT, SNAPSHOT.receptions, now=now), now=now,
        has_taste=bool(len(past)),
    )  # fmt: skip


def taste_of(rows):
    return taste_vector(history_of(rows, user="ann", before=T0), SNAPSHOT)


def test_nobody_has_the_defaults():
    defaults = {feature.name: feature.default for feature in FEATURES if feature.name in NAMES["user"]}
    assert habits([]) == pytest.approx(defaults)


def test_events_about_one_content_are_one_encounter_dated_by_the_latest():
    rows = [event("impression", "ann", "c001", T0 - 50), event("view", "ann", "c002", T0 - 45, watch_s=20.0)]
    rows += [event("view", "ann", "c001", T0 - 40, watch_s=10.0), event("like", "ann", "c001", T0 - 30)]
    met = encounters(past_of(rows), SNAPSHOT)
    assert met.row.tolist() == [1, 2]
    assert met.at.tolist() == [T0 - 30, T0 - 45]
    assert met.worth.tolist() == pytest.approx([10 / 18 + 1.0, 1.0])
    assert met.watch_ratio.tolist() == [0.5, 1.0]
    assert met.happened("likes").tolist() == [1.0, 0.0]
    assert met.happened("long_views").tolist() == [0.0, 1.0]


def test_one_content_counts_at_most_three():
    rows = [event(kind, "ann", "c001", T0 - 9) for kind in ("like", "share", "save", "comment", "complete_view")]
    assert encounters(past_of(rows), SNAPSHOT).worth.tolist() == [3.0]


def test_passing_by_is_met_but_not_judged():
    rows = [event("impression", "ann", "c001", T0 - 60), event("complete_view", "ann", "c002", T0 - 30)]
    found = habits(rows)
    assert found["user_judged"] == pytest.approx(np.log1p(1))
    assert found["user_long_rate"] == pytest.approx((1 + 3 * 0.3) / (1 + 3))
    assert found["user_session_depth"] == pytest.approx(np.log1p(2))
    assert found["user_gap"] == pytest.approx(np.log1p(30))


def test_rates_weigh_the_latest_most():
    skipped_then_loved = [event("skip", "ann", f"c{row:03d}", T0 - 100 + row) for row in range(6)]
    skipped_then_loved += [event("complete_view", "ann", f"c{row:03d}", T0 - 50 + row) for row in range(6, 12)]
    loved_then_skipped = [event(row[0], "ann", row[2], 2 * T0 - 200 - row[3]) for row in skipped_then_loved]
    now_happy, now_bored = habits(skipped_then_loved), habits(loved_then_skipped)
    assert now_happy["user_long_rate"] > now_bored["user_long_rate"]
    assert now_happy["user_recent_long_rate"] == pytest.approx((5 + 0.3) / 6)
    assert now_bored["user_recent_long_rate"] == pytest.approx(0.3 / 6)


def test_a_pause_of_more_than_half_an_hour_ends_the_session():
    rows = [event("view", "ann", "c001", T0 - 2 * HOUR, watch_s=3.0), event("view", "ann", "c002", T0 - 60)]
    assert habits(rows)["user_session_depth"] == pytest.approx(np.log1p(1))
    assert habits(rows, now=T0 + HOUR)["user_session_depth"] == 0.0


def test_a_creator_is_followed_until_unfollowed():
    rows = [event("follow", "ann", None, T0 - 9, creator="k1"), event("follow", "ann", "c002", T0 - 8, creator="k2")]
    assert followed_creators(past_of(rows)).tolist() == [1, 2]
    rows.append(event("unfollow", "ann", None, T0 - 1, creator="k1"))
    assert followed_creators(past_of(rows)).tolist() == [2]


def test_taste_is_the_lag_weighted_mean_of_what_was_enjoyed_at_unit_length():
    vector = taste_of([event("complete_view", "ann", "c001", T0 - 9), event("complete_view", "ann", "c002", T0 - 1)])
    expected = np.zeros(12)
    expected[[2, 1]] = 1.0, 0.9
    assert vector == pytest.approx(expected / np.linalg.norm(expected))
    assert vector.dtype == np.float32


def test_skips_push_the_taste_away():
    vector = taste_of([event("complete_view", "ann", "c001", T0 - 9), event("skip", "ann", "c002", T0 - 1)])
    assert vector[1] > 0 > vector[2]


def test_without_anything_telling_there_is_no_taste():
    assert taste_of([]) is None
    assert taste_of([event("impression", "ann", "c001", T0 - 5)]) is None
    assert taste_of([event("like", "ann", "c999", T0 - 5)]) is None


def test_only_the_last_thousand_events_count():
    rows = [event("impression", "ann", "c002", T0 - 4000 + second) for second in range(1000)]
    rows.append(event("skip", "ann", "c001", T0 - 5000))
    assert encounters(past_of(rows), SNAPSHOT).row.tolist() == [2]


def test_decayed_rates_halve_with_the_age_of_the_encounter():
    rows = [event("like", "ann", "c001", T0 - 24 * HOUR), event("impression", "ann", "c002", T0)]
    past = resolve(history_of(rows, user="ann", before=T0 + 1), SNAPSHOT)
    habits = Weighted.of(encounters(past, SNAPSHOT), T0).in_all()
    assert habits.met("1d")[0] == pytest.approx(1.5)
    likes = habits.rates()[0, FLAGS.index("likes")]
    assert likes[1] == pytest.approx((0.5 + 3 * 0.03) / (1.5 + 3))
    assert likes[2] == pytest.approx((2 ** (-1 / 7) + 3 * 0.03) / (2 ** (-1 / 7) + 1 + 3))


def test_habits_by_category_are_those_of_its_encounters():
    rows = [event("like", "ann", "c000", T0 - 9), event("skip", "ann", "c003", T0 - 5)]
    rows += [event("complete_view", "ann", "c001", T0 - 1)]
    met = encounters(past_of(rows), SNAPSHOT)
    habits = Weighted.of(met, T0).by(SNAPSHOT.category[met.row])
    place = habits.place(np.array([1, 0, 2, -1], np.int32))
    assert habits.met("7d")[place] == pytest.approx([1, 2, 0, 0], abs=1e-4)
    assert habits.sums[place, FLAGS.index("skips"), 2] == pytest.approx([0, 1, 0, 0], abs=1e-4)


def test_sessions_have_a_length_a_depth_and_pauses_between_them():
    rows = [event("impression", "ann", f"c00{clip}", T0 - 9 * HOUR + 60 * clip) for clip in range(4)]
    rows += [event("impression", "ann", f"c00{clip}", T0 - 600 + 60 * clip) for clip in range(2)]
    found = habits(rows)
    assert found["user_sessions"] == pytest.approx(np.log1p(2))
    assert found["user_mean_session_length"] == pytest.approx(np.log1p((180 + 60) / 2))
    assert found["user_mean_session_events"] == pytest.approx(np.log1p(3))
    assert found["user_mean_pause"] == pytest.approx(np.log1p(9 * HOUR - 180 - 600))
    assert found["user_session_length"] == pytest.approx(np.log1p(600))


def test_days_with_an_event_are_counted_back_from_now():
    rows = [event("impression", "ann", "c001", T0 - days * 24 * HOUR - 60) for days in (0, 0, 2, 6, 7, 30)]
    assert habits(rows)["user_active_days"] == pytest.approx(3 / 7)


def test_watching_longest_of_all_is_a_quantile_near_one():
    rows = [event("view", "ann", f"c{row:03d}", T0 - 60 + row, watch_s=500.0) for row in range(12)]
    assert habits(rows)["user_watch_quantile"] > 0.8
    assert habits([event("view", "ann", "c001", T0 - 60, watch_s=0.1)])["user_watch_quantile"] < 0.5
