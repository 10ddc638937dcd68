"""What experiments can be judged by: every KPI that is a sum or a ratio of sums over users, and coming back.

Each is the KPI of that name with the user as the unit, counted from the day of the user's exposure on. A new KPI that
adds up is a metric of experiments by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dashboards.kpis import KPIS, Kpi, Ratio, Retained

WORSE: Final = frozenset({
    "bounce_rate", "skip_rate", "negative_rate", "unattributed_clicks", "night_share", "long_session_share",
    "regretted_share",
})  # fmt: skip
"""More of these is worse."""
RETENTION_DAYS: Final = (1, 7)
DEFAULT_GOALS: Final = ("watch_h", "retention_d1")
DEFAULT_GUARDRAILS: Final = ("negative_rate", "skip_rate", "regretted_share", "long_session_share")
LONG_TAILED: Final = frozenset({"watch_ms", "night_ms", "regretted_ms", "session_ms"})
"""Measures of time: a few users who never stop would decide the mean, so their largest are cut (see `tally`)."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes
    ----------
    over, under : measures that are summed; without `under` the metric is their mean over all exposed users
    after : instead of measures, active exactly so many days after the exposure, among those for whom it has passed
    complement : one minus the ratio
    """

    key: str
    title: str
    unit: str
    definition: str
    over: tuple[str, ...] = ()
    under: tuple[str, ...] = ()
    after: int | None = None
    scale: float = 1.0
    complement: bool = False

    @property
    def more_is_worse(self) -> bool:
        return self.key in WORSE


def _metric(kpi: Kpi) -> Metric | None:
    formula = kpi.formula
    if isinstance(formula, Retained) and formula.after in RETENTION_DAYS:
        said = f"Share of the exposed users who are active exactly {formula.after} d after the day of their exposure."
        return Metric(kpi.key, kpi.title, "%", said, after=formula.after, scale=100.0)
    if not isinstance(formula, Ratio):
        return None
    title = kpi.title if formula.under else f"{kpi.title} per exposed user"
    return Metric(
        kpi.key, title, kpi.unit, kpi.definition, formula.over, formula.under, None, formula.scale, formula.complement
    )


METRICS: Final[Mapping[str, Metric]] = {
    metric.key: metric
    for metric in (
        Metric("days_active", "Active days", "days", "Active days per exposed user.", ("users",)),
        *(_metric(kpi) for kpi in KPIS),
    )
    if metric is not None
}
