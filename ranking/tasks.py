"""Celery doors of the recommendation engine."""

import logging
from datetime import datetime

from celery import shared_task
from django.db import InterfaceError, OperationalError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from features.materialize import materialize
from ranking import registry, shadowing, training
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


@shared_task(name="ranking.tasks.score_shadow", acks_late=True)
def score_shadow() -> None:
    """Let the shadow, if there is one, score a share of the pages that were served since the last time."""
    report = shadowing.score_pages(now=timezone.now())
    if report.pages:
        logger.info("shadow %s: %s pages, %s broken", report.version, report.pages, report.broken)


@shared_task(name="ranking.tasks.check_models", acks_late=True)
def check_models() -> None:
    """Look at the files of what serves, so that damage is known before a process has to load them."""
    registry.check(now=timezone.now())


def _moment(text: str) -> datetime:
    moment = parse_datetime(text)
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"until must be an ISO moment with a time zone, got {text!r}")
    return moment
