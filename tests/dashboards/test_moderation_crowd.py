"""Twenty moderators at once over HTTP: each case is decided exactly once, by whoever held it."""

# ruff: noqa: PLC0415  models are imported where Django is set up
import http.client
import json
import threading
from collections import Counter
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.django_db(transaction=True)
CSRF = "a" * 32
MODERATORS = 20


class Worker(threading.Thread):
    """One moderator: takes cases and decides them until none is left; counts what it was told."""

    def __init__(self, address, session):
        super().__init__()
        self.address, self.session = urlsplit(address), session
        self.decided, self.answers = [], Counter()

    def ask(self, connection, path, body):
        headers = {
            "Content-Type": "application/json", "X-CSRFToken": CSRF,
            "Cookie": f"sessionid={self.session}; csrftoken={CSRF}",
        }  # fmt: skip
        connection.request("POST", f"/api/v1/moderation/{path}", json.dumps(body), headers)
        answer = connection.getresponse()
        raw = answer.read()
        self.answers[answer.status] += 1
        return answer.status, json.loads(raw) if raw else None

    def run(self):
        connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=120)
        while True:
            status, case = self.ask(connection, "cases/next", {})
            if status != 200:
                break
            body = {"kinds": ["remove"], "policy": "spam", "version": case["version"]}
            # Sent twice, as by an impatient finger: the second one must find that it is done.
            for _ in range(2):
                status, _ = self.ask(connection, f"cases/{case['case_id']}/decisions", body)
                if status == 201:
                    self.decided.append(case["case_id"])
        connection.close()


@pytest.mark.parametrize("cases", [60, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_each_case_is_decided_exactly_once(live_server, settings, cases):
    settings.RATE_LIMITS = {}
    from django.contrib.auth.models import Group, User
    from django.test import Client

    from dashboards.moderation_models import ModerationAction, ModerationCase
    from events.models import Content
    from recsys.roles import ensure_roles
    from tests.dashboards.cases import clip, report

    ensure_roles()
    for number in range(cases):
        clip(f"c{number}", f"creator-{number % 7}")
        report(f"c{number}", reason="hate" if number % 3 else "threat")
    workers = []
    for number in range(MODERATORS):
        user = User.objects.create_user(f"moderator-{number}", is_staff=True)
        user.groups.add(Group.objects.get(name="moderator"))
        client = Client()
        client.force_login(user)
        workers.append(Worker(live_server.url, client.cookies["sessionid"].value))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    told = Counter(case_id for worker in workers for case_id in worker.decided)
    assert set(told.values()) == {1}
    assert len(told) == cases
    removed = ModerationAction.objects.filter(kind="remove")
    assert removed.count() == cases
    assert removed.values("subject_id").distinct().count() == cases
    assert not ModerationCase.objects.exclude(status="closed").exists()
    assert not Content.objects.exclude(status="removed").exists()
    answers = sum((worker.answers for worker in workers), Counter())
    # Each case was taken once and decided once; the second sending of each was told that it is stale.
    assert answers == {200: cases, 201: cases, 409: cases, 204: MODERATORS}
