"""The Prometheus page: there for staff and the scraper, for nobody else."""

import os
import subprocess
import sys

import pytest
from django.contrib.auth.models import User

from events.ingestion import ingest
from tests.events.conftest import NOW, make_event

pytestmark = pytest.mark.django_db


def value_of(page: str, line_start: str) -> float:
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(line_start))


def test_strangers_find_nothing(client, settings):
    settings.METRICS_TOKEN = "right"
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404
    client.force_login(User.objects.create_user("plain"))
    assert client.get("/metrics").status_code == 404


def test_an_unset_token_opens_nothing(client, settings):
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_staff_sees_what_became_of_events(client):
    client.force_login(User.objects.create_user("staff", is_staff=True))
    start = 'recsys_events_total{code="unknown_event_type",result="rejected",source="metrics test"}'
    before = value_of(client.get("/metrics").content.decode(), start)
    event = make_event()
    ingest([event, event, make_event("dance")], now=NOW, source="metrics test")
    page = client.get("/metrics").content.decode()
    assert value_of(page, start) == before + 1
    assert value_of(page, 'recsys_events_total{code="",result="accepted",source="metrics test"}') >= 1
    assert value_of(page, 'recsys_events_total{code="",result="duplicate",source="metrics test"}') >= 1


def test_the_scraper_enters_with_its_token(client, settings):
    settings.METRICS_TOKEN = "right"
    response = client.get("/metrics", headers={"Authorization": "Bearer right"})
    assert (response.status_code, response["Content-Type"].partition(";")[0]) == (200, "text/plain")


def test_counts_of_several_processes_are_added_up(tmp_path, client, settings, monkeypatch):
    program = "from events import telemetry; telemetry.count_batch('two processes', 3, 0, [])"
    for _ in range(2):
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    settings.METRICS_TOKEN = "right"
    page = client.get("/metrics", headers={"Authorization": "Bearer right"}).content.decode()
    assert value_of(page, 'recsys_events_total{code="",result="accepted",source="two processes"}') == 6
