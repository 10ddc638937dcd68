"""Off-policy estimates beside what really was earned: two policies logged each other's actions with their chances.

With `--path` the Open Bandit sample (Saito, Aihara, Matsutani and Narita, 2021): a fashion shop showed items at three
positions by a uniform policy and by Thompson sampling in the same week. From the log of one the value of the other is
estimated, per position and over all, and the clicks of its own log say what it was worth. The uniform policy is known
exactly; Thompson sampling changed while it ran, so that what is estimated from the uniform log is its mean over the
week, from how often it showed each item at each position. What was really earned is itself a mean over some thousand
rows, so an estimate covers it when 0 lies in the interval of the difference (MOVER; Zou and Donner, 2008): both sides
are uncertain, and with clicks this rare the one nearly as much as the other.

Without a path, a made world in which the true value is known to the last digit. The reward model of the doubly robust
estimates is the shrunk click rate of each item, learned from the other half of the same log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyarrow import ArrowInvalid, csv

from ranking.evaluation.counterfactual import (
    Estimate,
    LoggedPicks,
    TooLittleSupportError,
    effective_sample_size,
    estimate,
)
from ranking.evaluation.intervals import Interval, mean_interval
from recsys.benchmarks.results import Bar, Options, Result
from recsys.benchmarks.scratch import BenchmarkFailedError

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

POLICIES: Final = {"uniform": "random-all.csv", "Thompson": "bts-all.csv"}
RATE_TRIALS: Final = 500.0
"""Clicks are so rare that a rate needs hundreds of imagined trials before it is more than chance."""
MADE_ROWS: Final = 10_000
SEED: Final = 11


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """What one policy showed.

    Attributes
    ----------
    action, position : int64 arrays (n,), from 0
    reward : float64 array (n,)
    propensity : float64 array (n,)
    """

    action: Ids
    position: Ids
    reward: Floats
    propensity: Floats

    def at(self, position: int | None) -> "PolicyLog":
        """The rows of one position, or all."""
        keep = np.full(len(self.action), True) if position is None else self.position == position
        return PolicyLog(self.action[keep], self.position[keep], self.reward[keep], self.propensity[keep])


@dataclass(frozen=True, slots=True)
class Case:
    """The value of a policy from the log of another one, and what it really earned, with its own 95 % interval."""

    name: str
    picks: LoggedPicks
    truth: float
    around: Interval

    def covered_by(self, found: Estimate) -> bool:
        """Whether the difference to the truth may be chance: its MOVER interval holds 0."""
        if self.truth >= found.value:
            reach = (found.interval.high - found.value, self.truth - self.around.low)
        else:
            reach = (found.value - found.interval.low, self.around.high - self.truth)
        return abs(self.truth - found.value) <= float(np.hypot(*reach))


def run(options: Options) -> Result:
    """Estimate each policy from the other's log and compare."""
    cases = _of_logs(read(options.path)) if options.path else [_made()]
    return judge(cases)


def judge(cases: list[Case]) -> Result:
    """A row per case and estimator; the bar counts estimates whose interval covers the truth."""
    rng = np.random.default_rng(SEED)
    figures: dict[str, float] = {}
    rows, covered, answered = [], 0, 0
    for case in cases:
        size = effective_sample_size(case.picks.weights())
        figures[f"{case.name}: truth"] = case.truth
        figures[f"{case.name}: effective rows"] = size
        try:
            value = estimate(case.picks, rng=rng)
        except TooLittleSupportError as error:
            rows.append((case.name, "refused", str(error), _told(case.truth, case.around), f"{size:,.0f}"))
            continue
        for name, each in value.estimates.items():
            inside = case.covered_by(each)
            covered, answered = covered + inside, answered + 1
            figures |= {
                f"{case.name}: {name}": each.value, f"{case.name}: {name} low": each.interval.low,
                f"{case.name}: {name} high": each.interval.high,
            }  # fmt: skip
            truth = _told(case.truth, case.around) + ("" if inside else " missed")
            rows.append((case.name, name, _told(each.value, each.interval), truth, f"{size:,.0f}"))
    figures |= {"estimates": float(answered), "estimates that cover the truth": float(covered)}
    bars = (
        Bar.at_least("ope: estimates given", float(answered), 1.0),
        Bar.at_least("ope: share of estimates that cover the truth", covered / max(answered, 1), 1.0),
    )
    columns = ("policy, from the log of", "estimator", "value [95 %]", "really earned [95 %]", "effective rows")
    return Result("ope", figures, columns, rows, bars)


def read(folder: Path) -> dict[str, PolicyLog]:
    """Both logs of an Open Bandit folder."""
    columns = ["item_id", "position", "click", "propensity_score"]
    logs = {}
    for name, file in POLICIES.items():
        try:
            options = csv.ConvertOptions(include_columns=columns)
            table = csv.read_csv(folder / file, convert_options=options)
        except (OSError, KeyError, ArrowInvalid) as error:
            raise BenchmarkFailedError(f"{folder} is no Open Bandit folder: {error}") from error
        item, position, click, propensity = (table[each].to_numpy() for each in columns)
        logs[name] = PolicyLog(
            item.astype(np.int64),
            position.astype(np.int64) - 1,
            click.astype(np.float64),
            propensity.astype(np.float64),
        )
    return logs


def _of_logs(logs: Mapping[str, PolicyLog]) -> list[Case]:
    """Both directions, each position and all of them."""
    actions = 1 + max(int(log.action.max()) for log in logs.values())
    positions = 1 + max(int(log.position.max()) for log in logs.values())
    cases = []
    for policy, other in (("Thompson", "uniform"), ("uniform", "Thompson")):
        for position in (None, *range(positions)):
            mine, theirs = logs[policy].at(position), logs[other].at(position)
            chances = np.stack([_chances(logs[policy].at(each), actions, policy) for each in range(positions)])
            picks = LoggedPicks(
                theirs.reward, theirs.action, theirs.propensity, chances[theirs.position],
                _cross_fitted(theirs.action, theirs.reward, actions),
            )  # fmt: skip
            where = "all positions" if position is None else f"position {position + 1}"
            around = mean_interval(mine.reward, rng=np.random.default_rng(SEED))
            if around is None:
                raise BenchmarkFailedError(f"The log of {policy} has {len(mine.reward)} rows at {where}.")
            cases.append(Case(f"{policy} from {other}, {where}", picks, float(mine.reward.mean()), around))
    return cases


def _chances(log: PolicyLog, actions: int, policy: str) -> Floats:
    """How often a policy takes each action: (k,)."""
    if policy == "uniform":
        return np.full(actions, 1.0 / actions)
    return np.asarray(np.bincount(log.action, minlength=actions) / len(log.action))


def _cross_fitted(action: Ids, reward: Floats, actions: int) -> Floats:
    """Shrunk reward of each action, (n, k), learned from the half that a row is not in."""
    half = np.arange(len(action)) % 2 == 0
    predicted = np.empty((len(action), actions))
    for mine in (half, ~half):
        total = np.bincount(action[~mine], reward[~mine], actions)
        trials = np.bincount(action[~mine], minlength=actions)
        predicted[mine] = (total + RATE_TRIALS * reward[~mine].mean()) / (trials + RATE_TRIALS)
    return predicted


def _made() -> Case:
    """Twenty actions with known rates; the policy in question prefers the good ones."""
    rng = np.random.default_rng(SEED)
    rate = rng.uniform(0.02, 0.2, 20)
    logged, policy = (np.exp(each) / np.exp(each).sum() for each in (rng.normal(0, 0.5, 20), 8.0 * rate))
    action = rng.choice(20, MADE_ROWS, p=logged)
    reward = (rng.random(MADE_ROWS) < rate[action]).astype(np.float64)
    picks = LoggedPicks(
        reward, action, logged[action], np.tile(policy, (MADE_ROWS, 1)), _cross_fitted(action, reward, 20)
    )
    truth = float(policy @ rate)
    return Case("made policy from another", picks, truth, Interval(truth, truth))


def _told(value: float, around: Interval) -> str:
    return f"{value:.5f} [{around.low:.5f}, {around.high:.5f}]"
