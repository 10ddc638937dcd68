"""Promises about the running system as its users meet it: over HTTP, with a trained model and the demo clips."""

import time
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from recsys.benchmarks.freshness_hides import CLIENTS, hide_trials
from recsys.benchmarks.http_api import Staff
from recsys.demo import VARIANTS
from recsys.embedded import addresses
from tests.stack import DEMO_USERS

pytestmark = [pytest.mark.stack]

PAGE = 10
ROUNDS, PER_ROUND = 3, 5
"""Fifteen interactions, five to a page, as somebody swipes who looks at half a page."""


def event(kind, item, page, when, **fields):
    return {
        "event_id": str(uuid.uuid4()),
        "event_type": kind,
        "user_id": fields.pop("user_id"),
        "content_id": item["content_id"],
        "timestamp": when.isoformat(),
        "request_id": page["request_id"],
        "position": item["position"],
        **fields,
    }


def watch(stack, user_id, item, page, *, family, when):
    """Watch a clip of the family to its end, and skip any other within a second."""
    events = [event("impression", item, page, when, user_id=user_id)]
    if item["content"]["category"] == family:
        length = item["content"]["duration_s"]
        end = when + timedelta(seconds=length)
        events.append(event("view", item, page, end, user_id=user_id, watch_duration=length))
        events.append(event("complete_view", item, page, end, user_id=user_id))
    else:
        events.append(event("skip", item, page, when + timedelta(seconds=1), user_id=user_id, watch_duration=0.8))
    status, report = stack.call("POST", "/api/v1/events", {"events": events})
    assert status == 202, report
    assert report["accepted"] == len(events), report


def families(page):
    return Counter(item["content"]["category"] for item in page["items"])


def test_the_demo_has_as_many_people_as_were_asked_for(stack):
    assert f" contents, {DEMO_USERS} users and " in stack.log.read_text()


@pytest.mark.parametrize("family_rank", [0, 3], ids=["best-served family", "least-served family"])
def test_a_user_who_watches_one_family_only_gets_that_family(stack, family_rank):
    user_id = f"loop-{uuid.uuid4().hex[:12]}"
    before = families(stack.feed(user_id, limit=50))
    family = before.most_common()[min(family_rank, len(before) - 1)][0]
    base_rate = before[family] / before.total()
    when = datetime.now(UTC) - timedelta(minutes=5)
    watched = set()
    for _ in range(ROUNDS):
        page = stack.feed(user_id, limit=PAGE)
        for item in page["items"][:PER_ROUND]:
            watched |= {item["content_id"]} if item["content"]["category"] == family else set()
            watch(stack, user_id, item, page, family=family, when=when)
            when += timedelta(seconds=10)
    after = families(stack.feed(user_id, limit=PAGE))
    share = after[family] / after.total()
    # A family that the walk has used up cannot fill a page: the message tells that from a ranking that is too timid.
    supply = f"{len(watched)} of its {VARIANTS} clips watched by then"
    story = f"{family}: {base_rate:.0%} of the feed before, {share:.0%} after fifteen interactions, {supply}"
    assert share >= 0.6, story
    assert base_rate < 0.5, f"{family} filled {base_rate:.0%} of a newcomer's feed: the test would prove nothing"


def test_the_first_event_already_changes_the_next_feed(stack):
    user_id = f"first-{uuid.uuid4().hex[:12]}"
    before = stack.feed(user_id, limit=PAGE)
    first = before["items"][0]
    family = first["content"]["category"]
    watch(stack, user_id, first, before, family=family, when=datetime.now(UTC) - timedelta(seconds=20))
    after = stack.feed(user_id, limit=PAGE)
    assert first["content_id"] not in {item["content_id"] for item in after["items"]}
    assert families(after)[family] > families(before)[family], "one clip watched to its end must already count"


def test_a_hidden_clip_never_returns(stack):
    user_id = f"hide-{uuid.uuid4().hex[:12]}"
    page = stack.feed(user_id, limit=PAGE)
    hidden = page["items"][0]
    stack.call("POST", "/api/v1/events", {"events": [event("hide", hidden, page, datetime.now(UTC), user_id=user_id)]})
    for _ in range(10):  # far more pages than the demo has clips: repeats come, the hidden one does not
        page = stack.feed(user_id, limit=PAGE)
        assert page["items"]
        assert hidden["content_id"] not in {item["content_id"] for item in page["items"]}


def test_what_is_hidden_is_on_no_answer_any_more_whoever_hid_it_and_whatever_anybody_holds(stack):
    port = urlsplit(stack.base_url).port
    password = addresses.load(stack.log.parent).demo_password
    found = hide_trials(port, stack.server_key, lambda: Staff(port, "admin", password), 4 * CLIENTS)
    assert Counter(trial.door for trial in found) == {"moderator": 8, "event": 4, "preference": 4}
    assert all(trial.gone for trial in found), found


def test_an_upload_is_retrievable_before_anybody_writes_a_snapshot(stack):
    name = f"upload-{uuid.uuid4().hex[:12]}"
    body = {"creator_id": f"by-{name}", "metadata": {"caption": "city at night", "category": name}, "duration_s": 9.0}
    assert stack.call("PUT", f"/api/v1/contents/{name}", body)[0] == 201
    asked = {
        "latest": "surface=latest&limit=50", "category": f"surface=category&categories={name}",
        "creator": f"surface=creator&creator_id=by-{name}",
    }  # fmt: skip
    deadline = time.monotonic() + 60
    for surface, query in asked.items():
        while True:
            status, page = stack.call("GET", f"/api/v1/feed?user_id=looker-{uuid.uuid4().hex}&{query}")
            assert status == 200, page
            if name in {item["content_id"] for item in page["items"]}:
                break
            assert time.monotonic() < deadline, f"not on {surface} after a minute"
            time.sleep(0.2)


def test_a_page_holds_distinct_clips_with_their_reasons(stack):
    page = stack.feed(f"page-{uuid.uuid4().hex[:12]}", limit=20)
    items = page["items"]
    assert len({item["content_id"] for item in items}) == 20
    assert [item["position"] for item in items] == list(range(20))
    assert len({item["source"] for item in items}) >= 2, "a newcomer has no history, so only unpersonal sources speak"
    assert page["fallback_level"] == "ranked"
    assert {item["model_version"] for item in items} == {page["model_version"]}


def test_web_workers_never_load_tensorflow_and_stay_small(stack):
    workers = stack.web_workers()
    assert len(workers) == 2
    for pid in workers:
        mapped = Path(f"/proc/{pid}/maps").read_text()
        assert "onnxruntime" in mapped, "the worker ranks, so it must have the runtime loaded"
        assert "tensorflow" not in mapped
        status = Path(f"/proc/{pid}/status").read_text()
        rss_mb = int(status.split("VmRSS:")[1].split()[0]) / 1024
        assert rss_mb < 350, f"web worker {pid} holds {rss_mb:.0f} MB"
