"""Send alerts by e-mail and signed webhook; what fails is tried again with growing pauses and blocks nothing else.

Webhooks follow Standard Webhooks (standardwebhooks.com): the headers `webhook-id`, `webhook-timestamp` and
`webhook-signature`, an HMAC-SHA256 over id, timestamp and body. A message is written in the transaction of what it
tells, so none is lost, and its id comes with every attempt, so a receiver can tell a repetition.
"""

import base64
import hmac
import http.client
import ipaddress
import json
import secrets
import socket
import ssl
import uuid
from datetime import datetime, timedelta
from hashlib import sha256
from smtplib import SMTPException
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction

from dashboards.alert_models import AlertChannel, AlertDelivery, AlertIncident
from features.media_sources import is_public

PATIENCE_S: Final = 5.0
FIRST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(hours=1)
GIVE_UP: Final = timedelta(hours=24)
MOST_FAILURES: Final = 60
"""A channel that failed so often in a row is switched off."""
AT_ONCE: Final = 100
_PORTS: Final = {"https": 443, "http": 80}


class NotSentError(Exception):
    """Why a message did not arrive, as a sentence."""


def new_secret() -> str:
    """A secret for signing, as Standard Webhooks writes it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def announce(incident: AlertIncident, what: str, *, now: datetime) -> None:
    """Have every channel told; call it in the transaction of what happened."""
    body = {
        "type": what,
        "timestamp": now.isoformat(),
        "data": {
            "incident": incident.pk, "rule": incident.rule.name, "severity": incident.rule.severity,
            "metric": incident.rule.kpi, "period": incident.last_period, "value": incident.value,
            "expected": incident.expected, "reason": incident.reason, "runbook": incident.rule.runbook,
        },
    }  # fmt: skip
    for channel in AlertChannel.objects.filter(enabled=True):
        _enqueue(channel, incident, body, now=now)


def send_test(channel: AlertChannel, *, now: datetime) -> AlertDelivery:
    """Send one message that says it is a test, at once; the delivery says how it went."""
    body = {"type": "alert.test", "timestamp": now.isoformat(), "data": {"reason": "somebody pressed the test button"}}
    delivery = _enqueue(channel, None, body, now=now)
    deliver(now=now, only=delivery.pk)
    delivery.refresh_from_db()
    return delivery


def _enqueue(
    channel: AlertChannel, incident: AlertIncident | None, body: dict[str, Any], *, now: datetime
) -> AlertDelivery:
    return AlertDelivery.objects.create(
        channel=channel, incident=incident, message=uuid.uuid4(), body=body, made_at=now, next_at=now
    )


def deliver(*, now: datetime, only: int | None = None) -> int:
    """Send what is due, each message in a transaction of its own; returns how many arrived.

    A row is locked while it is sent, so two workers do not send the same message.
    """
    due = AlertDelivery.objects.filter(state=AlertDelivery.State.WAITING, next_at__lte=now).order_by("next_at")
    due = due if only is None else due.filter(pk=only)
    sent = 0
    for key in list(due.values_list("pk", flat=True)[:AT_ONCE]):
        with transaction.atomic():
            rows = AlertDelivery.objects.select_for_update(skip_locked=True, of=("self",)).select_related("channel")
            delivery = rows.filter(pk=key, state=AlertDelivery.State.WAITING).first()
            if delivery is not None:
                sent += _attempt(delivery, now=now)
    return sent


def _attempt(delivery: AlertDelivery, *, now: datetime) -> bool:
    channel = delivery.channel
    delivery.attempts += 1
    try:
        if channel.kind == AlertChannel.Kind.EMAIL:
            _send_email(channel.target, delivery.body)
        else:
            _post(channel, str(delivery.message), delivery.body, now=now)
    except (NotSentError, SMTPException, OSError) as error:
        delivery.error = f"{type(error).__name__}: {error}"[:500]
        channel.failures += 1
        pause = min(FIRST_PAUSE * 2 ** (delivery.attempts - 1), LONGEST_PAUSE)
        delivery.next_at = now + pause
        if delivery.next_at - delivery.made_at > GIVE_UP:
            delivery.state = AlertDelivery.State.GIVEN_UP
        channel.enabled = channel.enabled and channel.failures < MOST_FAILURES
    else:
        delivery.state, delivery.error, channel.failures = AlertDelivery.State.SENT, "", 0
    delivery.save(update_fields=["attempts", "error", "next_at", "state"])
    channel.save(update_fields=["failures", "enabled"])
    return delivery.state == AlertDelivery.State.SENT


def _send_email(target: str, body: dict[str, Any]) -> None:
    data = body["data"]
    subject = f"[{data.get('severity', 'test')}] {data.get('rule', 'Test of an alert channel')}: {body['type']}"
    lines = [f"{name}: {value}" for name, value in data.items()]
    # A rule's name is one line, so no header can be slipped in; Django refuses it otherwise.
    EmailMessage(subject, "\n".join(lines), to=[target]).send()


def signature(secret: str, message: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, sha256).digest()).decode()


def _post(channel: AlertChannel, message: str, body: dict[str, Any], *, now: datetime) -> None:
    text = json.dumps(body, separators=(",", ":")).encode()
    stamp = int(now.timestamp())
    headers = {
        "Content-Type": "application/json", "webhook-id": message, "webhook-timestamp": str(stamp),
        "webhook-signature": signature(channel.secret, message, stamp, text), "Connection": "close",
    }  # fmt: skip
    connection, path = _connection(channel.target)
    try:
        connection.request("POST", path, body=text, headers=headers)
        status = connection.getresponse().status
    except http.client.HTTPException as error:
        raise NotSentError(f"no HTTP answer: {type(error).__name__}") from None
    finally:
        connection.close()
    # A redirect is no success, and is not followed: it may lead to where nobody may be asked.
    if not 200 <= status < 300:
        raise NotSentError(f"it answers {status}")


def _connection(url: str) -> tuple[http.client.HTTPConnection, str]:
    """A connection to the address that was checked, not to whatever the name says a moment later."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise NotSentError("the address cannot be read") from None
    host = parts.hostname or ""
    trusted = host in settings.WEBHOOK_PRIVATE_HOSTS
    allowed = trusted or (parts.scheme, port) == ("https", 443)
    if parts.scheme not in _PORTS or not host or parts.username or not allowed:
        raise NotSentError("only https addresses on port 443 are called")
    addresses = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not trusted and not all(map(is_public, addresses)):
        raise NotSentError("the host is not on the public internet")
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
    sock = socket.create_connection((addresses[0], port), timeout=PATIENCE_S)
    if parts.scheme == "https":
        sock = ssl.create_default_context().wrap_socket(sock, server_hostname=_name(host))
    connection.sock = sock
    return connection, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _name(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host
