"""Training sets from a few columns."""

import numpy as np

from events.columnar.interactions import ABSENT
from ranking.ranker.heads import COLUMN, HEADS, Labels
from ranking.ranker.training_set import TrainingSet


def answers(watch_s=None, **heads):
    """Labels of which only the named heads are known."""
    n = len(next(iter(heads.values()))) if heads else len(watch_s)
    told = np.full((n, len(HEADS)), np.nan, np.float32)
    for head, column in heads.items():
        told[:, COLUMN[head]] = column
    watched = np.full(n, np.nan, np.float32) if watch_s is None else np.asarray(watch_s, np.float32)
    return Labels(told, watched)


def long_views(features, label):
    """Examples whose only known answer is the long view."""
    return TrainingSet(features, answers(long_view=label), np.full(len(label), ABSENT, np.int16))
