"""How the outputs of a graph are read: calibrated chances of all heads, and seconds of watch time. Plain arrays.

    chance of a head = sigmoid(slope * logit + intercept), both learned on examples that the network was not fitted on

Rules for what could not be learned, so that every bundle answers every head:

- A head with fewer than 30 examples of either answer, or one whose calibrated slope is not positive (the held-out
  examples contradict it), says its base rate: the share of yes, pulled to the prior by 20 imagined exposures.
- A head with fewer than 30 held-out examples of either answer keeps its slope, and is shifted to its base rate.
- A head that most held-out examples cannot answer yet (a return within a day) keeps its slope too, and is shifted to
  the share of yes among the newest examples that can: the few held-out ones that can are of some hours of one day.
- Seconds are the mean watch of held-out views of about the same expected rank, so that they order as ranks do and are
  right on average. With fewer than 200 held-out watches they are the sum over the levels (`watch_time`).
- Without levels of the watch time, expected seconds follow the chance of a long view: those of a long view and of
  another one, as measured.

The arrays lie in the bundle beside the graph. Not here: what the heads are worth (`ranking.value`).
"""

import io
import zipfile
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from ranking.ranker.heads import COLUMN, HEADS, PRIMARY, PRIOR_CHANCE, Labels, base_chance
from ranking.ranker.platt import fit_line, shift_to, sigmoid
from ranking.ranker.training_set import LEAST_ANSWERS, LEAST_WATCHES, FittedRanker, TrainingSet
from ranking.ranker.watch_time import LEVELS, WatchScale

OUTPUTS: Final = (*HEADS, "watch_s", "debiased_watch_s")
"""Columns of what `Reading.read` gives: chances, then expected seconds of watching, with and without the advantage
of a long clip."""
NONE: Final = -1
MOST_OPEN: Final = 0.5
"""Share of the held-out examples that may not know an answer yet."""
CURVE_GROUPS: Final = 30
RISE_S: Final = 1e-3
_CLIP: Final = 1e-6
_PRIMARY: Final = COLUMN[PRIMARY]

Floats = NDArray[np.float64]


class ReadingError(ValueError):
    """Arrays that are no reading."""


@dataclass(frozen=True, slots=True)
class Reading:
    """h heads, k levels.

    Attributes
    ----------
    gives_probability : whether the graph's outputs are probabilities instead of logits
    column : int64 array (h,), which output of the graph is that head, -1 for base rate
    slope, intercept : float64 arrays (h,); a head of base rate has slope 0
    level_column : first output of the watch levels, -1 where there are none
    level_slope, level_intercept : float64 arrays (k,)
    scale : edges and steps of the levels
    seconds_if : float64 array (2,), mean watched seconds of what is no long view, and of a long view
    curve : float64 array (2, c), expected ranks of the watch time and the seconds they come to; c may be 0
    """

    gives_probability: bool
    column: NDArray[np.int64]
    slope: Floats
    intercept: Floats
    level_column: int
    level_slope: Floats
    level_intercept: Floats
    scale: WatchScale
    seconds_if: Floats
    curve: Floats = field(default_factory=lambda: np.empty((2, 0)))

    @classmethod
    def of_long_view(cls) -> Self:
        """For a graph whose one output is the probability of a long view; the rest are priors."""
        intercept = _logit(PRIOR_CHANCE)
        slope, column = np.zeros(len(HEADS)), np.full(len(HEADS), NONE)
        slope[_PRIMARY], intercept[_PRIMARY], column[_PRIMARY] = 1.0, 0.0, 0
        return cls(True, column, slope, intercept, NONE, *_no_levels(), np.array([3.0, 18.0]))

    @classmethod
    def fit(cls, ranker: FittedRanker, train: TrainingSet, held_out: TrainingSet) -> Self:
        """Calibrate a ranker on examples it was not fitted on.

        Parameters
        ----------
        train : what it was fitted on, for base rates
        held_out : later examples
        """
        outputs = ranker.outputs(held_out.features).astype(np.float64)
        logits = _logit(outputs) if ranker.gives == "probability" else outputs
        base = base_chance(train.labels)
        slope, intercept = np.zeros(len(HEADS)), _logit(base)
        column = np.full(len(HEADS), NONE)
        for at, head in enumerate(ranker.columns):
            label = held_out.labels.of(head)
            if np.isnan(label).mean() > MOST_OPEN:
                line = _late_line(ranker, at, head, train, held_out)
            else:
                line = _line(logits[:, at], label, base[COLUMN[head]])
            if line is not None:
                place = COLUMN[head]
                column[place], (slope[place], intercept[place]) = at, line
        first, levels, curve = len(ranker.columns), _no_levels(), np.empty((2, 0))
        if ranker.scale is not None:
            lines = _level_lines(logits[:, first:], ranker.scale, held_out)
            levels = *lines, ranker.scale
            chance = sigmoid(logits[:, first : first + len(LEVELS)] * lines[0] + lines[1])
            curve = curve_of(ranker.scale.rank(chance, held_out.duration_s), held_out.labels.watch_s)
        return cls(
            ranker.gives == "probability", column, slope, intercept, NONE if ranker.scale is None else first, *levels,
            _seconds_if(train.labels), curve,
        )  # fmt: skip

    @property
    def has_levels(self) -> bool:
        """Whether `read` needs durations."""
        return self.level_column != NONE

    def learned(self, head: str) -> bool:
        """Whether a head is more than its base rate."""
        return bool(self.column[COLUMN[head]] != NONE)

    def read(self, outputs: NDArray[np.float32], duration_s: NDArray[np.float32]) -> NDArray[np.float32]:
        """The columns of `OUTPUTS` for n contents, float32 (n, outputs); what is not finite stays so.

        Parameters
        ----------
        outputs : float32 array (n, columns), as the graph gives them
        duration_s : float32 array (n,), of the clips
        """
        logits = outputs.astype(np.float64)
        if self.gives_probability:
            logits = _logit(logits)
        result = np.empty((len(logits), len(OUTPUTS)), np.float32)
        # Columns of base rate take any output, times 0.
        result[:, : len(HEADS)] = sigmoid(logits[:, self.column] * self.slope + self.intercept)
        result[:, len(HEADS) :] = self._seconds(logits, result[:, _PRIMARY], duration_s)
        return result

    def _seconds(self, logits: Floats, long_view: NDArray[np.float32], duration_s: NDArray[np.float32]) -> Floats:
        if not self.has_levels:
            other, long = self.seconds_if
            return np.repeat((other + (long - other) * long_view.astype(np.float64))[:, None], 2, axis=1)
        level = logits[:, self.level_column : self.level_column + len(LEVELS)]
        chance = sigmoid(level * self.level_slope + self.level_intercept)
        if self.curve.shape[1]:
            seconds = np.interp(self.scale.rank(chance, duration_s), *self.curve)
        else:
            seconds = self.scale.seconds(chance, duration_s)
        return np.stack([seconds, self.scale.debiased_seconds(chance)], axis=1)

    def to_bytes(self) -> bytes:
        """As an npz file."""
        buffer = io.BytesIO()
        np.savez(
            buffer, heads=np.array(HEADS), levels=np.array(LEVELS), gives_probability=self.gives_probability,
            column=self.column, slope=self.slope, intercept=self.intercept, level_column=self.level_column,
            level_slope=self.level_slope, level_intercept=self.level_intercept, edge_s=self.scale.edge_s,
            step_s=self.scale.step_s, pooled_step_s=self.scale.pooled_step_s, step_rank=self.scale.step_rank,
            seconds_if=self.seconds_if, curve=self.curve,
        )  # fmt: skip
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises
        ------
        ReadingError : for anything else, and for other heads or levels than those of the code
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                given = {name: stored[name] for name in stored.files}
            if tuple(given["heads"].tolist()) != HEADS or tuple(given["levels"].tolist()) != LEVELS:
                raise ReadingError(f"it has heads {given['heads'].tolist()}, the code has {list(HEADS)}")
            # A bundle of before there were ranks has neither steps of them nor a curve.
            step_rank, curve = given.get("step_rank", np.zeros_like(given["step_s"])), given.get("curve")
            return cls(
                bool(given["gives_probability"]), given["column"], given["slope"], given["intercept"],
                int(given["level_column"]), given["level_slope"], given["level_intercept"],
                WatchScale(given["edge_s"], given["step_s"], given["pooled_step_s"], step_rank), given["seconds_if"],
                np.empty((2, 0)) if curve is None else curve,
            )  # fmt: skip
        except (KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ReadingError(f"it is not what `to_bytes` writes: {error}") from error
        except ValueError as error:
            raise error if isinstance(error, ReadingError) else ReadingError(f"it is no npz file: {error}") from error


def _logit(probability: Floats) -> Floats:
    clipped = np.clip(probability, _CLIP, 1.0 - _CLIP)
    return np.asarray(np.log(clipped / (1.0 - clipped)))


def _no_levels() -> tuple[Floats, Floats, WatchScale]:
    nothing = np.zeros(len(LEVELS))
    steps = np.zeros((1, len(LEVELS) + 1))
    return nothing, nothing, WatchScale(np.zeros((1, len(LEVELS))), steps, np.zeros(1), steps)


def curve_of(rank: Floats, watch_s: NDArray[np.float32]) -> Floats:
    """Mean seconds by rank, ascending in both, from 0 to 1; (2, 0) where too few watches are known.

    Views are cut into groups of at least 100 by their rank; neighbours that fall are pooled. A slope too small to be
    seen keeps apart what the pooling tied.

    >>> rank = np.linspace(0.0, 1.0, 1000)
    >>> np.interp([0.25, 0.5], *curve_of(rank, (10.0 * rank).astype(np.float32))).round(1).tolist()
    [2.5, 5.0]
    """
    known = ~np.isnan(watch_s)
    if known.sum() < LEAST_WATCHES:
        return np.empty((2, 0))
    from sklearn.isotonic import isotonic_regression  # noqa: PLC0415  a web process never fits

    order = np.argsort(rank[known], kind="stable")
    groups = np.array_split(order, min(CURVE_GROUPS, int(known.sum()) // 100))
    at = np.array([rank[known][group].mean() for group in groups])
    seconds = np.array([watch_s[known][group].mean(dtype=np.float64) for group in groups])
    rising = isotonic_regression(seconds, sample_weight=np.array([len(group) for group in groups], float))
    ends = np.r_[0.0, at, 1.0]
    # Beyond the outer groups as steep as between the outer pairs, but never below nothing.
    slope = np.diff(rising) / np.maximum(np.diff(at), 1e-9)
    low, high = max(0.0, rising[0] - slope[0] * at[0]), rising[-1] + slope[-1] * (1.0 - at[-1])
    return np.stack([ends, np.r_[low, rising, high] + RISE_S * ends])


def _line(logit: Floats, label: NDArray[np.float32], base: float) -> tuple[float, float] | None:
    """Slope and intercept by the rules above; None for a head that must say its base rate."""
    known = ~np.isnan(label)
    yes = int((label[known] == 1).sum())
    if min(yes, int(known.sum()) - yes) >= LEAST_ANSWERS:
        slope, intercept = fit_line(logit[known], label[known])
        return (slope, intercept) if slope > 0 else None
    return 1.0, shift_to(logit, base)


def _late_line(
    ranker: FittedRanker, at: int, head: str, train: TrainingSet, held_out: TrainingSet
) -> tuple[float, float] | None:
    """Slope 1 and the intercept of the newest known examples, as many as are held out; None where they are too few."""
    label = train.labels.of(head)
    newest = np.flatnonzero(~np.isnan(label))[-max(len(held_out), 2 * LEAST_ANSWERS) :]
    yes = int((label[newest] == 1).sum())
    if min(yes, len(newest) - yes) < LEAST_ANSWERS:
        return None
    outputs = ranker.outputs(train.features.rows(newest))[:, at].astype(np.float64)
    logits = _logit(outputs) if ranker.gives == "probability" else outputs
    return 1.0, shift_to(logits, float(label[newest].mean()))


def _level_lines(logits: Floats, scale: WatchScale, held_out: TrainingSet) -> tuple[Floats, Floats]:
    """Slope and intercept per level."""
    asked = scale.questions(held_out.labels.watch_s, held_out.duration_s)
    lines = np.tile([1.0, 0.0], (len(LEVELS), 1))
    for level in range(len(LEVELS)):
        known = ~np.isnan(asked[:, level])
        yes = int((asked[known, level] == 1).sum())
        if min(yes, int(known.sum()) - yes) >= LEAST_ANSWERS:
            lines[level] = fit_line(logits[known, level], asked[known, level])
    return lines[:, 0], lines[:, 1]


def _seconds_if(labels: Labels) -> Floats:
    """Mean watched seconds by whether it was a long view; 3 and 18 where nothing is known."""
    means = []
    for answer, prior in ((0, 3.0), (1, 18.0)):
        watched = labels.watch_s[(labels.of(PRIMARY) == answer) & ~np.isnan(labels.watch_s)]
        means.append(float(watched.mean()) if len(watched) else prior)
    # A long view must not be worth less seconds than another one, whatever a handful of examples says.
    return np.array([means[0], max(means[1], means[0] + 1.0)])
