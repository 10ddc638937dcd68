"""Celery doors of the recommendation engine."""

import logging
from datetime import datetime

from celery import shared_task
from django.db import InterfaceError, OperationalError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from features.materialize import materialize
from ranking import drift_watch, incremental, registry, shadowing, training, tried_out
from ranking.training import TrainConfig, TrainingRunsError

logger = logging.getLogger(__name__)


@shared_task(
    name="ranking.tasks.train_ranker",
    acks_late=True,
    autoretry_for=(OperationalError, InterfaceError),
    retry_backoff=30,
    max_retries=3,
)
def train_ranker(until: str | None = None) -> None:
    """Bring the features up to date, train, and promote what passes its gates.

    `until` is an ISO moment with a zone, else now. A second call while one runs does nothing, and a killed one leaves
    nothing half: the lock goes with its database connection, and a model is registered in one rename and one row.
    """
    now = timezone.now()
    moment = _moment(until) if until else now
    materialize(until=moment)
    try:
        report = training.train_and_promote(TrainConfig(), until=moment, now=now)
    except TrainingRunsError:
        logger.info("a training runs already")
        return
    logger.info("%s", report)


@shared_task(name="ranking.tasks.train_increment", acks_late=True)
def train_increment() -> None:
    """Go on from the champion with what was served since, if that is enough by now.

    A killed one leaves nothing half and forgets nothing: what is new follows from the log and from the champion.
    """
    _increment(thorough=False)


@shared_task(name="ranking.tasks.refit", acks_late=True)
def refit() -> None:
    """The same over the exposures of hours, whatever came since."""
    _increment(thorough=True)


def _increment(*, thorough: bool) -> None:
    try:
        report = incremental.increment(now=timezone.now(), thorough=thorough)
    except TrainingRunsError:
        logger.info("a training runs already")
        return
    logger.info("increment: %s", report.training or f"waits, {report.waits}")


@shared_task(name="ranking.tasks.watch_drift", acks_late=True)
def watch_drift() -> None:
    """Measure how far what is served has moved, and train anew where that is too far."""
    now = timezone.now()
    drift = drift_watch.measure(now=now)
    if drift is not None:
        logger.info("drift of the scores %.3f, %.1f %% of the features", drift.score_psi, 100 * drift.moved_share)
    if incremental.full_training_is_due(now=now):
        train_ranker.delay()


@shared_task(name="ranking.tasks.score_shadow", acks_late=True)
def score_shadow() -> None:
    """Let the shadow, if there is one, score a share of the pages that were served since the last time."""
    report = shadowing.score_pages(now=timezone.now())
    if report.pages:
        logger.info("shadow %s: %s pages, %s broken", report.version, report.pages, report.broken)


@shared_task(name="ranking.tasks.judge_tried", acks_late=True)
def judge_tried() -> None:
    """Hold a shadow and a canary, where there are some, against what came of the pages that were served."""
    for each in tried_out.measure(now=timezone.now()):
        logger.info("%s on %s served exposures", each, each.exposures)


@shared_task(name="ranking.tasks.check_models", acks_late=True)
def check_models() -> None:
    """Look at the files of what serves, so that damage is known before a process has to load them."""
    registry.check(now=timezone.now())


def _moment(text: str) -> datetime:
    moment = parse_datetime(text)
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"until must be an ISO moment with a time zone, got {text!r}")
    return moment
