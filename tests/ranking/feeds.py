"""A small catalogue with a past, a model without opinions, and what people do with a feed."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from events import vectors
from events.catalogue import NewContent, register_contents
from events.ingestion import ingest
from features.extraction.definitions import NAMES
from ranking import registry
from ranking.feed import Feed, FeedRequest, build_feed

NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
FAMILIES = ("ocean", "neon", "fractal", "automata")
CLIPS_EACH = 16
CLIP_S = 8.0
DIMS = {block: len(names) for block, names in NAMES.items()}
PASSES = {
    "train_examples": 9000,
    "test": {"examples": 900, "auc": 0.7, "auc_interval": {"low": 0.65, "high": 0.75}},
    "champion": None,
}
WORDS = {
    "ocean": ("waves", "tide", "surf", "sea"),
    "neon": ("glow", "grid", "light", "city"),
    "fractal": ("spiral", "zoom", "endless", "shape"),
    "automata": ("cells", "rule", "grow", "pixel"),
}


def event(event_type: str, user_id: str, content_id: str, at: datetime, **fields: Any) -> dict[str, Any]:
    """One event as a client sends it."""
    return {
        "event_id": str(uuid.uuid4()),
        "event_type": event_type,
        "user_id": user_id,
        "content_id": content_id,
        "timestamp": at.isoformat().replace("+00:00", "Z"),
        **fields,
    }


def family_of(content_id: str) -> str:
    """The family a clip was registered with."""
    return content_id.partition("-")[0]


def indifferent_graph(bias: float, slope: float = 0.1) -> bytes:
    """A model that gives contents nearly the same chance: sigmoid(bias + slope * mean of their own features).

    With a NaN bias it gives finite figures for plain rows of ones, as a sound model does, and none for real contents.
    """
    if np.isnan(bias):
        return _breaking_graph()
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name, width in DIMS.items()]
    nodes = [
        helper.make_node("ReduceMean", ["content"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["mean", "slope"], ["small"]),
        helper.make_node("Add", ["small", "bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["score"]),
    ]
    constants = [
        helper.make_tensor("slope", TensorProto.FLOAT, [1], [slope]),
        helper.make_tensor("bias", TensorProto.FLOAT, [1], [bias]),
    ]
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])
    graph = helper.make_graph(nodes, "indifferent", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    return bytes(model.SerializeToString())


def _breaking_graph() -> bytes:
    """sigmoid(sqrt(1 - greatest feature of the content)): every clip has a feature above one, its length."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name, width in DIMS.items()]
    nodes = [
        helper.make_node("ReduceMax", ["content"], ["greatest"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["one", "greatest"], ["left"]),
        helper.make_node("Sqrt", ["left"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["score"]),
    ]
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    graph = helper.make_graph(nodes, "breaking", inputs, [output], [one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    return bytes(model.SerializeToString())


@dataclass
class Viewer:
    """Somebody with a clock of their own who does things with clips."""

    user_id: str = "viewer"
    now: datetime = NOW

    def watch(self, content_id: str) -> None:
        """Watch a clip to its end."""
        self._send(("impression", {}), ("view", {"watch_duration": CLIP_S}), ("complete_view", {}), clip=content_id)

    def skip(self, content_id: str) -> None:
        """Swipe a clip away after half a second."""
        self._send(("impression", {}), ("skip", {"watch_duration": 0.5}), clip=content_id)

    def do(self, event_type: str, content_id: str) -> None:
        """One single event."""
        self._send((event_type, {}), clip=content_id)

    def react(self, feed: Feed, favourite: str, count: int) -> None:
        """Watch the favourite family to the end among the first `count` items, and skip the rest."""
        for item in feed.items[:count]:
            (self.watch if item.content.category == favourite else self.skip)(item.content_id)

    def _send(self, *events: tuple[str, dict[str, Any]], clip: str) -> None:
        raw = []
        for event_type, fields in events:
            self.now += timedelta(seconds=3)
            raw.append(event(event_type, self.user_id, clip, self.now, **fields))
        report = ingest(raw, now=self.now, source="test")
        assert report.accepted == len(raw), report


def register_catalogue() -> None:
    """64 clips in four families."""
    rng = np.random.default_rng(7)
    register_contents(
        NewContent(
            content_id=f"{family}-{clip:02d}",
            creator_id=f"{family}-maker-{clip % 5}",
            upload_timestamp=NOW - timedelta(hours=float(rng.uniform(48, 480))),
            metadata={
                "caption": f"{' '.join(rng.permutation(WORDS[family])[:3])} number {clip}",
                "tags": [family, str(rng.choice(WORDS[family]))],
                "category": family,
            },
            duration_s=CLIP_S,
            language="en",
            media_url=f"/media/demo/{family}-{clip:02d}.mp4",
        )
        for family in FAMILIES
        for clip in range(CLIPS_EACH)
    )


def register_given() -> dict[str, list[float]]:
    """Four contents of four creators, of which nobody says more than a vector: three alike, one that is not."""
    given = {"given-a": [1.0, 0, 0], "given-b": [1.0, 0.1, 0], "given-c": [1.0, 0, 0.1], "given-z": [-1.0, 0, 1]}
    register_contents(
        NewContent(each, f"maker of {each}", NOW - timedelta(days=9), {}, embedding=vectors.checked(vector))
        for each, vector in given.items()
    )
    return given


def ingest_past() -> None:
    """Forty users, each mostly pleased by one family."""
    rng = np.random.default_rng(11)
    raw = []
    for user in range(40):
        favourite = FAMILIES[user % 4]
        at = NOW - timedelta(hours=float(rng.uniform(1, 40)))
        for family in rng.choice(FAMILIES, size=15):
            clip, at = f"{family}-{rng.integers(CLIPS_EACH):02d}", at + timedelta(seconds=10)
            raw.append(event("impression", f"u{user}", clip, at))
            watched = family == favourite or rng.random() < 0.2
            kind, fields = ("view", {"watch_duration": CLIP_S}) if watched else ("skip", {"watch_duration": 0.5})
            raw.append(event(kind, f"u{user}", clip, at + timedelta(seconds=5), **fields))
    report = ingest(raw, now=NOW, source="test", historical=True)
    assert report.accepted == len(raw), report.rejected[:3]


def promote_model(bias: float) -> str:
    """Register the indifferent model and make it the champion."""
    version = registry.register(
        indifferent_graph(bias), kind="mlp", dims=DIMS, config={}, metrics=PASSES, trained_until=NOW, now=NOW
    )
    registry.promote(version, now=NOW)
    return version


def page(viewer: Viewer, limit: int = 10, **request: Any) -> Feed:
    """The page a viewer gets a second later."""
    viewer.now += timedelta(seconds=1)
    # An id made of the request keeps exploration, and with it the test, the same on every run.
    request_id = uuid.uuid5(uuid.NAMESPACE_OID, f"{viewer.user_id} {viewer.now}")
    return build_feed(FeedRequest(viewer.user_id, limit, **request), now=viewer.now, request_id=request_id)


def ids(feed: Feed) -> list[str]:
    """What a page shows, in order."""
    return [item.content_id for item in feed.items]


def share_of(family: str, feed: Feed) -> float:
    """How much of a page is of one family."""
    return float(np.mean([item.content.category == family for item in feed.items]))
