"""Signals of the system: readings between two moments, once however many tick; drift against what was learned from."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import close_old_connections, connection
from django.urls import reverse
from django.utils import timezone

from dashboards import alerts, drift, signals, web_counters
from dashboards.alert_models import AlertIncident, AlertRule
from dashboards.signal_models import DriftBaseline, SystemReading
from dashboards.stats.alerting import State
from features.extraction.definitions import FEATURE_SET, FEATURES
from ranking import model_alerts, telemetry
from ranking.models import ModelVersion, Served

NOW = datetime(2026, 3, 20, 12, 7, tzinfo=UTC)


@pytest.fixture
def champion(db):
    return ModelVersion.objects.create(
        version="v1", state="champion", kind="test", feature_set=FEATURE_SET, trained_until=NOW - timedelta(hours=6)
    )


def serve(rng, positions, *, at, shift=0.0, score=0.0):
    features = rng.standard_normal((positions, len(FEATURES))).astype("<f4")
    features[:, : len(FEATURES) // 2] += np.float32(shift)
    scores = rng.standard_normal(positions) + score
    request = uuid4()
    Served.objects.bulk_create(
        Served(
            request_id=request, position=n, user_id="u", content_id=f"c{n}", source="fresh", model_version="v1",
            surface="for_you", arm="", score=scores[n], propensity=1.0, feature_set=FEATURE_SET,
            features=features[n].tobytes(), served_at=at,
        )
        for n in range(positions)
    )  # fmt: skip


def test_a_reading_tells_what_happened_since_the_one_before(champion, settings, tmp_path, monkeypatch):
    # The counters of this process stand for those of the web server.
    settings.WEB_METRICS_DIR = str(tmp_path / "nothing")
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    signals.read(now=NOW)
    for n in range(40):
        telemetry.FEED_SECONDS.observe(0.2)
        telemetry.FEEDS.labels("ranked" if n % 4 else "latest").inc()
    reading = signals.read(now=NOW + signals.EVERY)
    assert reading.values["fallback_pct"] == pytest.approx(25.0)
    assert 100 < reading.values["feed_p95_ms"] <= 250
    assert reading.values["model_age_h"] == pytest.approx(6, abs=0.2)
    assert reading.values["report_wait_h"] == 0
    assert reading.values["drift_score_psi"] is None
    assert set(reading.values) == signals.BY_KEY.keys()
    quiet = signals.read(now=NOW + 2 * signals.EVERY)
    assert quiet.values["feed_p95_ms"] is None, "nothing was asked for since"


def test_readings_stand_at_full_five_minutes_and_old_ones_go(db):
    old = SystemReading.objects.create(at=NOW - timedelta(days=40), values={}, details={"counters": {}})
    assert signals.read(now=NOW).at == NOW.replace(minute=5)
    assert signals.read(now=NOW + timedelta(minutes=2)) is None
    assert not SystemReading.objects.filter(at=old.at).exists()


@pytest.mark.django_db(transaction=True)
def test_several_schedulers_take_one_reading():
    start = threading.Barrier(4)

    def tick():
        start.wait()
        try:
            return signals.read(now=NOW)
        finally:
            close_old_connections()
            connection.close()

    with ThreadPoolExecutor(4) as schedulers:
        taken = [each.result() for each in [schedulers.submit(tick) for _ in range(4)]]
    assert sum(each is not None for each in taken) == SystemReading.objects.count() == 1


def test_a_restarted_web_server_begins_anew():
    assert web_counters.since({"level": {"ranked": 5.0}}, {"level": {"ranked": 50.0}}) == {"level": {"ranked": 5.0}}


def test_features_and_scores_that_move_are_told(champion):
    rng = np.random.default_rng(4)
    serve(rng, 1_200, at=NOW - timedelta(hours=2))
    still = drift.measure(now=NOW)
    assert still.beyond_pct == 0
    assert still.score == pytest.approx(0)
    assert DriftBaseline.objects.count() == len(FEATURES) + 1
    serve(rng, 5_000, at=NOW + timedelta(hours=30), shift=2.0, score=3.0)
    moved = drift.measure(now=NOW + timedelta(hours=31))
    assert moved.beyond_pct == pytest.approx(50, abs=1)
    assert moved.score > 1
    assert moved.features[0][1] > drift.ALERT
    assert {name for name, _ in moved.features} == {each.name for each in FEATURES}


def test_few_positions_say_nothing_of_drift(champion):
    serve(np.random.default_rng(4), 400, at=NOW - timedelta(hours=2))
    assert drift.measure(now=NOW) == drift.Drift(400, (), None)
    assert not DriftBaseline.objects.exists()


def readings(*values, key="feed_p95_ms", start=NOW):
    for n, value in enumerate(values):
        SystemReading.objects.create(
            at=signals.slot(start) + n * signals.EVERY, values={key: value}, details={"counters": {}}
        )
    return signals.slot(start) + (len(values) - 1) * signals.EVERY


def test_a_slow_feed_fires_after_three_readings_and_resolves(db):
    AlertRule.objects.exclude(kpi="feed_p95_ms").delete()
    rule = AlertRule.objects.get()
    AlertRule.objects.update(judged_until=NOW - timedelta(minutes=30))
    end = readings(100.0, 500.0, 500.0, None, 500.0, 290.0, 120.0)
    report = alerts.evaluate(now=end)
    assert (report.judged, report.fired, report.resolved) == (7, 1, 1)
    incident = AlertIncident.objects.get()
    assert incident.first_period == "2026-03-20 12:25 UTC"
    assert [value for _, value in incident.chart] == [100.0, 500.0, 500.0, None, 500.0]
    assert list(incident.timeline.values_list("what", flat=True)) == ["fired", "resolved"]
    assert alerts.evaluate(now=end).judged == 0
    rule.refresh_from_db()
    assert rule.runbook == "docs/runbooks.md#feedlatencyp95"


def test_what_cannot_be_told_is_no_data(db):
    AlertRule.objects.exclude(kpi="drift_score_psi").delete()
    end = readings(None, key="drift_score_psi")
    alerts.evaluate(now=end)
    assert AlertRule.objects.get().state == State.NO_DATA


def test_a_long_incident_is_told_again_after_hours_and_not_every_five_minutes(db):
    AlertRule.objects.exclude(kpi="feed_p95_ms").delete()
    AlertRule.objects.update(judged_until=NOW - timedelta(minutes=30))
    for hour in range(6):
        end = readings(*[500.0] * 12, start=NOW + timedelta(hours=hour))
        alerts.evaluate(now=end)
    told = list(AlertIncident.objects.get().timeline.values_list("what", flat=True))
    assert told == ["fired", "goes on"]


def test_one_rule_keeps_what_it_explains_quiet(db):
    cause = AlertRule.objects.get(name="Requests fail")
    AlertRule.objects.exclude(pk__in=[cause.pk, AlertRule.objects.get(name="The feed is slow").pk]).delete()
    # The cause comes after it by key, and is judged before it.
    AlertRule.objects.filter(name="The feed is slow").update(quiet_under=cause, in_row=1)
    AlertRule.objects.filter(pk=cause.pk).update(in_row=1)
    at = signals.slot(NOW)
    SystemReading.objects.create(at=at, values={"feed_p95_ms": 900.0, "error_pct": 60.0}, details={"counters": {}})
    assert alerts.evaluate(now=NOW).fired == 2
    slow = AlertIncident.objects.get(rule__name="The feed is slow")
    assert list(slow.timeline.values_list("what", flat=True)) == ["fired", "kept quiet"]
    assert "Requests fail fires" in slow.timeline.last().text
    fails = AlertIncident.objects.get(rule=cause)
    assert list(fails.timeline.values_list("what", flat=True)) == ["fired"]


@pytest.mark.django_db
def test_the_system_page_and_prometheus_show_the_last_reading(client):
    client.force_login(User.objects.create_superuser("root"))
    readings(120.0, 340.0, start=timezone.now() - timedelta(minutes=5))
    page = client.get(reverse("dashboards:system")).content.decode()
    assert "340 <small>ms</small>" in page
    assert "from 120 to 340 ms" in page
    metrics = client.get("/metrics").content.decode()
    assert 'recsys_signal{signal="feed_p95_ms"} 340.0' in metrics
    assert 'recsys_alerts_firing{severity="page"} 0.0' in metrics


@pytest.mark.django_db
def test_the_system_page_names_the_models_that_should_serve_and_cannot(client, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    client.force_login(User.objects.create_superuser("root"))
    address = reverse("dashboards:system")
    assert 'role="alert"' not in client.get(address).content.decode()
    model_alerts.note("m-2", "ranker.onnx is damaged", serving="m-1", now=timezone.now())
    page = client.get(address).content.decode()
    assert "should serve and cannot: ranker.onnx is damaged. Serving goes on with m-1." in page
    assert reverse("admin:ranking_modelversion_change", args=["m-2"]) in page
    model_alerts.clear(still=(), now=timezone.now())
    assert "should serve and cannot" not in client.get(address).content.decode()
