"""The Celery app, and the clock of the system: every periodic job stands in the one table below.

Tasks are doors: each calls one service of its app. They work on ids and windows, never on one event, and a lost
message costs nothing, because the next tick finds the same work in the database again.
"""

import os
from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import task_postrun, task_prerun, worker_init
from django.conf import settings

from recsys.logs import TASK_ID

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsys.settings")

app = Celery("recsys")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# dashboards has a second file of doors.
app.autodiscover_tasks(["dashboards"], related_name="moderation_tasks")

MINUTE_S = 60.0
HOUR_S = 3600.0

# A tick that nobody took before the next one is due is worthless: the next one does the same work.
# Assigning the finished table is lazy; reading `app.conf` here would load the settings on `import recsys`.
app.conf.beat_schedule = {
    name: {"task": task, "schedule": when, "options": {"expires": when if isinstance(when, float) else 6 * HOUR_S}}
    for name, task, when in (
        # A counter is fresh within about a minute; the feed itself reads the log directly.
        ("materialize features", "features.tasks.materialize_features", MINUTE_S),
        # Costs one query while nothing changed. Uploads do not wait for it: see `features.arrivals`.
        ("refresh the snapshot", "features.tasks.refresh_snapshot", 2.0),
        # What many people turn to is a trend within minutes.
        ("refresh trends", "features.tasks.refresh_trends", MINUTE_S),
        # Finds what was uploaded or changed; the text is in the next snapshot anyway, frames and sound follow.
        ("analyse contents", "features.tasks.analyse_contents", 5.0),
        # What is registered is judged by its words within seconds, and again once its media were looked at.
        ("screen uploads", "dashboards.moderation_tasks.screen_uploads", 3.0),
        ("apply feedback to profiles", "features.tasks.apply_feedback", MINUTE_S),
        ("rebuild sessions", "events.tasks.rebuild_sessions", MINUTE_S),
        # Feeds compare the end themselves; this keeps what has ended out of the next snapshot.
        ("note expired contents", "events.tasks.note_expired", MINUTE_S),
        ("mark automated traffic", "events.tasks.mark_automated", 5 * MINUTE_S),
        # A report made in the player is in the queue, and counts towards hiding, within half a minute.
        ("take reports", "dashboards.moderation_tasks.take_reports", MINUTE_S / 2),
        ("end what has expired", "dashboards.moderation_tasks.expire_due", MINUTE_S / 2),
        ("drop old reports", "dashboards.moderation_tasks.drop_expired", 6 * HOUR_S),
        ("measure KPIs", "dashboards.tasks.measure_kpis", 5 * MINUTE_S),
        # One reading in five minutes; the other ticks find it there.
        ("read signals", "dashboards.tasks.read_signals", MINUTE_S),
        # Rules judge periods that have passed; messages that failed are due again within seconds.
        ("watch KPIs", "dashboards.tasks.watch_kpis", MINUTE_S),
        # Before a web process that starts anew would find out.
        ("check the models", "ranking.tasks.check_models", MINUTE_S),
        ("let the shadow score", "ranking.tasks.score_shadow", MINUTE_S),
        # What came of a page is known ten minutes after it.
        ("judge what is tried out", "ranking.tasks.judge_tried", 10 * MINUTE_S),
        # Waits by itself until enough was served since; drift makes it wait for less.
        ("train an increment", "ranking.tasks.train_increment", 3 * MINUTE_S),
        ("refit the ranker", "ranking.tasks.refit", HOUR_S),
        # At night; a machine that is off then is caught up with by the next entry.
        ("train the ranker", "ranking.tasks.train_ranker", crontab(hour=3, minute=10)),
        # Asks for a full training where what is served has moved too far, or the last one is a day old.
        ("watch drift", "ranking.tasks.watch_drift", 10 * MINUTE_S),
        # What does harm is stopped within one of these and one of the KPIs.
        ("watch experiments", "dashboards.tasks.watch_experiments", 5 * MINUTE_S),
        # More often than daily: what could not be locked at once, or fell into a restart, waits for hours, not days.
        ("maintain partitions", "events.tasks.maintain_partitions", 6 * HOUR_S),
        # A page asks for it at once; this finds what a dead worker or an emptied broker left.
        ("settle dead letters", "events.tasks.settle_letters", MINUTE_S),
        ("drop dead letters", "events.tasks.drop_dead_letters", 6 * HOUR_S),
    )
}


@worker_init.connect
def _stand_back(**_kwargs: Any) -> None:
    """Somebody waits for a page, and nobody for a tick; the worker's processes are forked later and inherit it."""
    os.nice(settings.TASK_NICENESS)


@task_prerun.connect
def _name_task(task_id: str, **_kwargs: Any) -> None:
    """What the task logs says that it is this task's."""
    TASK_ID.set(task_id)


@task_postrun.connect
def _forget_task(**_kwargs: Any) -> None:
    TASK_ID.set("")
