"""Labelled exposures of a log with their features, for the ranking half of the quality benchmark.

The log goes the way of the product: imported, taken into the feature store, labelled, assembled as of then. What was
learned of contents (encoders, models of behaviour) is fitted before the first test exposure. A page is ranked at once,
so the features of an exposure are those of the moment its session began: a counter that moves within the session would
tell how many positives are still to come in it (the gain of such a model is a trick of the split, not of the model).
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from events import queries
from events.columnar.interactions import ContentTable, Interactions
from events.importers.rows import SourceError
from events.importing import import_rows
from features import profiles, store
from features.extraction import ContentSnapshot, assemble_many, timeline
from features.extraction.snapshot import UNKNOWN
from features.materialize import materialize
from ranking.ranker.examples import Examples, FeatureMatrix, known_at, label_exposures
from ranking.ranker.heads import LABEL_WINDOW_S
from ranking.ranker.training_set import TrainingSet
from recsys.benchmarks import quality_data
from recsys.benchmarks.quality_data import DAY_S
from recsys.benchmarks.scratch import BenchmarkFailedError
from recsys.management.commands.import_dataset import DISCOVER

HELD_OUT_SHARE = 0.1
"""Newest part of the training exposures; it decides when to stop and calibrates."""
MOST_TRAINING = 150_000
LEAST_EXPOSURES = 500


@dataclass(frozen=True, slots=True)
class Exposures:
    """The three sets in order of time, and whom the test is about; n test exposures.

    Attributes
    ----------
    learned_from, held_out, test : features, labels and positions
    user, session : int64 arrays (n,), codes
    trained_s : float64 array, seconds since 1970 UTC, of what is learned from and held out
    """

    name: str
    learned_from: TrainingSet
    held_out: TrainingSet
    test: TrainingSet
    user: NDArray[np.int64]
    session: NDArray[np.int64]
    trained_s: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


def load(dataset: str | None, path: Path | None, train_until: date | None, *, now: datetime) -> Exposures:
    """Import a log into the (scratch) database, and make examples of it.

    Raises
    ------
    BenchmarkFailedError : for a path that holds no such log, or too few exposures on either side of the cut
    """
    if path is None:
        raise BenchmarkFailedError("The ranking half needs a log with times: name one with --path.")
    dataset = dataset or quality_data.guessed(path)
    if dataset not in DISCOVER:
        raise BenchmarkFailedError(f"{dataset} is an order without times: there are no exposures to rank.")
    start, span = quality_data.moments(quality_data.read_log(dataset, path), train_until)
    try:
        import_rows(DISCOVER[dataset](path), now=now)
    except SourceError as error:
        raise BenchmarkFailedError(f"{path} is no {dataset}: {error}") from error
    # What is learned of contents must not have seen the test; counters go on, each exposure sees its own past of them.
    materialize(until=datetime.fromtimestamp(start, UTC), refit=True)
    end = datetime.fromtimestamp(start + span + DAY_S, UTC)
    materialize(until=end)
    snapshot = store.snapshot()
    if snapshot is None:
        raise BenchmarkFailedError(f"{path} gives no feature snapshot: there is no active content in it.")
    log, catalogue = queries.interactions_between(None, end), queries.catalogue_table()
    return cut(dataset, log, catalogue, snapshot, start=start, span=span)


def cut(
    name: str, log: Interactions, catalogue: ContentTable, snapshot: ContentSnapshot, *, start: float, span: float
) -> Exposures:
    """The sets of a log: labels of the training exposures as they were known at the cut, complete ones of the test."""
    until = start + span + DAY_S
    exposures = label_exposures(log, catalogue, until=until)
    rows = snapshot.rows(log.contents.tolist())[exposures.content]
    training = np.flatnonzero((rows != UNKNOWN) & (exposures.timestamp + LABEL_WINDOW_S <= start))[-MOST_TRAINING:]
    tested = np.flatnonzero((rows != UNKNOWN) & (exposures.timestamp >= start) & (exposures.timestamp < start + span))
    if min(len(training), len(tested)) < LEAST_EXPOSURES:
        raise BenchmarkFailedError(
            f"{len(training)} exposures before the cut and {len(tested)} after it; at least {LEAST_EXPOSURES} of each "
            "are needed."
        )
    places = np.append(training, tested)
    examples = known_at(exposures.rows(places), log, catalogue, places=places, until=start)
    labels = examples.labels.rows(slice(0, len(training))), exposures.rows(tested).labels
    matrix = _features(examples, log, snapshot, rows[places])
    first = len(training) - max(1, int(len(training) * HELD_OUT_SHARE))

    def learned(part: slice) -> TrainingSet:
        return TrainingSet(matrix.rows(part), labels[0].rows(part), examples.position[part])

    at_test = slice(len(training), None)
    return Exposures(
        name,
        learned_from=learned(slice(0, first)),
        held_out=learned(slice(first, len(training))),
        test=TrainingSet(matrix.rows(at_test), labels[1], examples.position[at_test]),
        user=examples.user[at_test].astype(np.int64),
        session=examples.session[at_test].astype(np.int64),
        trained_s=examples.timestamp[: len(training)],
    )


def session_starts(examples: Examples) -> NDArray[np.float64]:
    """The first moment of each example's session, seconds since 1970 UTC."""
    session = np.unique(examples.session, return_inverse=True)[1]
    first = np.full(int(session.max(initial=-1)) + 1, np.inf)
    np.minimum.at(first, session, examples.moment)
    return np.asarray(first[session])


def _features(
    examples: Examples, log: Interactions, snapshot: ContentSnapshot, rows: NDArray[np.int64]
) -> FeatureMatrix:
    blocks = assemble_many(
        log,
        snapshot,
        timeline(log, snapshot),
        user=examples.user,
        rows=rows,
        moments=session_starts(examples),
        surfaces=examples.surface,
        profiles=profiles.read_many(log.users[np.unique(examples.user)].tolist()),
    )
    return FeatureMatrix(blocks.user, blocks.content, blocks.context)
