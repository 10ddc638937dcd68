"""Whether the ranker still sees what it was trained on: every feature, and its score, now against then.

Then is the week before the champion was first looked at, the newest end of what it learned from; of the score, its own
first positions. Kept as bins (`DriftBaseline`), so a comparison reads only the newest positions.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboards.signal_models import DriftBaseline
from dashboards.stats.drift import edges, psi, shares
from ranking import served_sample
from ranking.queries import model_history

ALERT: Final = 0.25
LEAST_POSITIONS: Final = 1_000
"""Below that the bins are noise."""
MOST_POSITIONS: Final = 5_000
NOW: Final = timedelta(hours=24)
THEN: Final = timedelta(days=7)
SCORE: Final = "score"


@dataclass(frozen=True, slots=True)
class Drift:
    """Index of each feature, largest first, and of the score (None until the champion served enough)."""

    positions: int
    features: tuple[tuple[str, float], ...]
    score: float | None

    @property
    def beyond_pct(self) -> float | None:
        """Share of the features beyond `ALERT`; None without any."""
        return 100.0 * sum(each > ALERT for _, each in self.features) / len(self.features) if self.features else None


def measure(*, now: datetime) -> Drift:
    """Compare the last day with the baseline of the champion, and make that where it is missing."""
    champion = next((model for model in model_history() if model.state == "champion"), None)
    if champion is None:
        return Drift(0, (), None)
    sample = served_sample.newest(now - NOW, most=MOST_POSITIONS)
    key = f"{champion.version}:{sample.feature_set}"[:64]
    features: list[tuple[str, float]] = []
    if len(sample.score) >= LEAST_POSITIONS:
        known = _baselines(key)
        if not known:
            before = served_sample.newest(now - THEN, most=MOST_POSITIONS)
            columns = dict(zip(before.names, before.features.T, strict=True))
            known = _keep(key, columns, now=now)
        columns = dict(zip(sample.names, sample.features.T, strict=True))
        features = sorted(_compared(known, columns).items(), key=lambda each: -each[1])
    own = sample.score[sample.model_version == champion.version]
    score = None
    if len(own) >= LEAST_POSITIONS:
        of_score = _baselines(champion.version) or _keep(champion.version, {SCORE: own}, now=now)
        score = _compared(of_score, {SCORE: own}).get(SCORE)
    return Drift(len(sample.score), tuple(features), score)


def _baselines(key: str) -> dict[str, DriftBaseline]:
    return {row.column: row for row in DriftBaseline.objects.filter(key=key)}


def _keep(key: str, columns: dict[str, NDArray[np.floating]], *, now: datetime) -> dict[str, DriftBaseline]:
    rows = []
    for name, values in columns.items():
        cut = edges(values)
        rows.append(
            DriftBaseline(
                key=key, column=name, edges=cut.tolist(), shares=shares(values, cut).tolist(), positions=len(values),
                made_at=now,
            )
        )  # fmt: skip
    DriftBaseline.objects.bulk_create(rows, ignore_conflicts=True)
    return _baselines(key)


def _compared(known: dict[str, DriftBaseline], columns: dict[str, NDArray[np.floating]]) -> dict[str, float]:
    return {
        name: psi(known[name].shares, shares(values, known[name].edges))
        for name, values in columns.items() if name in known
    }  # fmt: skip
