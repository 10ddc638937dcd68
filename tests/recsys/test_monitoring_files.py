"""What ships for Prometheus and Grafana: it parses, it names what /metrics has, and every alert has its runbook."""

import json
import os
import re
import shutil
import subprocess

import pytest
import yaml
from django.contrib.auth.models import User
from prometheus_client import REGISTRY

from dashboards.alert_models import AlertRule
from dashboards.signals import BY_KEY
from tests.test_architecture import ROOT

PROMETHEUS, GRAFANA = ROOT / "ops" / "prometheus", ROOT / "ops" / "grafana"
FILES = sorted(PROMETHEUS.glob("*.rules.yml"))
BOARDS = sorted(GRAFANA.glob("*.json"))
OF_EXPORTERS = ("node_", "pg_", "redis_", "up")
SUFFIXES = re.compile(r"_(total|bucket|count|sum|created)$")


def rules():
    for file in FILES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from group["rules"]


def named(expression):
    """Names of metrics in an expression: identifiers with an underscore that are no label, function or keyword."""
    outside = re.sub(r'"[^"]*"|\{[^}]*\}|by \([^)]*\)|\$\w+', " ", expression)
    words = set(re.findall(r"\b[a-z]+(?:_[a-z0-9]+)+\b|\bup\b", outside))
    return words - {"histogram_quantile", "predict_linear"}


def sections():
    return {line[3:].lower() for line in (ROOT / "docs" / "runbooks.md").read_text().splitlines() if line[:3] == "## "}


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", *(file.name for file in FILES)],
        ["test", "rules", "recsys.test.yml"],
        ["check", "config", "--syntax-only", "prometheus.yml"],
    ],
    ids=" ".join,
)
def test_promtool_has_nothing_to_say(arguments):
    if shutil.which("promtool") is None:
        # As with the browser: a fresh clone has none, the CI installs it and insists.
        reason = "promtool is not installed (Debian: prometheus)"
        pytest.fail(reason) if os.environ.get("REQUIRE_PROMTOOL") == "1" else pytest.skip(reason)
    run = subprocess.run(["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_alert_says_how_bad_it_is_what_it_means_and_what_to_do():
    found = list(rules())
    assert len(found) > 20
    assert len({rule["alert"] for rule in found}) == len(found)
    for rule in found:
        assert re.fullmatch(r"([A-Z][a-z0-9]*)+", rule["alert"].replace("P95", "P")), rule
        assert rule["labels"]["severity"] in {"page", "ticket", "info"}
        assert rule["labels"]["service"]
        assert {"summary", "description", "runbook_url"} <= rule["annotations"].keys()
        file, _, section = rule["annotations"]["runbook_url"].partition("#")
        assert (file, section) == ("docs/runbooks.md", rule["alert"].lower())
        assert section in sections()
        board = rule["annotations"].get("dashboard_url", "/d/recsys-service").removeprefix("/d/")
        assert board in {json.loads(each.read_text())["uid"] for each in BOARDS}


@pytest.mark.django_db
def test_every_rule_that_ships_inside_has_a_runbook_too():
    for rule in AlertRule.objects.all():
        file, _, section = rule.runbook.partition("#")
        assert file == "docs/runbooks.md", rule
        assert section in sections(), rule


def known_metrics(client):
    client.force_login(User.objects.create_superuser("scraper"))
    client.get("/metrics")
    return {SUFFIXES.sub("", metric.name) for metric in REGISTRY.collect()}


@pytest.mark.django_db
def test_rules_and_panels_name_metrics_that_there_are(client):
    known = known_metrics(client)
    expressions = [rule["expr"] for rule in rules()]
    for board in BOARDS:
        panels = json.loads(board.read_text())["panels"]
        assert panels
        expressions += [target["expr"] for panel in panels for target in panel["targets"]]
    used = set().union(*map(named, expressions))
    assert len(used) > 25
    unknown = {name for name in used if SUFFIXES.sub("", name) not in known and not name.startswith(OF_EXPORTERS)}
    assert unknown == set()
    signals = set(re.findall(r'signal="(\w+)"', " ".join(expressions)))
    assert signals
    assert signals <= BY_KEY.keys()


def test_boards_have_fixed_names_and_take_any_prometheus():
    boards = [json.loads(board.read_text()) for board in BOARDS]
    assert len({board["uid"] for board in boards}) == len(BOARDS) == 5
    for board in boards:
        assert board["templating"]["list"][0]["query"] == "prometheus"
        assert all(panel["datasource"]["uid"] == "${datasource}" for panel in board["panels"])
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
