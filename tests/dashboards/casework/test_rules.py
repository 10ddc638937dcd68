"""Rules are data that cannot do anything but compare."""

import pytest

from dashboards.casework.default_rules import DEFAULT_RULES
from dashboards.casework.policies import POLICIES
from dashboards.casework.rules import ACTIONS, Condition, Rule, Verdict, judge, parse


def rule(key, action, policy, *conditions, version=1):
    return Rule(key, version, tuple(Condition(*each) for each in conditions), action, policy)


FLAG = rule("links", "flag", "spam", ("text_links", "at_least", 2.0))
HOLD = rule("unknown", "hold", "other", ("unknown", "at_least", 1.0))
HIDE = rule("indecent", "quarantine", "sexual", ("indecency", "at_least", 0.8), version=4)


def test_the_strongest_action_wins_and_names_every_rule_that_holds():
    rules = [HIDE, FLAG, HOLD]
    assert judge(rules, {"text_links": 1.0, "indecency": 0.1, "unknown": 0.0}) == Verdict()
    assert judge(rules, {"text_links": 2.0, "unknown": 1.0}).action == "hold"
    found = judge(rules, {"text_links": 2.0, "unknown": 1.0, "indecency": 0.93})
    assert (found.action, found.policy) == ("quarantine", "sexual")
    assert found.matched == (("indecent", 4), ("links", 1), ("unknown", 1))
    assert found.score == 1.0


def test_all_conditions_must_hold_and_a_missing_signal_satisfies_none():
    both = rule("both", "flag", "spam", ("text_links", "at_least", 1.0), ("creator_contents", "at_most", 3.0))
    assert judge([both], {"text_links": 1.0, "creator_contents": 3.0}).action == "flag"
    assert judge([both], {"text_links": 1.0, "creator_contents": 4.0}).action == "pass"
    assert judge([both], {"text_links": 1.0}).action == "pass"


def test_the_score_is_of_what_was_asked_for():
    assert judge([HIDE], {"indecency": 0.87, "text_links": 9.0}).score == 0.87


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (None, "list"), ([], "1 to 6"), ([{"signal": "text_links"}], "at_least"), ("text_links > 1", "list"),
        ([{"signal": "__import__", "at_least": 1}], "__import__"), ([{"signal": "text_links", "at_least": "1"}], "'1'"),
        ([{"signal": "text_links", "at_least": True}], "True"), ([{"signal": "text_links", "at_least": 1e30}], "1e+30"),
        ([{"signal": "text_links", "at_least": float("nan")}], "nan"), ([{"signal": ["a"], "at_least": 1}], "'a'"),
        ([{"signal": "text_links", "at_least": 1, "at_most": 2}], "one of"), ([7], "7"),
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused_by_name(raw, named):
    with pytest.raises(ValueError, match=named.replace("+", r"\+")):
        parse(raw)


def test_built_in_rules_parse_and_each_signal_they_ask_for_exists():
    for each in DEFAULT_RULES:
        assert parse(each["conditions"])
        assert each["action"] in ACTIONS
        assert each["policy"] in POLICIES
    assert len({each["key"] for each in DEFAULT_RULES}) == len(DEFAULT_RULES)
