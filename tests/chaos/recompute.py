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

    from events import sessions
    from events.models import Session, WindowFill
    from features import log_windows
    from features.materialize import materialize
    from features.models import ContentFeatures, ContentWindow, PopulationWindow

    columns = {
        Session: ("key", "user_id", "device", "started_at", "ended_at", "events", "views", "watch_s", "first_content"),
        WindowFill: ("family", "window_start", "state", "events"),
        ContentFeatures: ("content_id", "day_start", "window_start", "as_of", "feature_set", "vector"),
        ContentWindow: ("window_start", "events", "counter_set", "folded", "contents", "cells", "counts"),
        PopulationWindow: ("window_start", "surfaces", "watch", "surface", "watch_state", "surface_state"),
    }

    def rows() -> dict[str, list[Any]]:
        found = {}
        for model, names in columns.items():
            chosen = model.objects.all()
            if model is WindowFill:
                # An hour whose events are all gone keeps its row; without the log it would not have one.
                chosen = chosen.filter(family__in=(sessions.FAMILY, log_windows.FAMILY)).exclude(events=0)
            found[model.__name__] = sorted(chosen.values_list(*names), key=repr)
        return found

    # One moment for both, so that no hour ends between them.
    now = datetime.now(UTC)

    def compute() -> dict[str, list[Any]]:
        sessions.rebuild_sessions(until=now)
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
    report = {"sessions": len(stored["Session"]), "features": len(stored["ContentWindow"]), "differ": differ}
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
