"""The champion's successor: trained on from it with what was served since, every few minutes.

What came since waits until there is enough of it (`evaluation.cadence`), which drift makes sooner. How much that is
follows from the log and from the moment the champion's data ends, so there is no buffer that a crash could lose or
apply twice. An increment learns from the newest exposures with the labels of today, those of the last two days among
them: a like that came late is corrected, and the old is not forgotten. It serves only where its gates hold, beside the
champion and on exposures that neither has seen.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from events import queries
from ranking import drift_watch, registry, training
from ranking.evaluation.cadence import increment_is_due
from ranking.models import ModelVersion
from ranking.ranker.bundle import BundleError
from ranking.ranker.warm_start import WarmStartError
from ranking.training import TrainConfig, TrainReport

logger = logging.getLogger(__name__)

INCREMENT: Final = replace(TrainConfig(), max_examples=12_000)
"""Ten thousand new exposures, and a fifth as many old ones."""
THOROUGH: Final = replace(TrainConfig(), max_examples=48_000, regrow=True)
"""The same over the exposures of hours, which are enough to grow trees from."""
KEEPS_CANDIDATES: Final = timedelta(days=3)
EXPOSING: Final = ("impression", "view", "skip")


@dataclass(frozen=True, slots=True)
class IncrementReport:
    """What came of it; `training` is None where it waits, and `waits` says why."""

    new: int
    waits: str
    training: TrainReport | None = None


def increment(*, now: datetime, thorough: bool = False) -> IncrementReport:
    """Train the champion's successor where enough came since, and promote it where its gates hold.

    Raises
    ------
    TrainingRunsError : while another process trains
    """
    row = ModelVersion.objects.filter(state=ModelVersion.State.CHAMPION).first()
    if row is None:
        return IncrementReport(0, "there is no champion to go on from")
    new = len(queries.interactions_between(row.trained_until, now, types=EXPOSING))
    waited = now - row.trained_until
    if not thorough and not increment_is_due(new, waited, drift_watch.pace(row.version)):
        return IncrementReport(new, f"{new} exposures in {waited}")
    config = THOROUGH if thorough else INCREMENT
    try:
        report = training.train_and_promote(config, until=now, now=now, parent=row.version)
    except (WarmStartError, BundleError) as error:
        return IncrementReport(new, f"{row.version} cannot be gone on from: {error}")
    registry.prune(now=now, keep_for=KEEPS_CANDIDATES)
    return IncrementReport(new, "", report)


def full_training_is_due(*, now: datetime) -> bool:
    """Whether the last full training is older than drift allows."""
    version = registry.champion_version()
    last = ModelVersion.objects.filter(parent="").order_by("-trained_until").first()
    if version is None or last is None:
        return False
    return now - last.trained_until >= drift_watch.pace(version).full_after
