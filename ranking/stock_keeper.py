"""A thread of every web process that keeps its stock and its models up to date, so that no request waits for it.

It loads a new snapshot, takes in what was uploaded since, loads what was promoted, and joins the snapshot with the
models' retrievers, once a second; requests read a reference. Whatever goes wrong is logged and tried again. A process
that is forked off starts a thread of its own.
"""

import logging
import os
import threading
from typing import Final

from django.db import close_old_connections, connection

from ranking import finders, serving_models, shelves

logger = logging.getLogger(__name__)

EVERY_S: Final = 1.0


class StockKeeper:
    """Started once per process; stopped only by tests, as the thread ends with its process."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._stopped = threading.Event()
        self._round = threading.Lock()
        """Held while anything is changed, and so while any lock of the stock is: a fork waits for its end."""
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Load what there is on disk, and begin; a second call does nothing."""
        if self._thread is not None:
            return
        shelves.current_stock()
        self._spawn()
        os.register_at_fork(
            before=self._round.acquire, after_in_parent=self._round.release, after_in_child=self._after_fork
        )

    def stop(self) -> None:
        """End the thread; requests look for themselves again."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        shelves.keep_stock(kept=False)

    def _after_fork(self) -> None:
        self._round.release()
        if not self._stopped.is_set():
            self._spawn()

    def _spawn(self) -> None:
        self._thread = threading.Thread(target=self._keep, name="stock keeper", daemon=True)
        self._thread.start()
        shelves.keep_stock(kept=True)

    def _keep(self) -> None:
        failing = False
        while not self._stopped.is_set():
            try:
                with self._round:
                    close_old_connections()
                    shelves.refresh_stock()
                    serving_models.keep()
                    for model in serving_models.serving_now():
                        finders.prepare(shelves.current_stock(), model)
                failing = False
            except Exception:  # an older stock is better than none, and the next second may be better
                connection.close()
                if not failing:
                    logger.exception("the stock cannot be brought up to date; what there is goes on serving")
                failing = True
            self._stopped.wait(self._every_s)
        connection.close()


_keeper = StockKeeper()


def start() -> None:
    """Start the thread of this process."""
    _keeper.start()
