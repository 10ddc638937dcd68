"""Rules of the automatic check: conditions over named numbers, and what follows where all of them hold.

Rules are data. A condition is a signal, a direction and a bound; there is no language in them, so nothing is executed
that somebody typed into a form. A signal that is not known satisfies no condition: that it is missing is a signal of
its own (`unknown`), and by default holds the upload.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dashboards.casework.log import FLAG, HOLD, QUARANTINE
from dashboards.casework.policies import POLICIES

PASS: Final = "pass"  # noqa: S105  no password
ACTIONS: Final = (FLAG, HOLD, QUARANTINE)
"""From the mildest on; what several rules say is the strongest of it."""
BOUNDS: Final = ("at_least", "at_most")
MOST_CONDITIONS: Final = 6
SIGNALS: Final[Mapping[str, str]] = {
    "text_abuse": "probability that the text is abusive, 0 to 1",
    "text_words": "words and phrases of the list of profanity in the text",
    "text_links": "web addresses in the text",
    "text_contacts": "telephone numbers, mail addresses and messengers in the text",
    "text_repeats": "share of the text's words that are one and the same",
    "text_capitals": "share of the text's letters that are capitals",
    "indecency": "score of the most indecent frame, 0 to 1",
    "indecency_mean": "mean score of the frames",
    "hash_exact": "1 where the file is on a list of banned files",
    "hash_same": "share of the frames that are those of one banned clip, encoded anew",
    "hash_near": "share of the frames that show the scene of one banned clip",
    "hash_severity": "severity of the list that it is on or resembles, 0 to 4",
    "removed_exact": "1 where the file is that of a removed content",
    "removed_same": "share of the frames that are those of one removed content, encoded anew",
    "removed_near": "share of the frames that show the scene of one removed content",
    "creator_uploads_1h": "uploads of the creator in the hour before this one, and this one",
    "creator_uploads_1d": "uploads of the creator in the day before this one, and this one",
    "creator_same_text_1d": "of these, with the same words",
    "creators_same_text_1d": "creators with the same words in the day before",
    "creator_contents": "contents of the creator, this one included",
    "creator_removed": "contents of the creator that are removed",
    "creator_strikes": "strikes of the creator that have not expired",
    "unknown": "parts of the upload that the check could not look at",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One bound, inclusive."""

    signal: str
    bound: str
    value: float

    def holds(self, signals: Mapping[str, float]) -> bool:
        """Whether the signal is known and within the bound."""
        found = signals.get(self.signal)
        if found is None:
            return False
        return found >= self.value if self.bound == "at_least" else found <= self.value


@dataclass(frozen=True, slots=True)
class Rule:
    """All conditions together mean `action`, for a breach of `policy`."""

    key: str
    version: int
    conditions: tuple[Condition, ...]
    action: str
    policy: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say: the strongest action, its gravest policy, and every rule that holds, by key and version."""

    action: str = PASS
    policy: str = ""
    matched: tuple[tuple[str, int], ...] = ()
    score: float = 0.0


def parse(raw: Any) -> tuple[Condition, ...]:
    """Conditions as they are stored: `[{"signal": "indecency", "at_least": 0.8}, ...]`.

    Raises
    ------
    ValueError : it is anything else; the message names what

    >>> parse([{"signal": "text_links", "at_least": 3}])
    (Condition(signal='text_links', bound='at_least', value=3.0),)
    """
    if not isinstance(raw, list) or not 1 <= len(raw) <= MOST_CONDITIONS:
        raise ValueError(f"conditions must be a list of 1 to {MOST_CONDITIONS} conditions")
    return tuple(_condition(each) for each in raw)


def _condition(raw: Any) -> Condition:
    bounds = [name for name in BOUNDS if isinstance(raw, dict) and name in raw]
    if len(bounds) != 1 or set(raw) != {"signal", bounds[0]}:
        raise ValueError(f"a condition has a signal and one of {', '.join(BOUNDS)}; got {raw!r:.120}")
    signal, value = raw["signal"], raw[bounds[0]]
    if not isinstance(signal, str) or signal not in SIGNALS:
        raise ValueError(f"signal must be one of {', '.join(SIGNALS)}; got {signal!r:.60}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise ValueError(f"{bounds[0]} must be a number; got {value!r:.60}")
    return Condition(signal, bounds[0], float(value))


def judge(rules: Iterable[Rule], signals: Mapping[str, float]) -> Verdict:
    """What the rules say of an upload.

    The score is the largest value in [0, 1] among the signals that its rules ask for at least so much of; a count
    counts as 1.

    >>> links = Rule("links", 1, (Condition("text_links", "at_least", 3.0),), "flag", "spam")
    >>> judge([links], {"text_links": 4.0})
    Verdict(action='flag', policy='spam', matched=(('links', 1),), score=1.0)
    >>> judge([links], {}).action
    'pass'
    """
    holding = [rule for rule in rules if all(condition.holds(signals) for condition in rule.conditions)]
    if not holding:
        return Verdict()
    action = max((rule.action for rule in holding), key=ACTIONS.index)
    saying = [rule for rule in holding if rule.action == action]
    policy = max((rule.policy for rule in saying), key=lambda code: (POLICIES[code].severity, code))
    return Verdict(
        action, policy, tuple(sorted((rule.key, rule.version) for rule in holding)), _score(holding, signals)
    )


def _score(rules: Sequence[Rule], signals: Mapping[str, float]) -> float:
    asked = [each for rule in rules for each in rule.conditions if each.bound == "at_least"]
    return max((min(max(signals[each.signal], 0.0), 1.0) for each in asked), default=0.0)
