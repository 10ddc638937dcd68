"""The Celery app, and the clock of the system: every periodic job stands in the one table below.

Tasks are doors: each calls one service of its app. They work on ids and windows, never on one event, and a lost
message costs nothing, because the next tick finds the same work in the database again.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsys.settings")

app = Celery("recsys")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

MINUTE_S = 60.0
HOUR_S = 3600.0

app.conf.beat_schedule = {
    # An upload is retrievable and a counter is fresh within about a minute; the feed itself reads the log directly.
    "materialize features": {"task": "features.tasks.materialize_features", "schedule": MINUTE_S},
    "measure KPIs": {"task": "dashboards.tasks.measure_kpis", "schedule": 5 * MINUTE_S},
    "train the ranker": {"task": "ranking.tasks.train_ranker", "schedule": 6 * HOUR_S},
}
for entry in app.conf.beat_schedule.values():
    # A tick that nobody took before the next one is due is worthless: the next one does the same work.
    entry["options"] = {"expires": entry["schedule"]}
