"""`python -m tests.chaos.recompute`: bring the derived rows of a system up to date, then compute them all anew.

Prints one line of JSON that names the tables in which the two differ. The second computation starts from nothing and
is rolled back, so that the running system never sees it.
"""

# ruff: noqa: PLC0415  models load with Django, which is set up first
import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django


class _Undo(Exception):
    """Ends the transaction of the second computation."""


def main() -> None:
    """Compute, compare, report."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsys.settings")
    django.setup()
    from django.conf import settings
    from django.db import transaction

    from events.models import Session, WindowFill
    from events.sessions import rebuild_sessions
    from features.materialize import materialize
    from features.models import ContentFeatures, FillState

    columns = {
        Session: ("key", "user_id", "device", "started_at", "ended_at", "events", "views", "watch_s", "first_content"),
        WindowFill: ("family", "window_start", "state", "events"),
        ContentFeatures: ("content_id", "window_start", "as_of", "feature_set", "vector"),
        FillState: ("window_start", "as_of", "events", "feature_set"),
    }

    def rows() -> dict[str, list[Any]]:
        found = {}
        for model, names in columns.items():
            # An hour whose events are all gone keeps its row; without the log it would not have one.
            chosen = model.objects.exclude(events=0) if model is WindowFill else model.objects.all()
            found[model.__name__] = sorted(chosen.values_list(*names), key=repr)
        return found

    def compute() -> dict[str, list[Any]]:
        now = datetime.now(UTC)
        rebuild_sessions(until=now)
        materialize(until=now)
        return rows()

    stored = compute()
    try:
        with tempfile.TemporaryDirectory() as folder, transaction.atomic():
            settings.SNAPSHOT_DIR = Path(folder)
            for model in columns:
                model.objects.all().delete()
            anew = compute()
            raise _Undo
    except _Undo:
        differ = [name for name in stored if repr(stored[name]) != repr(anew[name])]
    report = {"sessions": len(stored["Session"]), "features": len(stored["ContentFeatures"]), "differ": differ}
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
