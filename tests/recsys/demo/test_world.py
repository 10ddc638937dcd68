"""The world, judged by what a reader of its log would measure; the population's taste is the known answer."""

import json
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import numpy as np
import pytest

from recsys.demo import FAMILIES
from recsys.demo.population import DAY_S
from recsys.demo.scenario import Scenario
from recsys.demo.world import EVENT_TYPES, Clip, raw_events, simulate, upload_ages

UNTIL = datetime(2026, 11, 23, 20, tzinfo=UTC)
SCENARIO = Scenario(seed=11, users=1_500, days=30)


@pytest.fixture(scope="module")
def trace():
    return SCENARIO.play(until=UNTIL)


@pytest.fixture(scope="module")
def events():
    small = Scenario(seed=3, users=40, days=10)
    return [
        event for batch in raw_events(small.play(until=UNTIL), namespace=small.namespace, chunk=500) for event in batch
    ]


def of_kind(trace, name):
    return trace.kind == EVENT_TYPES.index(name)


def families_of(trace):
    return np.array([FAMILIES.index(clip.family) for clip in trace.clips])[trace.clip]


def active_days(trace):
    """Bool (users, days): had any event on that day of the world."""
    start_s = UNTIL.timestamp() - SCENARIO.days * DAY_S
    active = np.zeros((len(trace.population), SCENARIO.days + 1), dtype=bool)
    active[trace.user, ((trace.timestamp - start_s) // DAY_S).astype(int)] = True
    return active


def retention(active, gap_days, first_days):
    """Share of users, first active on one of `first_days`, who are active exactly `gap_days` later."""
    first = np.where(active.any(axis=1), active.argmax(axis=1), -1)
    cohort = np.flatnonzero(np.isin(first, first_days))
    return active[cohort, first[cohort] + gap_days].mean()


def test_same_scenario_makes_the_same_log(trace):
    again = SCENARIO.play(until=UNTIL)
    for name in ("user", "clip", "kind", "timestamp", "session", "position", "watch_s", "times", "detail"):
        np.testing.assert_array_equal(getattr(trace, name), getattr(again, name))


def test_another_seed_makes_another_log(trace):
    other = Scenario(seed=12, users=1_500, days=30).play(until=UNTIL)
    assert len(other) != len(trace) or not np.array_equal(other.clip, trace.clip)


def test_nothing_happens_before_the_upload_or_after_the_end(trace):
    uploaded_s = np.array([clip.uploaded_s for clip in trace.clips])
    assert (trace.timestamp >= uploaded_s[trace.clip]).all()
    assert trace.timestamp.max() <= UNTIL.timestamp()
    assert trace.timestamp.min() >= UNTIL.timestamp() - SCENARIO.days * DAY_S
    assert (np.diff(trace.timestamp) >= 0).all()


def test_clips_arrive_over_the_whole_time_and_some_are_fresh(trace):
    age_days = (UNTIL.timestamp() - np.array([clip.uploaded_s for clip in trace.clips])) / DAY_S
    assert 1 <= (age_days < 2).sum() <= 8
    assert (age_days > SCENARIO.days).sum() == len(trace.clips) / 2
    assert ((age_days > 2) & (age_days < SCENARIO.days)).sum() > 20


def test_watch_time_is_bounded_by_the_clip_and_its_replays(trace):
    duration_s = np.array([clip.duration_s for clip in trace.clips])
    replays = np.zeros((len(trace.population), int(trace.session.max()) + 1, 12), dtype=int)
    rows = of_kind(trace, "replay")
    np.add.at(replays, (trace.user[rows], trace.session[rows], trace.position[rows]), 1)
    watched = np.isfinite(trace.watch_s)
    loops = 1 + replays[trace.user, trace.session, trace.position]
    assert (trace.watch_s[watched] <= (duration_s[trace.clip] * loops)[watched] + 0.01).all()
    assert (trace.watch_s[watched] >= 0).all()


def test_every_impression_is_followed_by_a_view_or_a_skip_and_skips_are_short(trace):
    outcomes = of_kind(trace, "view").sum() + of_kind(trace, "skip").sum()
    shown = of_kind(trace, "impression").sum()
    assert 0.99 * shown <= outcomes <= shown  # the world ends in the middle of a few
    assert (trace.watch_s[of_kind(trace, "skip")] < 2.0).all()
    assert (trace.watch_s[of_kind(trace, "view")] >= 2.0).all()


def test_users_watch_and_like_their_family_more_and_hide_it_less(trace):
    preferred = families_of(trace) == trace.population.taste.argmax(axis=1)[trace.user]
    shown, watched = of_kind(trace, "impression"), np.isfinite(trace.watch_s)
    assert trace.watch_s[watched & preferred].mean() > 1.7 * trace.watch_s[watched & ~preferred].mean()
    rate = {
        name: [(of_kind(trace, name) & side).sum() / (shown & side).sum() for side in (preferred, ~preferred)]
        for name in ("complete_view", "like", "hide")
    }
    assert rate["complete_view"][0] > 2 * rate["complete_view"][1]
    assert rate["like"][0] > 3 * rate["like"][1]
    assert rate["hide"][0] < 0.7 * rate["hide"][1]


def test_watch_time_reveals_the_taste_of_most_active_users(trace):
    watched = np.isfinite(trace.watch_s)
    total, count = np.zeros((len(trace.population), len(FAMILIES))), np.zeros((len(trace.population), len(FAMILIES)))
    np.add.at(total, (trace.user[watched], families_of(trace)[watched]), trace.watch_s[watched])
    np.add.at(count, (trace.user[watched], families_of(trace)[watched]), 1)
    active = count.min(axis=1) >= 4
    revealed = (total / np.maximum(count, 1)).argmax(axis=1)
    assert active.sum() > 200
    assert (revealed == trace.population.taste.argmax(axis=1))[active].mean() > 0.75


def test_what_was_shown_leans_only_faintly_towards_the_taste(trace):
    shown = of_kind(trace, "impression")
    share = (families_of(trace) == trace.population.taste.argmax(axis=1)[trace.user])[shown].mean()
    assert 0.22 < share < 0.36


def test_popularity_is_skewed(trace):
    counts = np.sort(np.bincount(trace.clip[of_kind(trace, "impression")], minlength=len(trace.clips)))[::-1]
    assert counts[: len(counts) // 8].sum() > 1.6 * counts.sum() / 8


def test_retention_falls_with_the_days_and_newcomers_keep_arriving(trace):
    active = active_days(trace)
    cohorts = np.arange(3, 15)
    curve = [retention(active, gap_days, cohorts) for gap_days in (1, 7, 14)]
    assert all(later < earlier for earlier, later in pairwise(curve))
    assert curve[0] - curve[-1] > 0.05
    assert 0.2 < curve[0] < 0.6
    first = active.argmax(axis=1)[active.any(axis=1)]
    assert (np.bincount(first, minlength=SCENARIO.days)[3 : SCENARIO.days - 1] > 0).all()


def test_the_same_user_comes_back_sooner_after_a_better_session(trace):
    sessions, inverse = np.unique(trace.user * 1_000 + trace.session, return_inverse=True)
    watched = np.isfinite(trace.watch_s)
    mean_s = np.bincount(inverse[watched], trace.watch_s[watched], len(sessions))
    mean_s /= np.maximum(np.bincount(inverse[watched], minlength=len(sessions)), 1)
    start_s = np.full(len(sessions), np.inf)
    np.minimum.at(start_s, inverse, trace.timestamp)
    user = sessions // 1_000
    followed = np.append(user[1:] == user[:-1], False)
    gap = np.log(np.diff(start_s, append=np.inf)[followed])
    better = mean_s[followed]
    visits = np.maximum(np.bincount(user[followed]), 1)

    def within_user(values):  # what differs between people (habit, taste) cancels
        return values - (np.bincount(user[followed], values) / visits)[user[followed]]

    assert np.corrcoef(within_user(gap), within_user(better))[0, 1] < -0.05


def test_sessions_have_three_to_twelve_impressions(trace):
    shown = of_kind(trace, "impression")
    whole = shown & (trace.timestamp < UNTIL.timestamp() - 3_600)
    sizes = np.unique(np.column_stack([trace.user[whole], trace.session[whole]]), axis=0, return_counts=True)[1]
    assert sizes.min() >= 3
    assert sizes.max() <= 12


def test_evenings_and_weekends_are_busier(trace):
    shown = of_kind(trace, "impression")
    local_s = trace.timestamp[shown] + trace.population.utc_offset_s[trace.user[shown]]
    hour = (local_s % DAY_S // 3600).astype(int)
    assert np.isin(hour, [18, 19, 20, 21]).sum() > 3 * np.isin(hour, [1, 2, 3, 4]).sum()
    weekday = ((local_s // DAY_S + 3) % 7).astype(int)
    per_day = np.bincount(weekday, minlength=7) / np.bincount(
        ((np.unique(local_s // DAY_S) + 3) % 7).astype(int), minlength=7
    )
    assert per_day[5:].mean() > 1.05 * per_day[:4].mean()


def test_event_ids_are_unique_uuids_that_repeat_with_the_scenario(events):
    assert len({UUID(event["event_id"]) for event in events}) == len(events)
    small = Scenario(seed=3, users=40, days=10)
    again = [event for batch in raw_events(small.play(until=UNTIL), namespace=small.namespace) for event in batch]
    assert [event["event_id"] for event in again] == [event["event_id"] for event in events]
    other = next(raw_events(small.play(until=UNTIL), namespace="other"))
    assert other[0]["event_id"] != events[0]["event_id"]


def test_raw_events_carry_the_fields_of_their_type_and_are_plain_json(events):
    own = {
        "view": {"watch_duration"}, "skip": {"watch_duration"}, "comment": {"comment_text"}, "share": {"platform"},
        "report": {"reason"}, "follow": {"creator_id"},
    }  # fmt: skip
    common = {"event_id", "event_type", "user_id", "content_id", "timestamp", "session_id", "position", "surface"}
    seen = set()
    for event in json.loads(json.dumps(events)):
        assert set(event) == common | own.get(event["event_type"], set())
        assert datetime.fromisoformat(event["timestamp"]).utcoffset().total_seconds() == 0
        seen.add(event["event_type"])
    assert {"impression", "view", "skip", "complete_view", "replay", "like"} <= seen


def test_once_is_once(trace):
    for name in ("like", "save", "hide", "report"):
        rows = of_kind(trace, name)
        pairs = np.column_stack([trace.user[rows], trace.clip[rows]])
        assert len(np.unique(pairs, axis=0)) == len(pairs)


def test_hidden_clip_is_never_shown_again(trace):
    for row in np.flatnonzero(of_kind(trace, "hide"))[:100]:
        same = (trace.user == trace.user[row]) & (trace.clip == trace.clip[row]) & of_kind(trace, "impression")
        assert (trace.timestamp[same] <= trace.timestamp[row]).all()


def test_people_with_nothing_to_watch_yet_make_no_events():
    later = [Clip("demo-later", "someone", "ocean", 6.0, UNTIL.timestamp() + 60.0)]
    people = Scenario(users=5, days=2).population(until=UNTIL)
    quiet = simulate(later, people, until=UNTIL, rng=np.random.default_rng(0))
    assert len(quiet) == 0
    assert list(raw_events(quiet, namespace="quiet")) == []


def test_world_without_clips_or_time_zone_is_refused():
    people = Scenario(users=5, days=2).population(until=UNTIL)
    with pytest.raises(ValueError, match="no clips"):
        simulate([], people, until=UNTIL, rng=np.random.default_rng(0))
    clips = Scenario().clips(until=UNTIL)
    with pytest.raises(ValueError, match="time zone"):
        simulate(clips, people, until=datetime(2026, 11, 23), rng=np.random.default_rng(0))  # noqa: DTZ001


def test_upload_ages_fit_a_world_of_a_single_day():
    ages = upload_ages(8, days=1, rng=np.random.default_rng(0))
    assert len(ages) == 8
    assert ((ages > 0) & (ages <= 2 * DAY_S)).all()
