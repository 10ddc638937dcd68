"""What models of behaviour are learned from: by small steps the very bytes of the whole log at once."""

from datetime import timedelta

import numpy as np
import pytest

from events.models import Event
from features import learned_sequences, log_windows, snapshot_build, snapshot_files
from features.embeddings import behaviour
from features.embeddings.statistics import SequenceStatistics
from features.erasure import erase_content, erase_user
from features.extraction import sequences
from features.learned_sequences import Memory
from features.materialize import materialize
from tests.features.clips import CLIPS, NOW, days_of_events, raw, register, send

HOUR = timedelta(hours=1)


@pytest.fixture
def reads(monkeypatch):
    """Hours that were read from the log, by call."""
    seen, read = [], learned_sequences._read

    def counted(span, *rest):
        seen.append(list(span))
        return read(span, *rest)

    monkeypatch.setattr(learned_sequences, "_read", counted)
    return seen


@pytest.fixture
def world(db, snapshots):
    """Clips and three days of events, of which the models have learned all but the last hours."""
    register(CLIPS)
    send(days_of_events())
    materialize(until=NOW - 9 * HOUR)
    return snapshots


def learned(folder):
    """The models that serve, and what they were learned from, as bytes."""
    models = {
        path.name: path.read_bytes()
        for path in snapshot_files.current(folder).iterdir()
        if path.name in {"sequential.npz", "word2vec.npz"}
    }
    assert models
    # The order of the contents is of no account, nor are versions of hours.
    memory = Memory.load(learned_sequences.path())
    sums = [getattr(memory.sums, name).tobytes() for name in ("user", "item", "earlier", "target", "together")]
    enjoyed = [(memory.users[u], memory.contents[c]) for u, c in zip(memory.user, memory.content, strict=True)]
    return models, sums, memory.users, memory.items, enjoyed


def materialized_as_from_scratch(folder, until):
    """Learn by a step and then from the log alone; both are the same."""
    assert "sequential" in materialize(until=until).fitted
    by_steps = learned(folder)
    assert "sequential" in materialize(until=until, refit=True).fitted
    assert learned(folder) == by_steps
    return by_steps


@pytest.mark.parametrize("most", [behaviour.MAX_ITEMS, 9], ids=["room for all", "only the most met"])
def test_steps_give_the_bytes_of_a_fit_from_scratch(world, monkeypatch, most):
    monkeypatch.setattr(behaviour, "MAX_ITEMS", most)
    first = materialized_as_from_scratch(world, NOW - 5 * HOUR)
    # New contents among the old ones, late events, an erased user, and a content that everybody likes now.
    register(["aaa-first", "lake-1"])
    fans = [raw("like", f"fan-{number}", "lake-1", NOW - timedelta(minutes=number)) for number in range(30)]
    send([*fans, raw("like", "u4", "aaa-first", NOW - 40 * HOUR), raw("like", "late", CLIPS[2], NOW - 50 * HOUR)])
    Event.objects.filter(user_id="u7").delete()
    second = materialized_as_from_scratch(world, NOW)
    assert second != first
    assert "u7" in first[2]
    assert "u7" not in second[2]
    assert "lake-1" in second[3]


def test_a_step_reads_only_hours_that_were_counted_again(world, reads):
    materialize(until=NOW)
    assert {hour for span in reads for hour in span} == {
        int((NOW - number * HOUR).timestamp() // 3600) for number in range(10)
    } & set(log_windows.filled_hours().tolist()) | {int(NOW.timestamp() // 3600)}
    reads.clear()
    late = NOW - 30 * HOUR
    send([raw("like", "late", CLIPS[0], late)])
    send([raw("like", "ann", CLIPS[0], NOW + HOUR)], now=NOW + HOUR)
    materialize(until=NOW + 2 * HOUR)
    assert sorted(hour for span in reads for hour in span) == [
        int(at.timestamp() // 3600) for at in (late, NOW, NOW + HOUR)
    ]


def test_nothing_new_costs_no_look_at_the_sequences(world, reads):
    materialize(until=NOW)
    before = learned_sequences.path().stat().st_mtime_ns
    reads.clear()
    for hours in range(4):
        assert materialize(until=NOW + hours * HOUR).fitted == ()
    assert reads == []
    assert learned_sequences.path().stat().st_mtime_ns == before


def test_models_are_learned_again_once_an_hour_and_at_once_when_the_log_grew(world):
    materialize(until=NOW)
    send([raw("like", "ann", CLIPS[0], NOW + timedelta(minutes=1))], now=NOW + timedelta(minutes=1))
    assert materialize(until=NOW + timedelta(minutes=2)).fitted == (), "one event can wait"
    assert materialize(until=NOW + HOUR).fitted == ("sequential",), "until the hour is over"
    fans = [raw("like", f"fan-{number}", CLIPS[3], NOW + HOUR) for number in range(400)]
    send(fans, now=NOW + HOUR)
    assert materialize(until=NOW + HOUR + timedelta(minutes=1)).fitted == ("sequential",), "so many cannot"


def test_a_large_model_waits_for_a_hundredth_of_new_events_or_for_the_end_of_the_day(world, monkeypatch):
    monkeypatch.setattr(snapshot_build, "SOLVED_HOURLY", 5)
    materialize(until=NOW)
    events = log_windows.filled_events()
    few, enough = events // 100 - 1, 2
    assert few > 0
    send([raw("like", f"fan-{number}", CLIPS[3], NOW) for number in range(few)])
    assert materialize(until=NOW + HOUR).fitted == (), "too few for an hour"
    send([raw("like", f"more-{number}", CLIPS[3], NOW + HOUR) for number in range(enough)], now=NOW + HOUR)
    assert materialize(until=NOW + 2 * HOUR).fitted == ("sequential",), "together they are a hundredth"
    send([raw("like", "ann", CLIPS[0], NOW + 2 * HOUR)], now=NOW + 2 * HOUR)
    assert materialize(until=NOW + 3 * HOUR).fitted == ()
    send([raw("like", "ann", CLIPS[1], NOW + 6 * HOUR)], now=NOW + 6 * HOUR)
    assert materialize(until=NOW + 7 * HOUR).fitted == ("sequential",), "the day is over"


def test_an_hour_with_other_events_of_the_same_number_is_read_again(world):
    materialize(until=NOW)
    Event.objects.filter(user_id="u3", timestamp__gte=NOW - 30 * HOUR).update(user_id="u5")
    send([raw("like", "ann", CLIPS[0], NOW + HOUR)], now=NOW + HOUR)
    materialized_as_from_scratch(world, NOW + 2 * HOUR)


def test_another_length_of_a_clip_makes_other_long_views(world, reads):
    materialize(until=NOW)
    reads.clear()
    send([raw("view", "ann", "not-yet-there", NOW + HOUR, watch_duration=4.0)], now=NOW + HOUR)
    materialize(until=NOW + 2 * HOUR)
    assert sum(map(len, reads)) <= 3
    register(["not-yet-there"])
    send([raw("like", "bob", CLIPS[1], NOW + 3 * HOUR)], now=NOW + 3 * HOUR)
    reads.clear()
    materialize(until=NOW + 4 * HOUR)
    assert sum(map(len, reads)) > 40, "the whole log"


@pytest.mark.parametrize("damage", ["lost", "empty", "cut off", "a flipped byte", "another format", "no archive"])
def test_a_file_that_cannot_be_used_costs_a_rebuild_and_nothing_else(world, damage):
    materialize(until=NOW)
    file, whole = learned_sequences.path(), learned(world)
    content = file.read_bytes()
    middle = len(content) // 2
    if damage == "lost":
        file.unlink()
    elif damage == "another format":
        memory = Memory.load(file)
        memory.sums.save(file, format=np.array([99]))
    else:
        file.write_bytes({
            "empty": b"",
            "cut off": content[:middle],
            "a flipped byte": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
            "no archive": b"{}",
        }[damage])  # fmt: skip
    send([raw("impression", "ann", CLIPS[0], NOW)])
    materialize(until=NOW + HOUR)
    assert learned(world) == whole


def test_an_erased_user_leaves_nothing_in_the_file_at_once_and_in_the_models_with_the_next_snapshot(world):
    materialize(until=NOW)
    before = learned(world)
    assert "u3" in before[2]
    mine = Event.objects.filter(user_id="u3").order_by("timestamp")
    first, last = mine.first().timestamp, mine.last().timestamp
    mine.delete()
    erase_user("u3", first=first, last=last)
    assert not learned_sequences.path().exists()
    assert materialize(until=NOW).fitted == ("sequential",), "it does not wait for the next hour"
    after = learned(world)
    assert after[2] == [user for user in before[2] if user != "u3"]
    assert after[0] != before[0]
    assert after[4] == [pair for pair in before[4] if pair[0] != "u3"]


def test_an_erased_content_leaves_nothing_in_the_file(world):
    materialize(until=NOW)
    erase_content(CLIPS[5])
    Event.objects.filter(content_id=CLIPS[5]).delete()
    materialize(until=NOW)
    memory = Memory.load(learned_sequences.path())
    assert CLIPS[5] not in memory.contents
    assert CLIPS[5] not in memory.items
    assert CLIPS[4] in memory.contents


def test_of_a_long_log_only_the_newest_hours_are_read_and_erasing_them_reads_on(world, monkeypatch, reads):
    for module in (sequences, learned_sequences):
        monkeypatch.setattr(module, "MAX_TRANSITIONS", 60)
    monkeypatch.setattr(learned_sequences, "KEPT", 120)
    monkeypatch.setattr(learned_sequences, "READ_AT_ONCE", 30)
    materialize(until=NOW, refit=True)
    memory = Memory.load(learned_sequences.path())
    assert 120 <= len(memory.user) < 180
    assert memory.floor > log_windows.filled_hours()[0]
    assert min(map(min, reads[-20:])) <= memory.floor
    assert sum(map(len, reads[-20:])) < 60, "not the whole log"
    send([raw("like", "ann", CLIPS[0], NOW + HOUR)], now=NOW + HOUR)
    materialized_as_from_scratch(world, NOW + 2 * HOUR)
    # Of the kept ones hardly any stay.
    Event.objects.filter(timestamp__gte=NOW - 20 * HOUR, timestamp__lt=NOW).delete()
    send([raw("like", "ann", CLIPS[0], NOW + 3 * HOUR)], now=NOW + 3 * HOUR)
    materialize(until=NOW + 4 * HOUR)
    assert Memory.load(learned_sequences.path()).floor < memory.floor
    whole = learned(world)
    materialize(until=NOW + 4 * HOUR, refit=True)
    assert learned(world) == whole


def test_the_sums_are_those_of_one_fit(world):
    materialize(until=NOW)
    memory = Memory.load(learned_sequences.path())
    anew = SequenceStatistics(memory.sums.size, channels=memory.sums.channels)
    anew.add(memory.sums.user, memory.sums.item)
    assert np.array_equal(anew.earlier, memory.sums.earlier)
