"""Taking in one request of events, for every door that leads to the log.

There are three: two views of the REST framework, and one that answers before the framework is asked
(`recsys.events_door`), because for a single event the framework costs more than the event. All of them call what stands
here, so that they cannot differ.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from events.authentication import bearer_of, ensure_credential
from events.bodies import Batch, events_of, read_json
from events.cleaning.agents import is_bot
from events.cleaning.rules import Sending
from events.credential import Credential
from events.errors import Forbidden
from events.ingestion import ingest
from events.throttling import count_request

SCOPE: Final = "events:write"
STATUS: Final = 202
# No header can set it: what clients send is named HTTP_... in the environment.
_REFUSAL: Final = "recsys.refusal"


def answer(request: HttpRequest) -> dict[str, Any]:
    """Authenticate, count and read a plain JSON request, and take in its events; the body of the answer.

    Raises
    ------
    Exception
        Whatever `events.errors.handle_exception` turns into an answer; nothing of the batch is confirmed then.
    """
    credential = ensure_credential(bearer_of(request), SCOPE)
    count_request(request.META, credential)
    return take_in(read_json(request, Batch), credential, request.META, source="api")


def take_in(data: Any, credential: Credential, meta: Mapping[str, Any], *, source: str) -> dict[str, Any]:
    """Take in the decoded body of a request; raises ApiError where it is no batch, and what `ingest` raises.

    Parameters
    ----------
    meta : the environment of the request, which tells what kind of program sent it
    source : the door, for the counters
    """
    events = events_of(data)
    assert isinstance(data, Batch)  # events_of has refused everything else
    if data.historical and not credential.is_server:
        raise Forbidden("only a server key may backfill with historical", code="server_key_required")
    now = timezone.now()
    sending = Sending(
        sent_at=data.sent_at,
        oldest=None if credential.is_server else now - timedelta(days=settings.EVENT_LATE_DAYS),
        anonymous=credential.kind == "publishable",
        # The host app's server is a program, and so says nothing about its users.
        bot=not credential.is_server and is_bot(meta.get("HTTP_USER_AGENT", "")),
        internal=settings.INTERNAL_USERS,
    )
    report = ingest(
        events,
        now=now,
        source=source,
        historical=data.historical,
        user_id=credential.user_id,
        sending=sending,
    )
    rejected = [asdict(rejection) for rejection in report.rejected]
    return {"accepted": report.accepted, "duplicates": report.duplicates, "rejected": rejected}


def keep_refusal(meta: dict[str, Any], error: Exception) -> None:
    """Leave what `answer` raised to the view, which alone knows how to say it."""
    meta[_REFUSAL] = error


def raise_refusal(meta: Mapping[str, Any]) -> None:
    """Raise what was left by `keep_refusal`, if anything was."""
    error = meta.get(_REFUSAL)
    if error is not None:
        raise error
