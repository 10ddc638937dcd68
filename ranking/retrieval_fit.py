"""The retriever of one training: fitted on the log where it is large enough, or that of the champion while it is young.

A retriever costs more than a ranker and ages slower, so one that is less than a day older than the end of the data is
taken over as it is. Whatever goes wrong leaves the new model without one, and the snapshot's own model finds.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from events.columnar.interactions import ABSENT, Interactions
from features.extraction import ContentSnapshot
from features.extraction.engagement import EXPOSING
from features.extraction.sequences import enjoyments
from features.extraction.snapshot import UNKNOWN
from ranking.ranker.bundle import ServingBundle
from ranking.ranker.valued import ValuedModel
from ranking.retrieval.fitting import Meetings, RetrieverConfig, fit_retriever
from ranking.retrieval.retriever import Retriever

logger = logging.getLogger(__name__)

YOUNG_S: Final = 86_400.0
MOST_MEETINGS: Final = 2_000_000
"""The newest so many."""


@dataclass(frozen=True, slots=True)
class TrainedRetriever:
    """Files to register, empty where the linear model stays alone, and the evidence; None where nothing was learned."""

    files: Mapping[str, bytes]
    evidence: dict[str, Any] | None


NONE: Final = TrainedRetriever({}, None)


def retriever_of(
    log: Interactions,
    snapshot: ContentSnapshot,
    champion: ValuedModel | None,
    *,
    config: RetrieverConfig | None,
    until: float,
    seed: int,
    progress: Callable[[float], None],
) -> TrainedRetriever:
    """Fit one, or take over the champion's; never raises."""
    if config is None:
        return NONE
    if (young := _young(champion, until)) is not None:
        return young
    try:
        fitted = fit_retriever(
            meetings_of(log, snapshot), config=config, seed=seed, progress=lambda done, most: progress(done / most)
        )
        if fitted is None or fitted.models is None:
            return NONE if fitted is None else TrainedRetriever({}, fitted.evidence)
        files = Retriever.of(fitted.models, fitted.weights, snapshot.content_id).to_files()
    except Exception:  # a ranker without a retriever of its own is better than none
        logger.exception("no retriever could be trained; the snapshot's own model goes on finding")
        return NONE
    return TrainedRetriever(files, fitted.evidence)


def taken_over(model: ValuedModel | ServingBundle) -> TrainedRetriever:
    """That of another version as it is; nothing where it has none."""
    if model.retriever is None:
        return NONE
    evidence = model.manifest.metrics.get("retrieval") or {}
    return TrainedRetriever(model.retriever.to_files(), {**evidence, "taken_over_from": model.version})


def meetings_of(log: Interactions, snapshot: ContentSnapshot) -> Meetings:
    """Who met which content of the snapshot when, in order of person, then time."""
    row = snapshot.rows(log.contents.tolist())
    known = np.append(snapshot.duration_s, np.float32(np.nan))[np.where(row >= 0, row, len(snapshot))]
    happy = np.zeros(len(log), np.bool_)
    happy[enjoyments(log, known)] = True
    shown = (EXPOSING[log.event_type] | happy) & (log.user != ABSENT) & (log.content != ABSENT)
    at = np.flatnonzero(shown)
    place = np.append(row, UNKNOWN)[log.content[at]]
    at, place = at[place >= 0][-MOST_MEETINGS:], place[place >= 0][-MOST_MEETINGS:]
    order: NDArray[np.int64] = np.argsort(log.user[at], kind="stable")
    at, place = at[order], place[order]
    return Meetings(
        log.user[at].astype(np.int64), place.astype(np.int64), log.timestamp[at], happy[at], len(snapshot.content_id)
    )


def _young(champion: ValuedModel | None, until: float) -> TrainedRetriever | None:
    """The champion's, if it was judged on a day that is hardly over."""
    if champion is None or champion.retriever is None:
        return None
    evidence = champion.manifest.metrics.get("retrieval") or {}
    return None if until - evidence.get("cut", 0.0) >= 2.0 * YOUNG_S else taken_over(champion)
