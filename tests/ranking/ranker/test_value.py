"""The value is a sum in seconds; weights that must not serve are refused by name."""

import copy

import numpy as np
import pytest

from features.extraction.definitions import NAMES
from ranking.ranker.heads import COLUMN, HEADS
from ranking.ranker.reading import OUTPUTS
from ranking.ranker.value import DEFAULTS, SEGMENTS, TERMS, InvalidWeights, Policy, segment_of


def user(*, sessions, days):
    block = np.zeros(len(NAMES["user"]), np.float32)
    block[NAMES["user"].index("user_sessions")] = np.log1p(sessions)
    block[NAMES["user"].index("user_active_days")] = days / 7
    return block


@pytest.mark.parametrize(
    ("sessions", "days", "segment"),
    [
        (0, 0, "new"), (1, 1, "new"), (2, 1, "casual"), (9, 0, "casual"), (9, 2, "casual"), (9, 3, "regular"),
        (9, 5, "regular"), (40, 6, "heavy"), (400, 7, "heavy"),
    ],
)  # fmt: skip
def test_segment_follows_visits_and_days(sessions, days, segment):
    assert segment_of(user(sessions=sessions, days=days)) == segment


def test_value_is_the_sum_of_seconds_and_weighed_chances():
    heads = np.zeros((2, len(OUTPUTS)), np.float32)
    heads[0, COLUMN["like"]], heads[0, COLUMN["report"]] = 0.5, 0.01
    heads[0, OUTPUTS.index("debiased_watch_s")] = 12.0
    heads[0, OUTPUTS.index("watch_s")] = 99.0
    terms = Policy.default().terms(heads, "casual")
    named = dict(zip(TERMS, terms[0], strict=True))
    assert named.pop("watch") == pytest.approx(12.0)
    assert named.pop("like") == pytest.approx(0.5 * DEFAULTS["like"])
    assert named.pop("report") == pytest.approx(0.01 * DEFAULTS["report"], rel=1e-5)
    assert not any(named.values())
    assert not terms[1].any()


def test_each_segment_has_its_own_weights():
    document = Policy.default().document()
    document["heavy"]["share"] = 80.0
    policy = Policy.parse(4, document)
    heads = np.full((1, len(OUTPUTS)), 0.25, np.float32)
    of = {segment: policy.terms(heads, segment)[0, TERMS.index("share")] for segment in SEGMENTS}
    assert of == {"new": 2.0, "casual": 2.0, "regular": 2.0, "heavy": 20.0}
    assert policy.document() == document


def broken(change):
    document = copy.deepcopy(Policy.default().document())
    change(document)
    return document


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (None, "segments must be a mapping by name, got None"),
        (broken(lambda d: d.pop("new")), r"segments: missing \['new'\]"),
        (broken(lambda d: d.update(loyal=d["new"])), r"unknown \['loyal'\]"),
        (broken(lambda d: d["new"].pop("like")), r"terms of segment new: missing \['like'\]"),
        (broken(lambda d: d["new"].update(love=1.0)), r"unknown \['love'\]"),
        (broken(lambda d: d["new"].update(like=float("inf"))), "new.like must lie between 0 and 1000, got inf"),
        (broken(lambda d: d["new"].update(like=float("nan"))), "new.like must lie between 0 and 1000, got nan"),
        (broken(lambda d: d["new"].update(skip=0.1)), "new.skip must lie between -1000 and 0, got 0.1"),
        (broken(lambda d: d["new"].update(watch=None)), "new.watch must be a number, got None"),
        (broken(lambda d: d["new"].update(dict.fromkeys(TERMS, 0.0))), "segment new has no weight but 0"),
    ],
)
def test_weights_that_must_not_serve_are_named(document, says):
    with pytest.raises(InvalidWeights, match=says):
        Policy.parse(1, document)


def test_every_head_is_weighed():
    assert set(TERMS) == {"watch", *HEADS} == set(DEFAULTS)
