"""Alerts over real rollups: a planted fall fires once, is acknowledged, resolves; channels that fail block nothing."""

import base64
import hashlib
import hmac
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.db import close_old_connections, connection
from django.urls import reverse

from dashboards import alerts, notifications, rollups
from dashboards.alert_models import AlertChannel, AlertDelivery, AlertIncident, AlertRule, AlertSilence
from dashboards.stats.alerting import Kind, State
from events.queries import log_span
from tests.dashboards.conftest import send, view

FIRST = datetime(2026, 3, 2, 10, tzinfo=UTC)
FALL = 14
USERS = 20


def at(day, hours=3.0):
    """Some hours after the end of a day of the log."""
    return (FIRST + timedelta(days=day)).replace(hour=0) + timedelta(days=1, hours=hours)


def write_log(days=17):
    """Twenty users on every day but one, on which there are fourteen."""
    now = at(days)
    events = [view(f"u{user}", FIRST + timedelta(days=day, minutes=user)) for day in range(days)
              for user in range(USERS if day != FALL else 14)]  # fmt: skip
    send(*events, now=now)
    rollups.measure_kpis(until=now)


@pytest.fixture
def rule(db):
    AlertRule.objects.all().delete()
    return AlertRule.objects.create(name="fall", kpi="dau", kind=Kind.WEEKDAY_CHANGE, bound=25.0)


def test_an_installation_begins_with_rules(db):
    assert AlertRule.objects.count() >= 5
    assert alerts.evaluate(now=at(0)).fired == 0


def test_a_planted_fall_fires_once_is_acknowledged_and_resolves(rule, admin_client):
    write_log()
    AlertChannel.objects.create(name="team", kind="email", target="team@example.com")
    assert alerts.evaluate(now=at(FALL - 1)).fired == 0
    assert alerts.evaluate(now=at(FALL, hours=0.5)).judged == 0, "not before the day is over and its batches came"
    assert alerts.evaluate(now=at(FALL)).fired == 1
    for _ in range(3):
        assert alerts.evaluate(now=at(FALL)).judged == 0
    incident = AlertIncident.objects.get()
    assert (incident.value, incident.expected) == (14, 20)
    assert incident.chart[-1] == [incident.first_period, 14.0]
    answer = admin_client.post(
        reverse("admin:dashboards_alertincident_changelist"),
        {"action": "acknowledge", "_selected_action": [incident.pk], "note": "looking"},
    )
    assert answer.status_code == 302
    assert alerts.evaluate(now=at(FALL + 1)).resolved == 1
    incident.refresh_from_db()
    assert (incident.acked_by, incident.note) == ("admin", "looking")
    assert list(incident.timeline.values_list("what", flat=True)) == ["fired", "acknowledged", "resolved"]
    assert notifications.deliver(now=at(FALL + 1)) == 2
    assert [message.subject for message in mail.outbox] == [
        "[ticket] fall: alert.fired",
        "[ticket] fall: alert.resolved",
    ]
    assert alerts.evaluate(now=at(FALL + 2)).fired == 0
    rule.refresh_from_db()
    assert rule.state == State.OK
    page = admin_client.get(reverse("admin:dashboards_alertincident_change", args=[incident.pk])).content.decode()
    assert "acknowledged" in page


def test_a_silence_keeps_messages_back_and_not_the_incident(rule):
    write_log()
    AlertChannel.objects.create(name="team", kind="email", target="team@example.com")
    alerts.evaluate(now=at(FALL - 1))
    AlertSilence.objects.create(rule=rule, start=at(FALL, 0), end=at(FALL, 9), author="ann", comment="launch")
    alerts.evaluate(now=at(FALL))
    assert list(AlertIncident.objects.get().timeline.values_list("what", flat=True)) == ["fired", "silenced"]
    assert not AlertDelivery.objects.exists()


def test_a_day_with_too_few_users_is_not_judged(rule):
    AlertRule.objects.update(least_users=100)
    write_log()
    alerts.evaluate(now=at(FALL - 1))
    assert alerts.evaluate(now=at(FALL)).fired == 0
    assert "fewer than 100 users" in AlertRule.objects.get().said


@pytest.mark.django_db(transaction=True)
def test_two_schedulers_judge_each_day_once():
    AlertRule.objects.all().delete()
    for number in range(4):
        AlertRule.objects.create(name=f"fall {number}", kpi="dau", kind=Kind.WEEKDAY_CHANGE, bound=25.0)
    write_log()
    AlertRule.objects.update(judged_until=at(FALL - 1, 0))
    start = threading.Barrier(4)

    def tick():
        start.wait()
        try:
            return alerts.evaluate(now=at(FALL))
        finally:
            close_old_connections()
            connection.close()

    with ThreadPoolExecutor(4) as schedulers:
        reports = [each.result() for each in [schedulers.submit(tick) for _ in range(4)]]
    # Who came too late to a locked row leaves it; the next tick has nothing left to judge either.
    assert sum(report.judged for report in reports) == sum(report.fired for report in reports) == 4
    assert alerts.evaluate(now=at(FALL)).judged == 0
    assert AlertIncident.objects.count() == 4


class Receiver(BaseHTTPRequestHandler):
    """A receiver of its own making: it checks the signature with nothing of ours."""

    status = 204
    secret = b""
    seen: ClassVar[list] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signed = b".".join([self.headers["webhook-id"].encode(), self.headers["webhook-timestamp"].encode(), body])
        expected = base64.b64encode(hmac.new(self.secret, signed, hashlib.sha256).digest()).decode()
        self.seen.append(
            (self.headers["webhook-signature"] == f"v1,{expected}", self.headers["webhook-id"], json.loads(body))
        )
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *args):
        """Quiet."""


@pytest.fixture
def webhook(db, settings):
    settings.WEBHOOK_PRIVATE_HOSTS = frozenset({"127.0.0.1"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    secret = notifications.new_secret()
    Receiver.secret, Receiver.seen, Receiver.status = base64.b64decode(secret.removeprefix("whsec_")), [], 204
    address = f"http://127.0.0.1:{server.server_port}/hook"
    yield AlertChannel.objects.create(name="hook", kind="webhook", target=address, secret=secret)
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_signature_is_that_of_the_published_example():
    body = b'{"test": 2432232314}'
    found = notifications.signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_receiver_verifies_the_webhook(webhook):
    delivery = notifications.send_test(webhook, now=at(0))
    assert (delivery.state, delivery.error) == ("sent", "")
    ((verified, message, body),) = Receiver.seen
    assert verified
    assert message == str(delivery.message)
    assert body["type"] == "alert.test"


def test_a_failing_channel_is_tried_again_later_and_blocks_no_other(rule, webhook):
    write_log()
    AlertChannel.objects.create(name="team", kind="email", target="team@example.com")
    Receiver.status = 503
    alerts.evaluate(now=at(FALL - 1))
    assert alerts.evaluate(now=at(FALL)).fired == 1
    assert notifications.deliver(now=at(FALL)) == 1
    assert len(mail.outbox) == 1
    failed = AlertDelivery.objects.get(channel=webhook)
    assert (failed.attempts, failed.next_at - at(FALL)) == (1, timedelta(seconds=5))
    assert "503" in failed.error
    assert notifications.deliver(now=at(FALL)) == 0, "not before its time"
    assert len(Receiver.seen) == 1
    Receiver.status = 204
    assert notifications.deliver(now=failed.next_at) == 1
    assert len({message for _, message, _ in Receiver.seen}) == 1, "a repetition has the id of the first attempt"


def test_a_message_is_given_up_after_a_day_and_its_channel_after_many_failures(webhook):
    Receiver.status = 500
    now = at(0)
    delivery = notifications.send_test(webhook, now=now)
    while delivery.state == "waiting":
        now = delivery.next_at
        notifications.deliver(now=now)
        delivery.refresh_from_db()
    assert delivery.state == "given up"
    assert timedelta(hours=22) < now - at(0) <= timedelta(hours=24)
    assert delivery.attempts < 40
    AlertChannel.objects.update(failures=notifications.MOST_FAILURES - 1)
    notifications.send_test(AlertChannel.objects.get(), now=now)
    assert not AlertChannel.objects.get().enabled


@pytest.mark.parametrize(
    "target",
    ["http://example.com/", "https://127.0.0.1/", "https://[::ffff:127.0.0.1]/", "https://169.254.169.254/", "https://0x7f.1/",
     "https://user@example.com/", "https://localhost:8443/", "file:///etc/passwd", "gopher://x/", "https://[", ""],
)  # fmt: skip
def test_no_webhook_reaches_into_the_own_network(db, target):
    channel = AlertChannel.objects.create(name="x", kind="webhook", target=target, secret=notifications.new_secret())
    delivery = notifications.send_test(channel, now=at(0))
    assert delivery.state == "waiting"
    assert delivery.error


def test_the_test_button_says_how_it_went(admin_client, webhook):
    address = reverse("admin:dashboards_alertchannel_changelist")
    pressed = {"action": "send_a_test", "_selected_action": [webhook.pk]}
    shown = admin_client.post(address, pressed, follow=True).content.decode()
    assert ": sent</li>" in shown
    Receiver.status = 404
    assert "it answers 404" in admin_client.post(address, pressed, follow=True).content.decode()


def test_only_who_may_acknowledges(client, rule):
    incident = AlertIncident.objects.create(
        rule=rule, fingerprint="x", first_period="2026-03-02", last_period="2026-03-02", reason="r", fired_at=FIRST
    )
    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_alertincident"))
    client.force_login(reader)
    address = reverse("admin:dashboards_alertincident_changelist")
    client.post(address, {"action": "acknowledge", "_selected_action": [incident.pk]})
    incident.refresh_from_db()
    assert incident.acked_at is None
    assert log_span() is None
