"""One retriever from a log: models of the time before the newest day, weights by one half of that day's people.

    ------------- learned from ------------|-- newest day --|
                                            half of the people choose the weights, the other half judge

The judged half compares the fusion with what would serve without it, the linear model alone, person by person: it
serves where NDCG@10 or Recall@100 is surely higher and neither is surely lower. The encoder that serves is the one that
was judged: it costs too much to be fitted twice, and asked with what people enjoyed a minute ago it is not a day old.
What was met is counted again with the newest day in it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.embeddings import behaviour, fusion
from features.embeddings.encoder_training import EncoderConfig
from features.embeddings.fusion import Fusion
from ranking.evaluation.intervals import mean_interval
from ranking.retrieval.channels import (
    MET_EASE,
    MET_ITEMS,
    Floats,
    Ids,
    Models,
    Past,
    Progress,
    fit_models,
    fused,
    shared_channels,
)
from ranking.retrieval.measure import Measure

HALF_LIVES_S: Final[Mapping[str, float]] = {"1d": 86_400.0, "7d": 7 * 86_400.0}
"""Windows of the shared channels, by the names and half-lives of the feature store's counters; the longest last."""
LEAST_PEOPLE: Final = 200
"""Who enjoyed something new on the newest day; with fewer nothing can be chosen or judged."""
TABLE_CELLS: Final = 10_000_000
"""Scores per channel that are held while weights are sought."""


@dataclass(frozen=True, slots=True)
class RetrieverConfig:
    """What is learned how; stored with the model version.

    Attributes
    ----------
    encoder : of the sequence encoder
    held_out_s : length of the newest part, which chooses and judges
    most_people : of whom both halves consist
    """

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    held_out_s: float = 86_400.0
    most_people: int = 3_000


@dataclass(frozen=True, slots=True)
class Meetings:
    """Who met what when, in order of person, then time; m rows, n contents.

    Attributes
    ----------
    user, row : int64 arrays (m,)
    time_s : float64 array (m,), seconds since 1970 UTC
    happy : bool array (m,), whether it was enjoyed
    """

    user: Ids
    row: Ids
    time_s: Floats
    happy: NDArray[np.bool_]
    n: int

    def before(self, moment: float) -> "Meetings":
        """What was met before a moment."""
        past = self.time_s < moment
        return Meetings(self.user[past], self.row[past], self.time_s[past], self.happy[past], self.n)

    def past(self) -> Past:
        """For the models: enjoyments as often as they happened, meetings once per person and content."""
        met = _distinct(self.user, self.row, self.n)
        return Past(self.user[self.happy], self.row[self.happy], self.user[met], self.row[met], self.n)

    def shared(self, moment: float) -> dict[str, Floats]:
        """The shared channels as of a moment."""
        age = moment - self.time_s

        def counts(of: NDArray[np.bool_]) -> dict[str, Floats]:
            return {
                name: np.bincount(self.row[of], weights=np.exp2(-age[of] / half_life), minlength=self.n).astype(
                    np.float64
                )
                for name, half_life in HALF_LIVES_S.items()
            }

        every = np.ones(len(self.row), np.bool_)
        return shared_channels(counts(self.happy), {} if self.happy.all() else counts(every))


@dataclass(frozen=True, slots=True)
class Asked:
    """People with something new that they enjoyed in a span, and what was known of them before it."""

    enjoyed: list[Ids]
    met: list[Ids]
    target: list[Ids]

    def half(self, which: int) -> "Asked":
        """Every other person."""
        return Asked(*([*each[which::2]] for each in (self.enjoyed, self.met, self.target)))


@dataclass(frozen=True, slots=True)
class FittedRetriever:
    """Models and weights to serve with, and the evidence; `models` is None where the linear model stays alone."""

    models: Models | None
    weights: Fusion
    evidence: dict[str, Any]


def fit_retriever(
    log: Meetings, *, config: RetrieverConfig, seed: int, progress: Progress | None = None
) -> FittedRetriever | None:
    """Fit, choose and judge; None for a log that is too small for any of it."""
    if len(log.row) == 0:
        return None
    cut = float(log.time_s.max()) - config.held_out_s
    known = log.before(cut)
    asked = _asked(known, log, cut, min(config.most_people, max(2 * LEAST_PEOPLE, TABLE_CELLS // max(log.n, 1))))
    if len(asked.target) < LEAST_PEOPLE:
        return None
    models = fit_models(known.past(), config=config.encoder, progress=progress)
    if models.linear is None:
        return None
    personal, shared = models.personal(), known.shared(cut)
    chosen_by, judged_by = asked.half(0), asked.half(1)
    hottest = shared[f"enjoyed {next(iter(HALF_LIVES_S))}"]
    measure = Measure(chosen_by.met, chosen_by.target, hottest)
    weights = fusion.fit({name: ask(chosen_by) for name, ask in personal.items()}, shared, measure)
    later = Measure(judged_by.met, judged_by.target, hottest)
    ours = later.by_person(fused(weights, personal, shared)(judged_by))
    linear = models.linear
    theirs = later.by_person(np.stack([linear.scores(rows) for rows in judged_by.enjoyed]))
    rng = np.random.default_rng(seed)
    figures = {
        name: _beside(getattr(ours, name), getattr(theirs, name), rng) for name in ("ndcg", "recall")
    }  # fmt: skip
    serves = _serves(figures)
    evidence = {
        "people": len(judged_by.target), "figures": figures, "weights": dict(weights.weights), "served": serves,
        "seconds": {name: round(took, 2) for name, took in models.seconds.items()}, "cut": cut,
    }  # fmt: skip
    return FittedRetriever(_newest(models, log, weights) if serves else None, weights, evidence)


def _serves(figures: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether one figure is surely higher and none surely lower."""
    ends = [each["difference_interval"] for each in figures.values()]
    if None in ends:
        return False
    return any(each["low"] > 0.0 for each in ends) and all(each["high"] > 0.0 for each in ends)


def _beside(ours: Floats, theirs: Floats, rng: np.random.Generator) -> dict[str, Any]:
    around = mean_interval(ours - theirs, rng=rng)
    return {
        "fused": float(ours.mean()), "linear": float(theirs.mean()), "difference_interval": around and asdict(around),
    }  # fmt: skip


def _newest(models: Models, log: Meetings, weights: Fusion) -> Models:
    """What serves: only models with a weight; the linear one is that of each snapshot, and meetings are of today."""
    met = None
    if "met" in weights.weights:
        past = log.past()
        met = behaviour.fit(past.met_user, past.met_row, past.n, max_items=MET_ITEMS, settings=MET_EASE)
    return Models(None, met, models.encoder if "encoder" in weights.weights else None, models.seconds)


def _asked(known: Meetings, log: Meetings, cut: float, most: int) -> Asked:
    """At most so many people, spread evenly over their codes, who enjoyed from `cut` on what they had not met."""
    later = (log.time_s >= cut) & log.happy
    new = ~np.isin(log.user * log.n + log.row, known.user * known.n + known.row) & later
    user, row = log.user[new], log.row[new]
    once = _distinct(user, row, log.n)
    user, row = user[once], row[once]
    people = np.unique(user)
    if len(people) > most:
        people = people[np.linspace(0, len(people) - 1, most).astype(np.int64)]
    met = _distinct(known.user, known.row, known.n)
    return Asked(
        _grouped(known.user[known.happy], known.row[known.happy], people),
        _grouped(known.user[met], known.row[met], people),
        _grouped(user, row, people),
    )


def _distinct(user: Ids, row: Ids, n: int) -> Ids:
    """Places of the last meeting of each person with each content, in order."""
    pair = user * n + row
    _, last = np.unique(pair[::-1], return_index=True)
    return np.sort(len(pair) - 1 - last)


def _grouped(owner: Ids, rows: Ids, people: Ids) -> list[Ids]:
    """The rows of each person of an ascending column."""
    first, after = np.searchsorted(owner, people), np.searchsorted(owner, people, side="right")
    return [rows[a:b] for a, b in zip(first.tolist(), after.tolist(), strict=True)]
