"""Group commit: requests that arrive while another one is being stored are stored together, in one transaction.

Nobody waits for company: whoever finds the writer idle writes at once and alone. Whoever finds it busy queues up, and
the first in the queue takes the others along when it is its turn. A commit costs about as much as storing a hundred
events, so under load small requests share it, and without load nothing is delayed.

Durability is not traded: a request is answered after the commit that holds its events.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from django.db import Error, InterfaceError, OperationalError

Work = TypeVar("Work")
Answer = TypeVar("Answer")


class _Waiter(Generic[Work, Answer]):
    """One request: its work, then its answer or its error. The gate opens when it is answered, or has to lead."""

    __slots__ = ("answer", "error", "gate", "leads", "weight", "work")

    def __init__(self, work: Work, weight: int) -> None:
        self.work = work
        self.weight = weight
        self.answer: Answer | None = None
        self.error: BaseException | None = None
        self.leads = False
        self.gate = threading.Lock()
        self.gate.acquire()

    def result(self) -> Answer:
        if self.error is not None:
            # An exception of one's own: its traceback is written by whoever raises it.
            raise self.error.with_traceback(None) from self.error.__cause__
        assert self.answer is not None
        return self.answer


class GroupCommit(Generic[Work, Answer]):
    """Runs `write` on everything that queued up while it ran last, one group at a time.

    Parameters
    ----------
    write : stores some works in one transaction and answers each, in their order
    most_weight, most_works : bounds of a group, so that one transaction stays short; a single work may be heavier
    """

    def __init__(
        self, write: Callable[[Sequence[Work]], Sequence[Answer]], *, most_weight: int, most_works: int
    ) -> None:
        self._write = write
        self._most_weight = most_weight
        self._most_works = most_works
        self._lock = threading.Lock()
        self._queue: deque[_Waiter[Work, Answer]] = deque()
        self._busy = False

    def submit(self, work: Work, *, weight: int) -> Answer:
        """Store one work, perhaps together with others; returns after the commit, or raises what went wrong."""
        me: _Waiter[Work, Answer] = _Waiter(work, weight)
        with self._lock:
            waits = self._busy
            self._busy = True
            if waits:
                self._queue.append(me)
        if waits:
            me.gate.acquire()
            if not me.leads:
                return me.result()
        group = [me]
        try:
            group += self._company(me)
            self._settle(group)
        finally:
            self._hand_over()
            for one in group[1:]:
                if one.answer is None and one.error is None:
                    one.error = OperationalError("the thread that was storing this request has ended")
                one.gate.release()
        return me.result()

    def _company(self, me: _Waiter[Work, Answer]) -> list[_Waiter[Work, Answer]]:
        taken: list[_Waiter[Work, Answer]] = []
        weight = me.weight
        with self._lock:
            while self._queue and len(taken) + 1 < self._most_works:
                weight += self._queue[0].weight
                if weight > self._most_weight:
                    break
                taken.append(self._queue.popleft())
        return taken

    def _hand_over(self) -> None:
        with self._lock:
            if self._queue:
                heir = self._queue.popleft()
                heir.leads = True
                heir.gate.release()
            else:
                self._busy = False

    def _settle(self, group: Sequence[_Waiter[Work, Answer]]) -> None:
        """Store the group as one; if that fails for a reason that may lie in one of them, one by one."""
        try:
            answers = self._write([one.work for one in group])
        except Exception as error:
            if len(group) > 1 and not is_transient(error):
                for one in group:
                    self._settle([one])
                return
            for one in group:
                one.error = _own(error)
        else:
            for one, answer in zip(group, answers, strict=True):
                one.answer = answer


def is_transient(error: Exception) -> bool:
    """Whether the database, not the data, is to blame: trying the parts of a group again would be no use now."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    # psycopg2 counts a limit that one row exceeds (class 54) and a lost race (class 40) among the operational errors.
    state = getattr(error.__cause__, "pgcode", None) or ""
    return state[:2] not in {"40", "54"}


def _own(error: Exception) -> Exception:
    if not isinstance(error, Error):
        return error
    own = type(error)(*error.args)
    own.__cause__ = error.__cause__
    return own
