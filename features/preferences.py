"""Explicit feedback applied to user profiles, hour by hour of the log.

What feedback adds up to stands under `preferences["learned"]`, apart from what the user states (`liked_categories` and
so on, by `PUT /users`), which nothing here touches: a stated wish is never overruled by a gesture. The learned part of
a user is computed anew from all of the user's feedback whenever an hour with any of it changes, so late and repeated
events are safe. Features do not read it, see `extraction.profile`; it is there for screens and for the host app.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import numpy as np

from events import windows
from events.catalogue import learn_preferences
from events.queries import feedback_of, interactions_between
from events.windows import Window
from features.extraction.preferences import EXPLICIT, Feedback, adjust_preferences

FAMILY: Final = "preferences"
RUN_EVENTS: Final = 200_000
RUN_WINDOWS: Final = 256


def apply_feedback(*, until: datetime) -> int:
    """Bring the learned preferences of users with new feedback up to date; returns how many profiles changed.

    An hour whose feedback cannot be read holds up no other (`windows.work_off`).
    """
    changed: list[int] = []

    def work(mine: Sequence[Window]) -> None:
        log = interactions_between(mine[0].start, min(mine[-1].end, until), types=EXPLICIT)
        users = log.users[np.unique(log.user[log.user >= 0])].tolist()
        learned = {
            user: adjust_preferences({}, (Feedback(*row) for row in rows))
            for user, rows in feedback_of(users, types=EXPLICIT, until=until).items()
        }
        changed.append(learn_preferences(learned))

    opened = windows.open_windows(FAMILY, until=until)
    for run in windows.runs(opened, max_events=RUN_EVENTS, max_windows=RUN_WINDOWS):
        windows.work_off(FAMILY, run, work, now=until)
    return sum(changed)
