"""Counters and gauges: right in one process, and added up over two."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.utils import timezone
from prometheus_client import REGISTRY

from events import dead_letters, sessions, telemetry
from events.cleaning.schema import ForbiddenUser
from events.dead_letters import Refused
from events.ingestion import ingest
from tests.events.conftest import make_event
from tests.events.test_metrics import value_of

PROGRAM = """
from events import telemetry
telemetry.count_batch("pair", 3, 2, ["malformed"], conflicts=1, lags_s=[0.5, 1.0, 700_000.0])
telemetry.count_throttled("user")
"""


def sample(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_batch_of_lags_equals_observing_each():
    lags = [0.0, -3.0, 1.0, 1.0001, 29.0, 86_400.0, 1e7]
    telemetry.observe_lags("batch", lags)
    for lag in lags:
        telemetry.LAG.labels("single").observe(lag)
    for bound in (*map(str, telemetry.LAG_BOUNDS_S), "+Inf"):
        found = sample("recsys_event_lag_seconds_bucket", source="batch", le=bound)
        assert found == sample("recsys_event_lag_seconds_bucket", source="single", le=bound)
    for end in ("sum", "count"):
        name = f"recsys_event_lag_seconds_{end}"
        assert sample(name, source="batch") == pytest.approx(sample(name, source="single"))


def test_an_empty_batch_leaves_no_trace():
    telemetry.count_batch("nothing", 0, 0, [])
    assert not [
        line for metric in REGISTRY.collect() for line in metric.samples if line.labels.get("source") == "nothing"
    ]


@pytest.mark.django_db
def test_the_lag_is_of_accepted_events_only():
    now, source = timezone.now(), "lag of accepted"
    event = make_event(timestamp=(now - timedelta(seconds=40)).isoformat())
    other = make_event(timestamp=(now - timedelta(seconds=2)).isoformat())
    for batch in ([event, event], [event], [other, event]):
        ingest(batch, now=now, source=source)
    assert sample("recsys_events_total", source=source, result="duplicate", code="") == 3
    assert sample("recsys_event_lag_seconds_count", source=source) == 2
    assert sample("recsys_event_lag_seconds_sum", source=source) == pytest.approx(42)


@pytest.mark.django_db
def test_a_batch_that_claims_another_user_is_counted_as_rejected():
    source = "somebody else"
    with pytest.raises(ForbiddenUser):
        ingest([make_event(user_id="u1"), make_event(user_id="u2")], now=timezone.now(), source=source, user_id="u1")
    assert sample("recsys_events_total", source=source, result="rejected", code="forbidden_user") == 2
    assert sample("recsys_events_total", source=source, result="accepted", code="") == 0


@pytest.mark.django_db
def test_two_processes_are_added_up_and_the_database_is_measured_once(tmp_path, client, settings, monkeypatch):
    for _ in range(2):
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    settings.METRICS_TOKEN = "right"
    page = client.get("/metrics", headers={"Authorization": "Bearer right"}).content.decode()
    assert value_of(page, 'recsys_events_total{code="malformed",result="rejected",source="pair"}') == 2
    assert value_of(page, 'recsys_event_conflicts_total{source="pair"}') == 2
    assert value_of(page, 'recsys_throttled_requests_total{limit="user"}') == 2
    assert value_of(page, 'recsys_event_lag_seconds_bucket{le="1.0",source="pair"}') == 4
    assert value_of(page, 'recsys_event_lag_seconds_count{source="pair"}') == 6


@pytest.mark.django_db
def test_a_scrape_measures_the_database_as_it_is(client, settings):
    settings.METRICS_TOKEN = "right"
    now = timezone.now()
    sent = [make_event(timestamp=(now - timedelta(minutes=minutes)).isoformat()) for minutes in (60, 5)]
    ingest(sent[:1], now=now, source="test")
    sessions.rebuild_sessions(until=now - timedelta(minutes=30), now=now - timedelta(minutes=30))
    ingest(sent[1:], now=now, source="test")
    dead_letters.keep([Refused(b"1", "malformed", "no object", None)], now=now, source="test")
    page = client.get("/metrics", headers={"Authorization": "Bearer right"}).content.decode()
    assert value_of(page, "recsys_dead_letters ") == 1
    assert value_of(page, 'recsys_window_lag_seconds{family="session"}') == pytest.approx(25 * 60)
