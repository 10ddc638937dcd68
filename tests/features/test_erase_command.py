"""`manage.py erase` over a store that knows something in every table."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from features import content, learned_sequences, store
from features.materialize import materialize
from features.models import ContentAnalysis, ContentFeatures, CountedLength, Embedding, Trend, TrendKind, TrendPoint
from tests.features.clips import CLIPS, NOW, days_of_events, register, send

GONE = CLIPS[5]


@pytest.fixture
def filled(db, snapshots):
    register(CLIPS)
    send(days_of_events())
    materialize(until=NOW)
    content.register(now=NOW)
    for kind, name in ((TrendKind.CONTENT, GONE), (TrendKind.CONTENT, CLIPS[4]), (TrendKind.CREATOR, "u3")):
        TrendPoint.objects.create(kind=kind, name=name, hour=1, people=3)
        Trend.objects.create(
            kind=kind, name=name, hour=1, z=5.0, observed=3.0, expected=1.0, low=0.0, high=2.0, people=3, against=0,
            trending=True,
        )  # fmt: skip


def erase(*words: str) -> dict[str, str]:
    out = StringIO()
    call_command("erase", *words, stdout=out)
    return dict(line.split(": ") for line in out.getvalue().splitlines()[:-1])


def rows_of(content_id: str) -> list[int]:
    tables = ContentFeatures, ContentAnalysis, Embedding, CountedLength
    by_id = [model.objects.filter(content_id=content_id) for model in tables]
    by_name = [model.objects.filter(name=content_id) for model in (Trend, TrendPoint)]
    return [rows.count() for rows in by_id + by_name]


def test_a_content_goes_from_every_table_and_the_command_says_how_much(filled):
    features, analyses, vectors, lengths, _, _ = before = rows_of(GONE)
    others = rows_of(CLIPS[4])
    assert all(before)
    said = erase("content", GONE, "--yes")
    assert int(said.pop("content_window").removesuffix(" changed")) > 0
    assert said == {
        "content_features": f"{features} removed", "content_analysis": f"{analyses} removed",
        "counted_length": f"{lengths} removed", "embedding": f"{vectors} removed",
        "trend_point": "1 removed", "trend": "1 removed", "learned sequences": "1 removed",
    }  # fmt: skip
    assert not any(rows_of(GONE))
    assert rows_of(CLIPS[4]) == others
    assert not learned_sequences.path().exists()
    snapshot = store.snapshot()
    assert not snapshot.active[snapshot.row_of[GONE]]


def test_a_user_goes_from_the_file_and_the_trends_and_their_hours_are_due_again(filled):
    said = erase("user", "u3", "--yes")
    assert int(said.pop("window_fill").removesuffix(" to be counted again")) > 20
    assert said == {"learned sequences": "1 removed", "trend_point": "1 removed", "trend": "1 removed"}
    assert not learned_sequences.path().exists()
    assert erase("user", "nobody", "--yes")["window_fill"] == "0 to be counted again"


def test_without_yes_nothing_is_erased(filled):
    before = rows_of(GONE)
    with pytest.raises(CommandError, match=f"{GONE}.*--yes"):
        erase("content", GONE)
    assert rows_of(GONE) == before
    assert learned_sequences.path().exists()
