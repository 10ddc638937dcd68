import numpy as np
import pytest

from features.embeddings import behaviour
from features.extraction.context import context_columns, stated_columns, surface_columns
from features.extraction.habits import Weighted
from features.extraction.past import encounters, followed_creators, resolve
from features.extraction.profile import Profile
from features.extraction.user import taste
from tests.features.logs import HOUR, T0, event, history_of, snapshot_of

SNAPSHOT = snapshot_of(12, categories=3, creators=4)


def crossed(rows, wanted=range(12), sequential=None):
    past = resolve(history_of(rows, user="ann", before=T0), SNAPSHOT)
    met = encounters(past, SNAPSHOT)
    return context_columns(
        past, met, followed_creators(past), taste(met, SNAPSHOT), snapshot=SNAPSHOT, sequential=sequential,
        rows=np.array(wanted, np.int64), now=T0,
    )  # fmt: skip


def test_nobody_has_no_opinion_on_any_content():
    for name, values in crossed([]).items():
        assert values.tolist() == [0.0] * 12, name


def test_a_watched_category_and_creator_are_liked_and_a_skipped_one_is_not():
    columns = crossed([event("complete_view", "ann", "c000", T0 - 9), event("skip", "ann", "c001", T0 - 1)])
    # c000 is g0 by k0, c001 is g1 by k1. The skip came last and weighs 1, the watch before it 0.9.
    liked, skipped = 0.9 / (0.9 + 1), -1 / (1 + 1)
    assert columns["category_affinity"][:6].tolist() == pytest.approx([liked, skipped, 0, liked, skipped, 0])
    assert columns["creator_affinity"][:4].tolist() == pytest.approx([liked, skipped, 0, 0])


def test_affinity_by_time_fades_within_a_day():
    columns = crossed([event("complete_view", "ann", "c000", T0 - 24 * HOUR)])
    assert columns["category_affinity_1d"][0] == pytest.approx(0.5 / (0.5 + 1))
    assert columns["category_affinity"][0] == pytest.approx(1 / (1 + 1))


def test_contents_without_a_language_have_no_language_affinity():
    columns = crossed([event("complete_view", "ann", "c000", T0 - 9), event("complete_view", "ann", "c001", T0 - 1)])
    assert columns["language_affinity"][:4].tolist() == pytest.approx([0, 0.5, 0, 0.5])


def test_follows_and_refusals_mark_all_contents_of_the_creator():
    rows = [event("follow", "ann", None, T0 - 9, creator="k2"), event("hide", "ann", "c001", T0 - 1)]
    columns = crossed(rows)
    assert np.flatnonzero(columns["creator_followed"]).tolist() == [2, 6, 10]
    assert np.flatnonzero(columns["creator_refused"]).tolist() == [1, 5, 9]


def test_meetings_are_counted_per_content():
    rows = [event("impression", "ann", "c003", T0 - 9 * HOUR), event("impression", "ann", "c003", T0 - HOUR)]
    rows += [event("view", "ann", "c005", T0 - 5, watch_s=4.0)]
    columns = crossed(rows, wanted=[5, 3, 0])
    assert columns["times_seen"].tolist() == pytest.approx([np.log1p(1), np.log1p(2), 0])


def test_the_cosine_is_that_of_taste_and_embedding():
    columns = crossed([event("complete_view", "ann", "c004", T0 - 9)])
    assert columns["taste_cosine"] == pytest.approx(SNAPSHOT.embedding @ SNAPSHOT.embedding[4], abs=1e-6)


def test_the_sequential_score_is_that_of_the_model_for_what_was_enjoyed():
    walk = np.tile(np.arange(12), 30)
    model = behaviour.fit(np.zeros(len(walk), np.int64), walk, 12)
    rows = [event("complete_view", "ann", "c003", T0 - 9), event("complete_view", "ann", "c004", T0 - 5)]
    rows += [event("skip", "ann", "c009", T0 - 1)]
    columns = crossed(rows, wanted=[5, 4], sequential=model)
    assert columns["sequential_score"] == pytest.approx(model.scores(np.array([3, 4]))[[5, 4]])
    assert columns["sequential_score"][0] > columns["sequential_score"][1]


def test_explicit_feedback_moves_the_preference_for_category_and_creator():
    rows = [
        event("like", "ann", "c000", T0 - 9),
        event("like", "ann", "c003", T0 - 8),
        event("hide", "ann", "c001", T0),
    ]
    rows += [event("follow", "ann", None, T0 - 1, creator="k2")]
    past = resolve(history_of(rows, user="ann", before=T0 + 1), SNAPSHOT)
    columns = crossed([*rows[:2], rows[3]])
    assert columns["category_preference"][:3].tolist() == pytest.approx([0.4375, 0, 0])
    assert columns["creator_preference"][:4].tolist() == pytest.approx([0.25, 0, 0.25, 0.25])
    assert len(past) == 4


def test_what_the_profile_states_is_found_by_id():
    profile = Profile(categories={"g1": 1.0, "nothing": 1.0}, creators={"k3": -1.0}, languages=frozenset({"en"}))
    columns = stated_columns(profile, SNAPSHOT, np.arange(4))
    assert columns["category_stated"].tolist() == [0, 1, 0, 0]
    assert columns["creator_stated"].tolist() == [0, 0, 0, -1]
    assert columns["language_stated"].tolist() == [0, 1, 0, 1]


def test_a_surface_is_judged_by_what_happened_there():
    rows = [event("complete_view", "ann", "c000", T0 - 9, surface="profile"), event("skip", "ann", "c001", T0 - 5)]
    met = encounters(resolve(history_of(rows, user="ann", before=T0), SNAPSHOT), SNAPSHOT)
    weighted = Weighted.of(met, T0)
    there = surface_columns(met, weighted, weighted.in_all(), SNAPSHOT.receptions, "profile")
    elsewhere = surface_columns(met, weighted, weighted.in_all(), SNAPSHOT.receptions, "")
    assert there["user_surface_share"] == pytest.approx(0.5, abs=1e-4)
    assert there["user_surface_long_rate"] > elsewhere["user_surface_long_rate"]
    assert elsewhere["user_surface_share"] == 0.0
    assert there["surface_long_rate"] == pytest.approx(0.3)
