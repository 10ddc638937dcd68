"""Celery doors of the feature store. Each tick finds the work in the database, so a lost message costs nothing."""

from datetime import UTC, datetime

from celery import shared_task

from features import content, erasure, preferences, trends
from features import materialize as service


@shared_task(name="features.tasks.materialize_features", acks_late=True)
def materialize_features(until: str | None = None) -> None:
    """Take in the log up to `until` (ISO 8601, now by default)."""
    service.materialize(until=datetime.fromisoformat(until) if until else datetime.now(UTC))


@shared_task(name="features.tasks.apply_feedback", acks_late=True)
def apply_feedback(until: str | None = None) -> None:
    """Let likes and refusals before `until` (ISO 8601, now by default) adjust the profiles of who gave them."""
    preferences.apply_feedback(until=datetime.fromisoformat(until) if until else datetime.now(UTC))


@shared_task(name="features.tasks.refresh_snapshot", acks_late=True)
def refresh_snapshot() -> None:
    """Make a changed catalogue retrievable."""
    service.refresh_snapshot(until=datetime.now(UTC))


@shared_task(name="features.tasks.refresh_trends", acks_late=True)
def refresh_trends(until: str | None = None) -> None:
    """Count the hours of the log that changed before `until` (ISO 8601, now by default), and judge the newest."""
    trends.refresh(until=datetime.fromisoformat(until) if until else datetime.now(UTC))


@shared_task(name="features.tasks.erase_user", acks_late=True)
def erase_user(user_id: str, first: str | None = None, last: str | None = None) -> None:
    """Take a user, who is out of the log already, out of what was learned from it; moments in ISO 8601."""
    moments = (datetime.fromisoformat(each) if each else None for each in (first, last))
    erasure.erase_user(user_id, **dict(zip(("first", "last"), moments, strict=True)))


@shared_task(name="features.tasks.analyse_contents", acks_late=True)
def analyse_contents() -> None:
    """Look at contents that are new, changed or due for another try, for some seconds."""
    content.analyse(now=datetime.now(UTC))
