"""The z of a series computed by hand, planted trends, worlds without any, and what must not look like one."""

import math

import numpy as np
import pytest

from features.extraction import trends
from features.extraction.trends import AGAINST, BAR, LEAST_PEOPLE, count_people, engaged, judge, ordinary_share
from tests.features.logs import HOUR, T0, event, log_of
from tests.worlds import Crowd, crowd

DAY, WEEK = 24, 168
NULL_WORLDS = [
    {"people": 100.0, "restless": 0.0},
    {"people": 2000.0, "restless": 0.0},
    {"people": 2000.0, "restless": 0.3},
]


def verdicts(world: Crowd, at: int, things=slice(None)):
    """What is said at the end of hour `at`, by what was known then."""
    start = max(at - trends.PAST_HOURS, 0)
    cut = slice(start, at + 1)
    platform, people = world.platform[cut], world.people[:, cut]
    share = ordinary_share(people.sum(axis=0), (people > 0).sum(axis=0), platform, at=at - start)
    return judge(people[things], platform, ordinary=share)


def flat(hours: int, *, people: int = 10, platform: int = 100) -> Crowd:
    """One thing among many, always the same."""
    return Crowd(np.full((1, hours), people), np.full(hours, platform))


class TestArithmetic:
    def test_z_of_a_steady_series(self):
        world = flat(30)
        world.people[0, -1] = 60
        found = judge(world.people, world.platform, ordinary=0.05)
        # 24 windows of 20 among 200, and one imagined with a share of 0.05: rho = (24 * 20 + 10) / (25 * 200) = 0.098
        # y of each: ln(23 / 22.6); no deviation, so the spread is sqrt(2 * 0.5 ** 2 / 26); now 70 where 20 were usual
        scale = max(math.sqrt(2 * 0.25 / 26), 1 / math.sqrt(23))
        assert found.z[0] == pytest.approx(math.log(73 / 23) / scale)
        assert scale == 1 / math.sqrt(23)
        assert (found.observed[0], found.people[0]) == (70, 60)
        assert found.expected[0] == pytest.approx(20)
        assert found.high[0] == pytest.approx(23 * math.exp(BAR * scale) - 3)
        assert found.low[0] == pytest.approx(23 * math.exp(-BAR * scale) - 3)
        assert AGAINST[found.against[0]] == "the last day"

    def test_z_of_a_series_that_swings(self):
        people = np.full((1, 27), 0)
        people[0, :25] = [20, 20, 140] * 8 + [20]
        world = Crowd(people, np.full(27, 500))
        found = judge(world.people, world.platform, ordinary=0.0)
        windows = people[0, 1:25] + people[0, :24]
        rho = windows.sum() / (24 * 1000 + 1000)
        y = np.log((windows + 3) / (rho * 1000 + 3))
        middle = np.median(y)
        spread = 1.4826 * np.median(np.abs(y - middle))
        scale = math.sqrt((24 * spread**2 + 2 * 0.25) / 26)
        assert found.z[0] == pytest.approx((math.log(3 / (rho * 1000 + 3)) - middle) / scale)

    def test_a_thing_without_a_past_is_measured_by_an_ordinary_one(self):
        world = flat(40, people=0)
        world.people[0, -1] = 50
        found = judge(world.people, world.platform, ordinary=0.025)
        # 200 people in the window, so an ordinary thing has 5; ln(53 / 8) over a spread of 0.5
        assert found.z[0] == pytest.approx(math.log(53 / 8) / 0.5)
        assert found.expected[0] == pytest.approx(5)
        assert AGAINST[found.against[0]] == "an ordinary one"

    def test_the_band_is_where_z_reaches_the_bar(self):
        world = flat(60)
        high = judge(world.people, world.platform, ordinary=0.05).high[0]
        for people, trends_now in ((math.ceil(high - 10), True), (math.floor(high - 10), False)):
            world.people[0, -1] = people
            assert judge(world.people, world.platform, ordinary=0.05).trending[0] == trends_now

    def test_an_empty_platform_expects_nobody(self):
        found = judge(np.zeros((2, 50), np.int64), np.zeros(50, np.int64), ordinary=0.0)
        assert found.z.tolist() == found.expected.tolist() == [0.0, 0.0]
        assert not found.trending.any()

    @pytest.mark.parametrize("hours", [1, 2, 3])
    def test_the_first_hours_of_a_log_are_judged_too(self, hours):
        found = judge(np.full((3, hours), 40), np.full(hours, 100), ordinary=0.4)
        assert np.abs(found.z).max() < 0.5
        assert len(judge(np.zeros((0, hours), np.int64), np.full(hours, 9), ordinary=0.4).z) == 0


class TestPlantedTrends:
    @pytest.mark.parametrize("seed", range(20))
    @pytest.mark.parametrize("thing", [5, 20, 290])
    def test_a_rise_is_found_within_two_hours(self, seed, thing):
        start = 25 * DAY + seed
        quiet = crowd(seed=seed)
        usual = quiet.people[thing, start - DAY : start].mean()
        world = quiet.plus(thing, slice(start, None), round(4 * usual) + 40)
        found = [verdicts(world, start + hour, [thing]).trending[0] for hour in range(2)]
        assert any(found)
        assert not verdicts(world, start - 1, [thing]).trending[0]

    def test_a_new_content_that_goes_viral_is_found_within_minutes_of_its_hour(self):
        quiet = crowd(things=300)
        start = 25 * DAY + 20
        world = Crowd(np.vstack([quiet.people, np.zeros((1, quiet.people.shape[1]), np.int64)]), quiet.platform)
        # A tenth of the hour has passed everywhere when a third of the people there have turned to the new one.
        world.people[:, start] //= 10
        world.platform[start] //= 10
        viral = world.plus(300, slice(start, start + 1), 60)
        found = verdicts(viral, start)
        assert np.flatnonzero(found.trending).tolist() == [300]
        assert AGAINST[found.against[300]] == "an ordinary one"

    def test_a_trend_that_dies_leaves_within_two_hours(self):
        start = 25 * DAY
        world = crowd(seed=5).plus(20, slice(start, start + 5), 200)
        found = [bool(verdicts(world, start + hour, [20]).trending[0]) for hour in range(8)]
        assert found == [True] * 6 + [False] * 2

    def test_what_stays_on_the_new_level_becomes_usual(self):
        start = 20 * DAY
        world = crowd(seed=5).plus(20, slice(start, None), 200)
        found = [bool(verdicts(world, start + hour, [20]).trending[0]) for hour in range(30)]
        assert found[:8] == [True] * 8
        assert not any(found[18:])

    def test_an_old_peak_does_not_hide_a_new_one(self):
        start = 25 * DAY
        world = crowd(seed=5).plus(20, slice(start - 60, start - 58), 5_000).plus(20, slice(start, None), 200)
        assert verdicts(world, start, [20]).trending[0]


class TestWhatIsNoTrend:
    @pytest.mark.parametrize("world", NULL_WORLDS)
    def test_a_world_without_trends_raises_hardly_any(self, world):
        alarms, judged = 0, 0
        for seed in range(5):
            made = crowd(**world, seed=seed)
            for at in range(2 * DAY, made.people.shape[1], 7):
                alarms += int(verdicts(made, at).trending.sum())
                judged += 1
        # Of 300 things each, at one hour in seven of a month, five times over.
        assert judged == 480
        assert alarms <= judged / 100

    def test_when_everything_doubles_nothing_trends(self):
        quiet = crowd(seed=8)
        at = 25 * DAY + 20
        loud = Crowd(quiet.people.copy(), quiet.platform.copy())
        loud.people[:, at - 1 :] *= 2
        loud.platform[at - 1 :] *= 2
        assert not verdicts(loud, at).trending.any()
        # What only one of them does, is a trend.
        alone = quiet.plus(5, slice(at - 1, None), 60)
        assert np.flatnonzero(verdicts(alone, at).trending).tolist() == [5]

    @pytest.mark.parametrize(("period", "days"), [(DAY, 20), (WEEK, 28)])
    def test_what_comes_back_at_its_hour_is_no_trend(self, period, days):
        quiet = crowd(seed=9)
        world, at = quiet, days * DAY
        for back in range(period, at, period):
            world = world.plus(20, slice(at - back, at - back + 2), 80)
        once = world.plus(20, slice(at, at + 2), 80)
        found = verdicts(once, at + 1, [20])
        assert not found.trending[0]
        assert AGAINST[found.against[0]] == ("the hour of the day" if period == DAY else "the hour of the week")
        # The same people at another time of the day are one.
        assert verdicts(world.plus(20, slice(at + 9, at + 11), 80), at + 10, [20]).trending[0]

    @pytest.mark.parametrize(("people", "trends_now"), [(LEAST_PEOPLE - 1, False), (LEAST_PEOPLE, True)])
    def test_too_few_people_are_no_trend_however_surprising(self, people, trends_now):
        # The same few people in both hours: z is far above the bar, and still they are only so many.
        world = flat(200, people=0, platform=20)
        world.people[0, 0] = 1
        world.people[0, -2:] = people
        found = judge(world.people, world.platform, ordinary=0.0001)
        assert found.z[0] > BAR
        assert (found.people[0], found.trending[0]) == (people, trends_now)

    def test_hours_in_which_the_platform_slept_tell_nothing(self):
        people, platform = np.zeros((1, 100), np.int64), np.full(100, 2)
        people[0, 50:] = 20
        platform[50:] = 200
        # Before, 2 people were awake and none of them there: with those hours the thing would look new.
        assert judge(people, platform, ordinary=0.1).z[0] == pytest.approx(0.0, abs=0.05)


class TestCounting:
    def test_one_person_counts_once_however_often_it_acts(self):
        busy = [event("like", "bot", "c1", T0 + at) for at in range(1000)]
        log = log_of([*busy, event("like", "u1", "c1", T0 + 1), event("like", "u1", "c1", T0 + HOUR)])
        hour = np.floor(log.timestamp / HOUR).astype(np.int64)
        counts = count_people(hour, log.user, log.content)
        assert counts.people.tolist() == [2, 1]
        assert (counts.hour - counts.hour[0]).tolist() == [0, 1]

    def test_looking_is_no_engagement_and_watching_to_the_end_is(self):
        rows = [
            event("impression", "u", "c", T0),
            event("skip", "u", "c", T0 + 1, watch_s=1.0),
            event("view", "u", "c", T0 + 2, watch_s=3.0),
            event("view", "u", "c", T0 + 3, watch_s=11.0),
            event("complete_view", "u", "c", T0 + 4),
            event("hide", "u", "c", T0 + 5),
            event("follow", "u", None, T0 + 6, creator="k"),
            event("view", "u", "c", T0 + 7, long_view=1),
            event("unlike", "u", "c", T0 + 8),
        ]
        log = log_of(rows)
        marks = engaged(log, duration_s=np.array([10.0], np.float32))
        assert [row[0] for row, mark in zip(rows, marks, strict=True) if mark] == [
            "view", "complete_view", "follow", "view",
        ]  # fmt: skip
        assert {row[0] for row, mark in zip(rows, marks, strict=True) if mark} <= set(trends.ENGAGING_TYPES)

    def test_things_and_people_that_are_absent_are_left_out(self):
        nothing = count_people(np.array([1, 1]), np.array([0, -1]), np.array([-1, 0]))
        assert len(nothing.hour) == 0

    def test_an_ordinary_thing_is_the_mean_of_those_touched_before_the_window(self):
        people, things, platform = np.array([4, 6, 50, 70]), np.array([2, 2, 1, 1]), np.array([10, 10, 60, 80])
        assert ordinary_share(people, things, platform, at=3) == pytest.approx(2.5 / 10)
        assert ordinary_share(people[:1], things[:1], platform[:1], at=0) == pytest.approx(2 / 10)
        assert ordinary_share(people * 0, things * 0, platform, at=3) == 0.0
