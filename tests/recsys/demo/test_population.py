import numpy as np
import pytest

from recsys.demo import FAMILIES
from recsys.demo.population import COUNTRIES, DAY_S, PERSONAS, at_habitual_hour, populate

START_S = 1_790_000_000.0


def test_most_people_love_one_family_and_all_families_are_loved():
    people = populate(2_000, start_s=START_S, days=30, rng=np.random.default_rng(0))
    np.testing.assert_allclose(people.taste.sum(axis=1), 1.0)
    assert np.median(people.taste.max(axis=1)) > 0.65
    assert (np.bincount(people.taste.argmax(axis=1)) > 2_000 / len(FAMILIES) * 0.8).all()


def test_newcomers_arrive_until_the_end():
    people = populate(2_000, start_s=START_S, days=30, rng=np.random.default_rng(0))
    day = (people.joined_s - START_S) / DAY_S
    assert ((day >= 0) & (day < 30)).all()
    assert 0.3 < (day < 5).mean() < 0.65
    assert (day > 25).mean() > 0.05


def test_personas_come_first_in_order_of_id_with_their_plain_taste():
    people = populate(50, start_s=START_S, days=30, rng=np.random.default_rng(0))
    assert sorted(people.user_ids)[: len(PERSONAS)] == [name for name, _, _ in PERSONAS]
    assert people.taste[1].argmax() == FAMILIES.index("ocean")
    assert people.preferences(1)["persona"].startswith("Oskar")
    assert "persona" not in people.preferences(len(PERSONAS))
    assert people.demographics(0)["country"] in {code for code, *_ in COUNTRIES}


def test_tiny_population_has_only_as_many_personas_as_people():
    assert len(populate(2, start_s=START_S, days=1, rng=np.random.default_rng(0)).user_ids) == 2


@pytest.mark.parametrize(("users", "days"), [(0, 3), (3, 0)])
def test_empty_world_is_refused(users, days):
    with pytest.raises(ValueError, match=f"users={users}, days={days}"):
        populate(users, start_s=START_S, days=days, rng=np.random.default_rng(0))


def test_visits_move_within_their_local_day_or_to_the_next():
    moments = START_S + np.arange(500) * 5_000.0
    offset_s = np.full(500, -6 * 3600.0)
    moved = at_habitual_hour(moments, utc_offset_s=offset_s, hour_shift=np.zeros(500), rng=np.random.default_rng(1))
    days = np.floor((moved + offset_s) / DAY_S) - np.floor((moments + offset_s) / DAY_S)
    assert set(days) == {0.0, 1.0}
    hour = (moved + offset_s) % DAY_S / 3600
    assert ((hour > 17) & (hour < 24)).mean() > 0.45
