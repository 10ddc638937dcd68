"""Features of contents for a user at a moment: one function for a request, one for a training set, the same columns.

`assemble` is what the feed calls: no loop over contents, about a millisecond for 300. `assemble_many` gives training
what serving would have seen: per example the user's events strictly before the moment, the counters of the hours
complete by then, and a sequential model that was fitted on earlier events only. Both go through `_personal` and
`content_block`, and nothing in them depends on how many rows are asked for at once, so they agree to the bit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from events.columnar.history import History
from events.columnar.interactions import ABSENT, Interactions
from features.embeddings import behaviour
from features.embeddings.behaviour import SequentialItemModel
from features.extraction.content import content_block
from features.extraction.context import context_columns, habit_columns, stated_columns, surface_columns
from features.extraction.definitions import CONTENT_DIM, CONTEXT_DIM, HISTORY_LIMIT, USER_DIM, stack
from features.extraction.engagement import CODE
from features.extraction.habits import Weighted
from features.extraction.past import Past, followed_creators
from features.extraction.population import Receptions
from features.extraction.profile import Profile
from features.extraction.sequences import enjoyed
from features.extraction.snapshot import UNKNOWN, ContentSnapshot
from features.extraction.temporal import age_s, clock_columns, freshness, offset_s
from features.extraction.timeline import Timeline
from features.extraction.user import Recollection, recollect, user_columns, watch_quantile

SEQUENTIAL_FOLDS = 4
"""Periods of a training set, each scored by a sequential model of the time before it; the first has none."""
STRANGER = Profile()


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
    profile: Profile = STRANGER,
    surface: str = "",
    recollection: Recollection | None = None,
) -> FeatureBlocks:
    """Features of the contents in `rows` for the user with this history.

    All of the history counts, whatever its stamps say: it was read from the log at the request, so an event from the
    future comes from a client whose clock is ahead.

    Parameters
    ----------
    history : the user's last events, oldest first; the last `HISTORY_LIMIT` count
    rows : rows of the snapshot (n,), n = 0 allowed
    now : moment of the request, aware
    profile : of the user
    surface : where the contents are to be shown, as events name it
    recollection : of the same history and snapshot, where it was made already
    """
    user, context = _personal(
        recollection or recollect(history, snapshot), snapshot, rows, now.timestamp(), sequential=snapshot.sequential,
        receptions=snapshot.receptions, profile=profile, surface=surface,
    )  # fmt: skip
    return FeatureBlocks(user, snapshot.features[rows], context)


def assemble_many(
    log: Interactions,
    snapshot: ContentSnapshot,
    timeline: Timeline,
    *,
    user: NDArray[np.int32],
    rows: NDArray[np.int64],
    moments: NDArray[np.float64],
    surfaces: NDArray[np.object_] | None = None,
    profiles: Mapping[str, Profile] | None = None,
    counted_until: NDArray[np.float64] | None = None,
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
    surfaces : object array of str (n,), where each was shown, "" where unknown
    profiles : by user id; who has none is a stranger
    counted_until : float array (n,), seconds since 1970 UTC, as of when serving knew the counters, where that was
        logged; `counted_by` where it is NaN, and by default
    folds : periods for the sequential model, see `SEQUENTIAL_FOLDS`; 0 takes the snapshot's own model, which is what
        serving did but knows the future of a training example

    Returns
    -------
    blocks of n rows each, in the order given
    """
    n = len(rows)
    until = counted_by(snapshot, timeline, moments)
    if counted_until is not None:
        until = np.where(np.isnan(counted_until), until, counted_until)
    content, receptions, period = _content(snapshot, timeline, rows, until)
    where = np.full(n, "", object) if surfaces is None else surfaces
    pasts, first = _by_user(log, snapshot)
    cuts, models = _causal_models(log, snapshot, moments, folds)
    user_block = np.empty((n, USER_DIM), np.float32)
    context_block = np.empty((n, CONTEXT_DIM), np.float32)
    order = np.lexsort((period, moments, user))
    new = np.zeros(n, np.bool_)
    for key in (user, moments, period):
        new |= np.append(True, key[order][1:] != key[order][:-1])[:n]
    new[1:] |= where[order][1:] != where[order][:-1]
    for start, stop in pairwise([*np.flatnonzero(new).tolist(), n]):
        group = order[start:stop]
        who, moment = int(user[group[0]]), float(moments[group[0]])
        low, high = first[who], first[who + 1]
        known = low + int(np.searchsorted(pasts.timestamp[low:high], moment, side="left"))
        past = pasts.slice(max(int(low), known - HISTORY_LIMIT), known)
        profile = (profiles or {}).get(log.users[who], STRANGER).known_at(moment)
        user_block[group], context_block[group] = _personal(
            Recollection.of(past, snapshot), snapshot, rows[group], moment,
            sequential=models[int(np.searchsorted(cuts, moment, side="right"))],
            receptions=receptions[period[group[0]]], profile=profile, surface=where[group[0]],
        )  # fmt: skip
    return FeatureBlocks(user_block, content, context_block)


def counted_by(snapshot: ContentSnapshot, timeline: Timeline, moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Moment that the counters of a snapshot hold for at each moment (n,), as `features.snapshot_build` chooses it.

    The end of the last complete hour with events; before there is one, the newest upload, 0 before the first.
    """
    until = timeline.clock.boundary(moments)
    uploads = np.append(0.0, np.sort(snapshot.upload_timestamp))
    newest = uploads[np.searchsorted(uploads[1:], moments, side="right")]
    return np.where(until > 0, until, newest)


def _content(
    snapshot: ContentSnapshot, timeline: Timeline, rows: NDArray[np.int64], until: NDArray[np.float64]
) -> tuple[NDArray[np.float32], list[Receptions], NDArray[np.int64]]:
    """Content block (n, CONTENT_DIM) as of each moment, the population at each distinct one, and which is whose."""
    content = np.empty((len(rows), CONTENT_DIM), np.float32)
    distinct, period = np.unique(until, return_inverse=True)
    order = np.argsort(period, kind="stable")
    bounds = np.searchsorted(period[order], np.arange(len(distinct) + 1))
    populations = []
    states = zip(distinct.tolist(), timeline.at(distinct), pairwise(bounds.tolist()), strict=True)
    for moment, (counters, receptions), (start, stop) in states:
        at = order[start:stop]
        content[at] = content_block(
            counters,
            creator=snapshot.creator,
            creators=len(snapshot.creators),
            category=snapshot.category,
            categories=len(snapshot.categories),
            duration_s=snapshot.duration_s,
            upload_timestamp=snapshot.upload_timestamp,
            until=moment,
            receptions=receptions,
            rows=rows[at],
            held=timeline.held,
        )
        populations.append(receptions)
    return content, populations, period


def _personal(
    recollection: Recollection,
    snapshot: ContentSnapshot,
    rows: NDArray[np.int64],
    moment: float,
    *,
    sequential: SequentialItemModel | None,
    receptions: Receptions,
    profile: Profile,
    surface: str,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """User block (USER_DIM,) and context block (n, CONTEXT_DIM) of one user at one moment."""
    past, met, vector = recollection.past, recollection.met, recollection.taste
    followed = followed_creators(past)
    weighted = Weighted.of(met, moment)
    everything = weighted.in_all()
    habits = user_columns(
        past,
        met,
        everything,
        followed=len(followed),
        wishes=profile.wishes,
        watch_quantile=watch_quantile(past, snapshot, receptions, now=moment),
        now=moment,
        has_taste=vector is not None,
    )
    crossed = context_columns(
        past, met, followed, vector, snapshot=snapshot, sequential=sequential, rows=rows, now=moment
    )
    age = age_s(snapshot.upload_timestamp[rows], moment)
    columns: dict[str, NDArray[np.float64] | float] = {
        **crossed,
        **habit_columns(met, weighted, everything, snapshot=snapshot, rows=rows),
        **stated_columns(profile, snapshot, rows),
        **surface_columns(met, weighted, everything, receptions, surface),
        **clock_columns(moment + offset_s(profile.zone, moment)),
        "content_age": np.log1p(age / 3600.0),
        "content_freshness": freshness(age),
    }
    return stack("user", habits, 1)[0], stack("context", columns, len(rows))


def _by_user(log: Interactions, snapshot: ContentSnapshot) -> tuple[Past, NDArray[np.int64]]:
    """All events, grouped by user and in order of time, and where each user's begin (one more than users).

    Uploads are left out, as `events.queries.recent_history` does.
    """
    told = np.flatnonzero((log.event_type != CODE["content_upload"]) & (log.user != ABSENT))
    order = told[np.argsort(log.user[told], kind="stable")]
    # The code ABSENT is -1 and reads the appended entry.
    row_of = np.append(snapshot.rows(log.contents.tolist()), UNKNOWN)
    creator_of = np.append(snapshot.creator_codes(log.creators.tolist()), UNKNOWN)
    surface_of = np.append(log.surfaces, "").astype(object)
    past = Past(
        log.event_type[order], row_of[log.content[order]], creator_of[log.creator[order]], log.timestamp[order],
        log.watch_s[order], log.long_view[order], surface_of[log.surface[order]],
    )  # fmt: skip
    return past, np.searchsorted(log.user[order], np.arange(len(log.users) + 1))


def _causal_models(
    log: Interactions, snapshot: ContentSnapshot, moments: NDArray[np.float64], folds: int
) -> tuple[NDArray[np.float64], list[SequentialItemModel | None]]:
    """Cuts in time, and per period between them the sequential model of all events before the period."""
    if folds == 0:
        return np.empty(0), [snapshot.sequential]
    if folds == 1 or len(moments) == 0:
        return np.empty(0), [None]
    cuts = np.unique(np.quantile(moments, np.arange(1, folds) / folds))
    row = snapshot.rows(log.contents.tolist())
    models = [
        behaviour.fit(*enjoyed(log, row, snapshot.duration_s, before=cut), len(snapshot)) for cut in cuts.tolist()
    ]
    return cuts, [None, *models]
