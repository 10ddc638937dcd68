"""A ranker whose scores are raised or lowered where the caller asked for it: it re-orders, and empties nothing."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.stages import FeedQuery, Ids, Judgement, JudgingRanker, Scores


@dataclass(slots=True)
class Boosted:
    """`added` holds one number per row of the catalogue, in standard deviations of the score.

    The version is that of the ranker: which model judges does not change with what is asked for.
    """

    ranker: JudgingRanker
    added: NDArray[np.float32]
    version: str = field(init=False)

    def __post_init__(self) -> None:
        self.version = self.ranker.version

    def score(self, query: FeedQuery, candidates: Ids) -> Scores:
        """One finite score per candidate."""
        return self.judge(query, candidates).scores

    def judge(self, query: FeedQuery, candidates: Ids) -> Judgement:
        """What the ranker says, with the boost as one more signal."""
        judged = self.ranker.judge(query, candidates)
        boost = self.added[candidates]
        scores = np.asarray(judged.scores + boost, np.float32)
        return Judgement(scores, judged.heads, judged.terms, {**judged.signals, "boost": boost}, judged.weights)
