"""The table of KPIs: what each is called, how it is defined, and from which rollups it is computed.

To add a KPI, add an entry to `KPIS`; its SQL stands in `kpi_sql`. Values are read by `series`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dashboards.kpi_sql import SQL
from dashboards.stats.periods import Grain

ALL_GRAINS: Final = tuple(Grain)
WHOLE_DAYS: Final = (Grain.DAY, Grain.WEEK, Grain.MONTH)
EVENT_DIMENSIONS: Final = ("category", "country", "surface", "source", "model", "arm")
OF_USERS: Final = ("country",)


@dataclass(frozen=True, slots=True)
class Ratio:
    """`scale * sum(over) / sum(under)` of measures; without `under` the sum itself. `users` counts user-days."""

    over: tuple[str, ...]
    under: tuple[str, ...] = ()
    scale: float = 1.0
    complement: bool = False


@dataclass(frozen=True, slots=True)
class Distinct:
    """Distinct users of the period, or of `trailing` days that end with it."""

    trailing: int | None = None


@dataclass(frozen=True, slots=True)
class Stickiness:
    """Users of the day over users of the thirty days that end with it."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the lifecycle: new, returning, resurrecting or dormant."""

    name: str


@dataclass(frozen=True, slots=True)
class Retained:
    """Share of the users whose first day lies in the period who were active `after` days later."""

    after: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A figure that is computed when its period is rebuilt."""

    name: str


@dataclass(frozen=True, slots=True)
class OfLog:
    """Share of all events, programs and staff included, that a count of `KpiDay` has."""

    column: str


Formula = Ratio | Distinct | Stickiness | Phase | Retained | Stored | OfLog


@dataclass(frozen=True, slots=True)
class Kpi:
    """One KPI.

    Attributes
    ----------
    definition : in words, with what its edges are
    unit : as it stands behind a number; "" for a plain number
    grains, dimensions : over which periods it is defined, and by what it can be broken down
    section : the board it stands on
    """

    key: str
    title: str
    unit: str
    definition: str
    formula: Formula
    section: str
    grains: tuple[Grain, ...] = ALL_GRAINS
    dimensions: tuple[str, ...] = EVENT_DIMENSIONS

    @property
    def sql(self) -> str:
        """The same number for one period, computed from the raw log."""
        return SQL[self.key]


_PER_VIEW: Final = ("views",)
_SHOWN: Final = ("impressions",)

_GROWTH: Final = (
    Kpi(
        "dau", "Daily active users", "users",
        "Distinct users with at least one event that they made themselves on the day; being shown something "
        "(impression) and publishing are not activity.",
        Distinct(), "growth", (Grain.DAY,),
    ),
    Kpi(
        "wau", "Weekly active users", "users", "Distinct active users of the 7 days that end with the day.",
        Distinct(7), "growth", (Grain.DAY,),
    ),
    Kpi(
        "mau", "Monthly active users", "users", "Distinct active users of the 30 days that end with the day.",
        Distinct(30), "growth", (Grain.DAY,),
    ),
    Kpi(
        "active_users", "Active users", "users", "Distinct active users of the calendar hour, day, week or month.",
        Distinct(), "growth",
    ),
    Kpi(
        "stickiness", "Stickiness", "%", "Daily active users / monthly active users (30 days that end with the day).",
        Stickiness(), "growth", (Grain.DAY,),
    ),
    Kpi(
        "new_users", "New users", "users", "Active users whose first activity in the whole log lies in the period.",
        Phase("new"), "growth", WHOLE_DAYS,
    ),
    Kpi(
        "returning_users", "Returning users", "users", "Active in the period and in the one before it.",
        Phase("returning"), "growth", WHOLE_DAYS,
    ),
    Kpi(
        "resurrecting_users", "Resurrecting users", "users",
        "Active in the period, not in the one before it, and not new.",
        Phase("resurrecting"), "growth", WHOLE_DAYS,
    ),
    Kpi(
        "dormant_users", "Dormant users", "users", "Active in the period before, and not in this one.",
        Phase("dormant"), "growth", WHOLE_DAYS,
    ),
)  # fmt: skip
_RETENTION: Final = tuple(
    Kpi(
        f"retention_d{after}", f"Day {after} retention", "%",
        f"Of the users whose first active day lies in the period, the share who are active exactly {after} "
        f"{'day' if after == 1 else 'days'} later. No value until that day has passed for all of them.",
        Retained(after), "retention", WHOLE_DAYS, OF_USERS,
    )
    for after in (1, 7, 30)
)  # fmt: skip
_TIME: Final = (
    Kpi(
        "watch_min_per_user", "Time spent per active user", "min",
        "Watched minutes / active users of the day; over a longer period, per user and day. A view lasts at most as "
        "long as there was time for it (the longer of the pauses to what was shown before and after, plus 2 s).",
        Ratio(("watch_ms",), ("users",), 1 / 60e3), "time",
    ),
    Kpi(
        "watch_median_min", "Time spent, median", "min", "Median of the watched minutes of each active user and day.",
        Stored("watch_median_min"), "time", WHOLE_DAYS, (),
    ),
    Kpi(
        "watch_p90_min", "Time spent, 90th percentile", "min",
        "A tenth of the active users and days has more watched minutes.",
        Stored("watch_p90_min"), "time", WHOLE_DAYS, (),
    ),
    Kpi("watch_h", "Hours watched", "h", "Watched hours of everybody.", Ratio(("watch_ms",), (), 1 / 3.6e6), "time"),
    Kpi(
        "sessions", "Sessions", "", "Sessions that start in the period: a user's events on one device without a pause "
        "of more than 30 minutes, 24 hours at most. Midnight does not split them.",
        Ratio(("sessions",)), "time", ALL_GRAINS, OF_USERS,
    ),
    Kpi(
        "sessions_per_user", "Sessions per active user", "", "Sessions / active users of the day.",
        Ratio(("sessions",), ("users",)), "time", ALL_GRAINS, OF_USERS,
    ),
    Kpi(
        "session_mean_s", "Session duration, mean", "s",
        "Mean over sessions of the last event plus its watched seconds, minus the start; one event without watching "
        "lasts 0 s and counts.",
        Ratio(("session_ms",), ("sessions",), 1e-3), "time", ALL_GRAINS, OF_USERS,
    ),
    Kpi(
        "session_median_s", "Session duration, median", "s", "Median over the same sessions.",
        Stored("session_median_s"), "time", ALL_GRAINS, (),
    ),
    Kpi(
        "session_p90_s", "Session duration, 90th percentile", "s", "A tenth of the same sessions is longer.",
        Stored("session_p90_s"), "time", ALL_GRAINS, (),
    ),
    Kpi(
        "session_nonzero_mean_s", "Session duration, mean without zeros", "s",
        "Mean over the sessions that last longer than 0 s.",
        Ratio(("session_ms",), ("watched_sessions",), 1e-3), "time", ALL_GRAINS, OF_USERS,
    ),
    Kpi(
        "views_per_session", "Views per session", "", "Views in the sessions that start in the period / sessions.",
        Ratio(("session_views",), ("sessions",)), "time", ALL_GRAINS, OF_USERS,
    ),
    Kpi(
        "engaged_session_rate", "Engaged sessions", "%",
        "Sessions of more than 10 s, or with two views, or with a like, comment, share, save, follow or complete view "
        "/ sessions.",
        Ratio(("engaged_sessions",), ("sessions",), 100.0), "time", ALL_GRAINS, OF_USERS,
    ),
    Kpi(
        "bounce_rate", "Bounce rate", "%", "Sessions that are not engaged / sessions.",
        Ratio(("engaged_sessions",), ("sessions",), 100.0, complement=True), "time", ALL_GRAINS, OF_USERS,
    ),
)  # fmt: skip
_ENGAGEMENT: Final = (
    Kpi("impressions", "Impressions", "", "Distinct (request, content) on screen.", Ratio(_SHOWN), "engagement"),
    Kpi("views", "Views", "", "Views.", Ratio(_PER_VIEW), "engagement"),
    Kpi(
        "ctr", "Click-through rate", "%",
        "Impressions that were clicked within 24 hours / impressions. A feed that plays by itself has no click: a view "
        "of at least 2 s, a complete view or an engagement of the same request and content stands for it.",
        Ratio(("clicked",), _SHOWN, 100.0), "engagement",
    ),
    Kpi(
        "engagement_rate", "Engagement rate per impression", "%",
        "Impressions with a like, comment, share, save or follow / impressions.",
        Ratio(("engaged",), _SHOWN, 100.0), "engagement",
    ),
    Kpi(
        "engagement_per_view", "Engagement rate per view", "%",
        "Impressions with a like, comment, share, save or follow / views.",
        Ratio(("engaged",), _PER_VIEW, 100.0), "engagement",
    ),
    Kpi(
        "completion_rate", "Completion rate", "%", "Complete views / views.",
        Ratio(("completes",), _PER_VIEW, 100.0), "engagement",
    ),
    Kpi(
        "skip_rate", "Skip rate", "%",
        "Skips / views. A clip left within a second sends a skip and no view, so it can exceed 100 %.",
        Ratio(("skips",), _PER_VIEW, 100.0), "engagement",
    ),
    Kpi(
        "negative_rate", "Negative feedback", "%", "Hides and reports / impressions.",
        Ratio(("hides", "reports"), _SHOWN, 100.0), "engagement",
    ),
    Kpi(
        "report_rate", "Reports per 1,000 impressions", "", "1,000 x reports / impressions.",
        Ratio(("reports",), _SHOWN, 1000.0), "engagement",
    ),
    Kpi(
        "unattributed_clicks", "Clicks without an impression", "",
        "Clicks whose request and content were never on screen; they are in no rate.",
        Ratio(("unattributed",)), "engagement",
    ),
)  # fmt: skip
_CONTENT: Final = (
    Kpi(
        "coverage", "Coverage", "%", "Contents shown at least once / contents that the catalogue offers; at most 100.",
        Stored("coverage"), "content", WHOLE_DAYS, (),
    ),
    Kpi(
        "exposure_gini", "Exposure, Gini over contents", "",
        "How unequally impressions are shared by the contents shown: 0 all alike, 1 one has all.",
        Stored("exposure_gini"), "content", WHOLE_DAYS, (),
    ),
    Kpi(
        "creator_gini", "Exposure, Gini over creators", "", "The same over the creators of these contents.",
        Stored("creator_gini"), "content", WHOLE_DAYS, (),
    ),
    Kpi(
        "first_impression_h", "Time to first impression", "h",
        "Median hours from the upload to the first impression, over contents shown for the first time.",
        Stored("first_impression_h"), "content", WHOLE_DAYS, (),
    ),
    Kpi("uploads", "Uploads", "", "Contents published.", Ratio(("uploads",)), "content"),
    Kpi(
        "publish_rate", "Publish rate", "%", "Users who published something / active users of the day.",
        Ratio(("publishers",), ("users",), 100.0), "content", ALL_GRAINS, OF_USERS,
    ),
)  # fmt: skip
_WELLBEING: Final = (
    Kpi(
        "night_share", "Night use", "%", "Watched time between midnight and five o'clock / watched time.",
        Ratio(("night_ms",), ("watch_ms",), 100.0), "wellbeing",
    ),
    Kpi(
        "long_session_share", "Sessions over two hours", "%", "Sessions longer than two hours / sessions.",
        Ratio(("long_sessions",), ("sessions",), 100.0), "wellbeing", ALL_GRAINS, OF_USERS,
    ),
    Kpi(
        "regretted_share", "Regretted time", "%",
        "Watched time of contents that the same user hid or reported afterwards, on the same day / watched time.",
        Ratio(("regretted_ms",), ("watch_ms",), 100.0), "wellbeing",
    ),
)  # fmt: skip
_QUALITY: Final = (
    Kpi(
        "excluded_share", "Bots and staff", "%", "Events of programs and staff, which no other figure counts / events.",
        OfLog("excluded_rows"), "quality", WHOLE_DAYS, (),
    ),
    Kpi(
        "late_share", "Late events", "%", "Events that arrived more than an hour after they happened / events.",
        OfLog("late_rows"), "quality", WHOLE_DAYS, (),
    ),
)  # fmt: skip

KPIS: Final = (*_GROWTH, *_RETENTION, *_TIME, *_ENGAGEMENT, *_CONTENT, *_WELLBEING, *_QUALITY)
BY_KEY: Final[Mapping[str, Kpi]] = {kpi.key: kpi for kpi in KPIS}
SECTIONS: Final = {
    "growth": "Growth", "retention": "Retention", "time": "Time spent", "engagement": "Engagement",
    "content": "Content and creators", "wellbeing": "Well-being", "quality": "Data quality",
}  # fmt: skip
