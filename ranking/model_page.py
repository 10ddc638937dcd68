"""What the admin shows of one model version, put together for reading: its evidence, its plots, its decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from features.extraction.definitions import FEATURE_SET, FEATURES
from ranking import registry, shadowing, tried_out
from ranking.models import ModelAlert, ModelMove, ModelOutcome, ModelVersion
from ranking.plots import Plot, nice_top, plot, short
from ranking.ranker.heads import HEADS
from ranking.serving_models import earlier_champions
from ranking.shadowing import ShadowSummary

MEANING: Final = {feature.name: feature.what for feature in FEATURES}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of a version beside the champion of its training, on the same test examples; "" for unknown."""

    name: str
    ours: str
    champion: str
    difference: str


@dataclass(frozen=True, slots=True)
class HeadRow:
    """One head on the test examples, as text."""

    name: str
    positives: str
    auc: str
    log_loss: str
    ece: str
    learned: str


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """The long view in one segment, as text."""

    kind: str
    name: str
    examples: str
    share: str
    auc: str
    log_loss: str
    ece: str


@dataclass(frozen=True, slots=True)
class ImportanceRow:
    """What is lost without a feature; `width` in percent of the greatest loss."""

    feature: str
    what: str
    lost: str
    width: float


@dataclass(frozen=True, slots=True)
class ModelPage:
    """Everything the page shows; plots are None and rows empty where a version was registered without them."""

    version: ModelVersion
    same_features: bool
    unmet: tuple[str, ...]
    trouble: ModelAlert | None
    goes_back_to: str | None
    children: tuple[str, ...]
    champion: str
    comparison: tuple[Comparison, ...]
    heads: tuple[HeadRow, ...]
    calibration: Plot | None
    lift: Plot | None
    course: Plot | None
    segments: tuple[SegmentRow, ...]
    importance: tuple[ImportanceRow, ...]
    facts: tuple[tuple[str, str], ...]
    positives: tuple[tuple[str, int], ...]
    shadow: ShadowSummary | None
    outcome: ModelOutcome | None
    outcomes: tuple[Comparison, ...]
    moves: tuple[ModelMove, ...]


def model_page(row: ModelVersion) -> ModelPage:
    """The page of a version: half a dozen short queries."""
    metrics = row.metrics
    curves, count = metrics.get("curves") or {}, (metrics.get("trained_on") or {}).get("positives", {})
    earlier = earlier_champions().first() if row.state == ModelVersion.State.CHAMPION else None
    outcome = tried_out.newest(row.version)
    return ModelPage(
        version=row,
        same_features=row.feature_set == FEATURE_SET,
        unmet=registry.unmet_gates(row.version),
        trouble=ModelAlert.objects.filter(version=row.version, cleared_at=None).first(),
        goes_back_to=earlier.version if earlier else None,
        children=tuple(ModelVersion.objects.filter(parent=row.version).values_list("version", flat=True)[:20]),
        champion=(metrics.get("champion") or {}).get("version", ""),
        comparison=tuple(_comparison(metrics)),
        # The database keeps the keys of JSON in an order of its own.
        heads=tuple(_head(name, told[name]) for name in HEADS if name in (told := metrics.get("heads") or {})),
        calibration=_calibration(curves.get("calibration") or []),
        lift=_lift(curves.get("lift") or []),
        course=_course(metrics),
        segments=tuple(map(_segment, metrics.get("segments") or [])),
        importance=_importance(metrics.get("importance") or []),
        facts=tuple(_facts(metrics)),
        positives=tuple((name, count[name]) for name in HEADS if name in count),
        shadow=shadowing.summary(row.version),
        outcome=outcome,
        outcomes=_outcomes(outcome),
        moves=tuple(ModelMove.objects.filter(version=row.version).order_by("-id")[:50]),
    )


def with_interval(value: float | None, interval: Mapping[str, float] | None) -> str:
    """A figure with its 95 % interval, as text."""
    if value is None:
        return "–"
    return _figure(value) + (f" ({interval['low']:.4f} to {interval['high']:.4f})" if interval else "")


def _comparison(metrics: Mapping[str, Any]) -> list[Comparison]:
    test, latency = metrics.get("test") or {}, metrics.get("latency") or {}
    other, baseline = metrics.get("champion") or {}, metrics.get("baseline") or {}
    interval = other.get("auc_difference_interval")
    apart = f"{interval['low']:+.4f} to {interval['high']:+.4f}" if interval else ""
    watch = metrics.get("watch") or {}
    ours = with_interval(test.get("auc"), test.get("auc_interval"))
    took, champion_took = (_figure(latency.get(name)) for name in ("ms_300", "champion_ms_300"))
    rows = [
        ("AUC of a long view", ours, _figure(other.get("auc")), apart),
        ("AUC within sessions", _figure(test.get("gauc")), "", ""),
        ("log loss", _figure(test.get("log_loss")), _figure(other.get("log_loss")), ""),
        ("calibration error", _figure(test.get("ece")), "", ""),
        ("expected over watched seconds", _figure(watch.get("bias")), "", ""),
        ("mean error of watched seconds", _figure(watch.get("mae_s")), "", ""),
        ("share of figures that are not finite", _figure(metrics.get("nan_share")), "", ""),
        ("milliseconds for 300 candidates", took, champion_took, ""),
        (f"AUC of {baseline.get('feature', 'the baseline')} alone", _figure(baseline.get("auc")), "", ""),
    ]  # fmt: skip
    return [Comparison(*row) for row in rows]


def _outcomes(told: ModelOutcome | None) -> tuple[Comparison, ...]:
    """What came of served pages, beside the champion."""
    if told is None:
        return ()
    known = told.difference_low is not None and told.difference_high is not None
    apart = f"{told.difference_low:+.4f} to {told.difference_high:+.4f}" if known else ""
    return (
        Comparison("AUC of a long view", _figure(told.auc), _figure(told.champion_auc), apart),
        Comparison("log loss", _figure(told.log_loss), _figure(told.champion_log_loss), ""),
        Comparison("calibration error", _figure(told.ece), _figure(told.champion_ece), ""),
    )


def _head(name: str, told: Mapping[str, Any]) -> HeadRow:
    test, learned = told.get("test"), "yes" if told.get("learned") else "no, base rate"
    if test is None:
        return HeadRow(name, "unknown", "–", "–", "–", learned)
    return HeadRow(
        name, f"{test['positives']} of {test['examples']}", with_interval(test["auc"], test["auc_interval"]),
        _figure(test["log_loss"]), _figure(test["ece"]), learned,
    )  # fmt: skip


def _calibration(points: Sequence[Mapping[str, float]]) -> Plot | None:
    if not points:
        return None
    found = [(point["expected"], point["observed"]) for point in points]
    top = nice_top(max(max(pair) for pair in found))
    worst = max(abs(a - b) for a, b in found)
    return plot(
        "Calibration of the long view",
        [("perfect", "guide", [(0.0, 0.0), (top, top)]), ("this model", "main", found)],
        x=("expected chance", 0.0, top), y=("share observed", 0.0, top),
        summary=f"{len(found)} bins of equally many test examples; the two differ by at most {short(worst)}.",
        columns=("Examples", "Expected", "Observed"),
        rows=[(f"{point['examples']:,}", _figure(point["expected"]), _figure(point["observed"])) for point in points],
    )  # fmt: skip


def _lift(points: Sequence[Mapping[str, float]]) -> Plot | None:
    if not points:
        return None
    found = [(point["top_pct"], point["lift"]) for point in points]
    top = nice_top(max(lift for _, lift in found))
    return plot(
        "Lift of the long view",
        [("chance", "guide", [(0.0, 1.0), (100.0, 1.0)]), ("this model", "main", found)],
        x=("best so many percent by score", 0.0, 100.0), y=("times the average", 0.0, top),
        summary=f"Among the best tenth long views are {short(found[0][1])} times as frequent as among all.",
        columns=("Best percent", "Share of all long views", "Lift"),
        rows=[(short(point["top_pct"]), _figure(point["captured"]), _figure(point["lift"])) for point in points],
    )  # fmt: skip


def _course(metrics: Mapping[str, Any]) -> Plot | None:
    loss, validation = metrics.get("loss") or [], metrics.get("validation_loss") or []
    if not loss or not validation:
        return None
    values = [*loss, *validation]
    low, high = min(values), max(values)
    margin = (high - low) * 0.1 or 0.1
    epochs = range(1, len(loss) + 1)
    best = min(range(len(validation)), key=validation.__getitem__) + 1
    return plot(
        "Loss by epoch",
        [("training", "other", list(zip(epochs, loss, strict=False))),
         ("held out", "main", list(zip(epochs, validation, strict=False)))],
        x=("epoch", 1.0, float(max(len(loss), 2))), y=("loss", low - margin, high + margin),
        summary=f"{len(loss)} epochs; the held-out loss is least after {best}, whose weights were kept.",
        columns=("Epoch", "Training", "Held out"),
        rows=[(str(at), _figure(a), _figure(b)) for at, a, b in zip(epochs, loss, validation, strict=False)],
    )  # fmt: skip


def _segment(told: Mapping[str, Any]) -> SegmentRow:
    share = f"{told['positives'] / told['examples']:.3f}" if told["examples"] else "–"
    return SegmentRow(
        told["kind"], told["name"], f"{told['examples']:,}", share, _figure(told["auc"]), _figure(told["log_loss"]),
        _figure(told["ece"]),
    )  # fmt: skip


def _importance(rows: Sequence[Mapping[str, Any]]) -> tuple[ImportanceRow, ...]:
    most = max((row["auc_lost"] for row in rows), default=0.0)
    return tuple(
        ImportanceRow(
            row["feature"], MEANING.get(row["feature"], "not in the list of features any more"),
            f"{row['auc_lost']:+.4f}", round(max(100.0 * row["auc_lost"] / most, 0.0), 1) if most > 0 else 0.0,
        )
        for row in rows
    )  # fmt: skip


def _facts(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    told = metrics.get("trained_on") or {}
    facts = [
        ("Training examples", f"{metrics.get('train_examples', 0):,}"),
        ("Of these positive", f"{metrics.get('train_positives', 0):,}"),
        ("Test examples", f"{(metrics.get('test') or {}).get('examples', 0):,}"),
    ]
    if cut := metrics.get("cut"):
        facts.append(("Cut between training and test", _moment(cut)))
    if told:
        facts += [
            ("Users and contents in the test", f"{told['test_users']:,} and {told['test_contents']:,}"),
            ("Test from and until", f"{_moment(told['test_from'])} – {_moment(told['test_until'])}"),
        ]
    if unreadable := metrics.get("unreadable"):
        facts.append(("Left out, their past is dropped", f"{unreadable:,}"))
    seconds = metrics.get("seconds") or {}
    facts += [(f"Seconds to {stage}", short(took)) for stage, took in seconds.items()]
    return facts


def _moment(seconds: float | None) -> str:
    return "–" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
