"""Features of contents for a user at a moment: one function for a request, one for a training set, the same columns.

`assemble` is what the feed calls: no loop over contents, about a millisecond for 300. `assemble_many` gives training
what serving would have seen: per example the user's events strictly before the moment, the counters of the windows
complete by then, and a sequential model that was fitted on earlier events only.
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from events.columnar.history import History
from events.columnar.interactions import ABSENT, Interactions
from features.embeddings import behaviour
from features.embeddings.behaviour import SequentialItemModel
from features.extraction.content import content_columns
from features.extraction.context import context_columns
from features.extraction.definitions import CONTEXT_DIM, HISTORY_LIMIT, USER_DIM, stack
from features.extraction.engagement import CODE
from features.extraction.past import Past, encounters, followed_creators, resolve
from features.extraction.sequences import enjoyed
from features.extraction.snapshot import UNKNOWN, ContentSnapshot
from features.extraction.temporal import clock_columns
from features.extraction.timeline import CounterTimeline
from features.extraction.user import taste, user_columns

SEQUENTIAL_FOLDS = 4
"""Periods of a training set, each scored by a sequential model of the time before it; the first has none."""


@dataclass(frozen=True, slots=True)
class FeatureBlocks:
    """The ranker's input, float32 and finite.

    Attributes
    ----------
    user : (USER_DIM,) for one request; (n, USER_DIM) from `assemble_many`
    content : (n, CONTENT_DIM)
    context : (n, CONTEXT_DIM)
    """

    user: NDArray[np.float32]
    content: NDArray[np.float32]
    context: NDArray[np.float32]


def assemble(
    history: History,
    snapshot: ContentSnapshot,
    rows: NDArray[np.int64],
    *,
    now: datetime,
    counters: NDArray[np.float32] | None = None,
    total: NDArray[np.float64] | NDArray[np.float32] | None = None,
) -> FeatureBlocks:
    """Features of the contents in `rows` for the user with this history.

    All of the history counts, whatever its stamps say: it was read from the log at the request, so an event from the
    future comes from a client whose clock is ahead.

    Parameters
    ----------
    history : the user's last events, oldest first; the last `HISTORY_LIMIT` count
    rows : rows of the snapshot (n,), n = 0 allowed
    now : moment of the request, aware
    counters : (n, len(COUNTERS)), counters of these rows as of another moment than the snapshot's
    total : (len(COUNTERS),), the sum over all contents that belongs to `counters`
    """
    moment = now.timestamp()
    user, context = _personal(resolve(history, snapshot), snapshot, rows, moment, snapshot.sequential)
    columns = content_columns(
        snapshot.counters[rows] if counters is None else counters,
        snapshot.total if total is None else total,
        duration_s=snapshot.duration_s[rows],
        upload_timestamp=snapshot.upload_timestamp[rows],
        now=moment,
        catalogue_size=len(snapshot),
    )
    return FeatureBlocks(user, stack("content", columns, len(rows)), context)


def assemble_many(
    log: Interactions,
    snapshot: ContentSnapshot,
    timeline: CounterTimeline,
    *,
    user: NDArray[np.int32],
    rows: NDArray[np.int64],
    moments: NDArray[np.float64],
    folds: int = SEQUENTIAL_FOLDS,
) -> FeatureBlocks:
    """Features of n training examples, each as of its moment.

    Examples of one user with the same moment share one look at the history, so give all positions of a page the moment
    of their request: that is faster, and it is what serving saw.

    Parameters
    ----------
    log : the user's events, from long enough before the first moment
    timeline : of the same log and snapshot
    user : int array (n,), codes of `log.users`
    rows : int array (n,), rows of the snapshot
    moments : float array (n,), seconds since 1970 UTC; events stamped at or after it stay unknown
    folds : periods for the sequential model, see `SEQUENTIAL_FOLDS`; 1 leaves it out

    Returns
    -------
    blocks of n rows each, in the order given
    """
    n = len(rows)
    counters, totals = timeline.at(rows, moments), timeline.totals(moments)
    columns = content_columns(
        counters, totals, duration_s=snapshot.duration_s[rows], upload_timestamp=snapshot.upload_timestamp[rows],
        now=moments, catalogue_size=len(snapshot),
    )  # fmt: skip
    pasts, first = _by_user(log, snapshot)
    cuts, models = _causal_models(log, snapshot, moments, folds)
    user_block = np.empty((n, USER_DIM), np.float32)
    context_block = np.empty((n, CONTEXT_DIM), np.float32)
    order = np.lexsort((moments, user))
    new = np.append(True, (np.diff(user[order]) != 0) | (np.diff(moments[order]) != 0)) if n else np.empty(0, bool)
    for start, stop in pairwise([*np.flatnonzero(new).tolist(), n]):
        group = order[start:stop]
        who, moment = int(user[group[0]]), float(moments[group[0]])
        low, high = first[who], first[who + 1]
        known = low + int(np.searchsorted(pasts.timestamp[low:high], moment, side="left"))
        past = pasts.slice(max(int(low), known - HISTORY_LIMIT), known)
        model = models[int(np.searchsorted(cuts, moment, side="right"))]
        user_block[group], context_block[group] = _personal(past, snapshot, rows[group], moment, model)
    return FeatureBlocks(user_block, stack("content", columns, len(rows)), context_block)


def _personal(
    past: Past,
    snapshot: ContentSnapshot,
    rows: NDArray[np.int64],
    moment: float,
    sequential: SequentialItemModel | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """User block (USER_DIM,) and context block (n, CONTEXT_DIM) of one user at one moment."""
    met, followed = encounters(past, snapshot), followed_creators(past)
    vector = taste(met, snapshot)
    habits = user_columns(past, met, followed, now=moment, has_taste=vector is not None)
    crossed = context_columns(met, followed, vector, snapshot=snapshot, sequential=sequential, rows=rows, now=moment)
    return stack("user", habits, 1)[0], stack("context", crossed | clock_columns(moment), len(rows))


def _by_user(log: Interactions, snapshot: ContentSnapshot) -> tuple[Past, NDArray[np.int64]]:
    """All events, grouped by user and in order of time, and where each user's begin (one more than users).

    Uploads are left out, as `events.queries.recent_history` does.
    """
    told = np.flatnonzero((log.event_type != CODE["content_upload"]) & (log.user != ABSENT))
    order = told[np.argsort(log.user[told], kind="stable")]
    # The code ABSENT is -1 and reads the appended entry.
    row_of = np.append(snapshot.rows(log.contents.tolist()), UNKNOWN)
    creator_of = np.append(snapshot.creator_codes(log.creators.tolist()), UNKNOWN)
    past = Past(
        log.event_type[order], row_of[log.content[order]], creator_of[log.creator[order]], log.timestamp[order],
        log.watch_s[order], log.long_view[order],
    )  # fmt: skip
    return past, np.searchsorted(log.user[order], np.arange(len(log.users) + 1))


def _causal_models(
    log: Interactions, snapshot: ContentSnapshot, moments: NDArray[np.float64], folds: int
) -> tuple[NDArray[np.float64], list[SequentialItemModel | None]]:
    """Cuts in time, and per period between them the sequential model of all events before the period."""
    if folds < 2 or len(moments) == 0:
        return np.empty(0), [None]
    cuts = np.unique(np.quantile(moments, np.arange(1, folds) / folds))
    row = snapshot.rows(log.contents.tolist())
    models = [
        behaviour.fit(*enjoyed(log, row, snapshot.duration_s, before=cut), len(snapshot)) for cut in cuts.tolist()
    ]
    return cuts, [None, *models]
