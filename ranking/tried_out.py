"""What became of pages that a shadow or a canary is asked about: its chances and the champion's beside what happened.

Both judge the same exposures of served pages, from the features that lie in the log, and the label is the long view of
the ten minutes that followed. So the difference is paired, and no request waits for any of it. Pages that the champion
made are what the champion liked: a model that would show other contents is judged on these alone.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from events import queries
from features.extraction.definitions import FEATURE_SET, NAMES
from ranking import model_files
from ranking.evaluation import offline
from ranking.models import ModelOutcome, ModelVersion, Served
from ranking.ranker.bundle import BundleError, ServingBundle
from ranking.ranker.examples import label_exposures
from ranking.ranker.heads import LABEL_WINDOW_S, PRIMARY
from ranking.ranker.valued import ValuedModel
from ranking.served_examples import served_examples
from ranking.serving_models import champion, pointer_to

LOOK_BACK: Final = timedelta(days=1)
MOST_POSITIONS: Final = 10_000
LEAST: Final = 200
"""Exposures with a known end; fewer say nothing."""
KEPT_FOR: Final = timedelta(days=30)
SEED: Final = 7
_TRIED: Final = (ModelVersion.State.SHADOW, ModelVersion.State.CANARY)
_CUTS: Final = np.cumsum([len(NAMES[block]) for block in ("user", "content")]).tolist()

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shown:
    """Exposures of served pages whose window is over; n rows.

    Attributes
    ----------
    user : int64 array (n,), codes
    label : int8 array (n,), whether it became a long view
    features : float32 array (n, width), as served
    """

    since: datetime
    user: NDArray[np.int64]
    label: NDArray[np.int8]
    features: NDArray[np.float32]


def measure(*, now: datetime) -> list[ModelOutcome]:
    """Judge what is tried out at this moment; nothing where none is, or too little was shown."""
    tried = list(ModelVersion.objects.filter(state__in=_TRIED, feature_set=FEATURE_SET))
    serving = champion() if tried else None
    shown = None if serving is None else _shown(now)
    if serving is None or shown is None:
        return []
    theirs = _chances(serving, shown.features)
    found = []
    for row in tried:
        try:
            model = model_files.load(pointer_to(row), feature_set=FEATURE_SET)
        except BundleError:  # `registry.check` raises the alert
            continue
        ours = _chances(model, shown.features)
        if ours is not None and theirs is not None:
            found.append(_outcome(row.version, serving.version, shown, ours, theirs, now))
    ModelOutcome.objects.bulk_create(found)
    ModelOutcome.objects.filter(measured_at__lt=now - KEPT_FOR).delete()
    return found


def newest(version: str) -> ModelOutcome | None:
    """The last judgement of a version; served by the index outcome_of_version."""
    return ModelOutcome.objects.filter(version=version).order_by("-measured_at").first()


def objections(version: str) -> tuple[str, ...]:
    """A sentence where outcomes say that a version is worse than the champion of this moment; else nothing."""
    told = newest(version)
    if told is None or told.difference_high is None or told.difference_high >= 0.0:
        return ()
    if not ModelVersion.objects.filter(version=told.champion, state=ModelVersion.State.CHAMPION).exists():
        return ()
    worse = f"clearly worse than {told.champion} on {told.exposures} exposures that were served"
    return (f"{worse}: AUC differs by {told.difference_low:+.4f} to {told.difference_high:+.4f}",)


def _shown(now: datetime) -> Shown | None:
    """The newest exposures of served pages; None where they are too few or of one class."""
    over = now - timedelta(seconds=LABEL_WINDOW_S)
    # By the primary key, which follows the time: what is not over yet is at the end of it.
    newest_first = Served.objects.filter(served_at__lte=over).order_by("-id").values_list("served_at", flat=True)
    moments = list(newest_first[:MOST_POSITIONS])
    if len(moments) < LEAST:
        return None
    since = max(moments[-1], now - LOOK_BACK)
    log = queries.interactions_between(since, now)
    examples = label_exposures(log, queries.catalogue_table(), until=now.timestamp())
    served = served_examples(examples, log)
    known = examples.rows(served.logged)
    label = known.labels.of(PRIMARY).astype(np.int8)
    if len(known) < LEAST or len(np.unique(label)) < 2:
        return None
    return Shown(since, known.user.astype(np.int64), label, served.features)


def _chances(model: ValuedModel | ServingBundle, features: NDArray[np.float32]) -> Floats | None:
    """Chances of a long view; None for a model that gives figures that are not finite."""
    blocks = dict(zip(("user", "content", "context"), np.split(features, _CUTS, axis=1), strict=True))
    try:
        told = model.score_rows({name: np.ascontiguousarray(block) for name, block in blocks.items()})
    except BundleError:
        return None
    return np.asarray(told, np.float64)


def _outcome(
    version: str, serving: str, shown: Shown, ours: Floats, theirs: Floats, now: datetime
) -> ModelOutcome:  # fmt: skip
    rng = np.random.default_rng(SEED)
    apart = offline.auc_difference_interval(shown.label, ours, theirs, shown.user, rng=rng)
    return ModelOutcome(
        version=version, champion=serving, measured_at=now, since=shown.since, exposures=len(shown.label),
        users=len(np.unique(shown.user)), long_views=int(shown.label.sum()),
        auc=offline.auc(shown.label, ours) or 0.0, champion_auc=offline.auc(shown.label, theirs) or 0.0,
        difference_low=None if apart is None else apart.low, difference_high=None if apart is None else apart.high,
        log_loss=offline.log_loss(shown.label, ours), champion_log_loss=offline.log_loss(shown.label, theirs),
        ece=offline.ece(shown.label, ours), champion_ece=offline.ece(shown.label, theirs),
    )  # fmt: skip
