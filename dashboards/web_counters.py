"""What the web workers have counted, read from the files of their Prometheus clients by any process on their host."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry, multiprocess
from prometheus_client.metrics_core import Metric

Counts = dict[str, dict[str, float]]


def families() -> dict[str, Metric]:
    """Every metric of the web server by name; those of this process where it is the only one."""
    folder = Path(settings.WEB_METRICS_DIR)
    if folder.is_dir():
        registry = CollectorRegistry()
        # Each worker writes its own files; this adds them up, as /metrics does.
        multiprocess.MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]  # untyped upstream
        return {metric.name: metric for metric in registry.collect()}
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return {}
    return {metric.name: metric for metric in REGISTRY.collect()}


def counts(found: Mapping[str, Metric]) -> Counts:
    """The counters that signals are made of: feeds and events by bucket of time, feeds by level, answers by status."""
    return {
        "feed_s": _sums(found.get("recsys_feed_seconds"), "_bucket", "le"),
        "lag_s": _sums(found.get("recsys_event_lag_seconds"), "_bucket", "le"),
        "level": _sums(found.get("recsys_feeds"), "_total", "level"),
        "status": _sums(found.get("django_http_responses_total_by_status"), "_total", "status"),
    }


def since(now: Counts, then: Mapping[str, Any]) -> Counts:
    """What was counted after an earlier reading; everything, where the web server was started anew in between.

    >>> since({"level": {"ranked": 5.0, "latest": 1.0}}, {"level": {"ranked": 3.0}})
    {'level': {'ranked': 2.0, 'latest': 1.0}}
    >>> since({"level": {"ranked": 2.0}}, {"level": {"ranked": 3.0}})
    {'level': {'ranked': 2.0}}
    """
    pairs = [(value, then.get(name, {}).get(label, 0.0)) for name, by in now.items() for label, value in by.items()]
    restarted = any(value < before for value, before in pairs)
    if restarted:
        return now
    return {
        name: {label: value - then.get(name, {}).get(label, 0.0) for label, value in by.items()}
        for name, by in now.items()
    }


def _sums(metric: Metric | None, ending: str, label: str) -> dict[str, float]:
    found: dict[str, float] = {}
    samples: Iterable[Any] = metric.samples if metric else ()
    for sample in samples:
        if sample.name.endswith(ending) and label in sample.labels:
            value = sample.labels[label]
            found[value] = found.get(value, 0.0) + float(sample.value)
    return found
