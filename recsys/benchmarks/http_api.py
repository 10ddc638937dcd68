"""Clients of a running system on this machine: an app with its key, and a member of staff in the admin."""

import http.client
import json
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Api:
    """One app: a kept connection and a key."""

    connection: http.client.HTTPConnection
    secret: str

    @classmethod
    def on(cls, port: int, secret: str) -> "Api":
        """A client of a server on this machine."""
        return cls(http.client.HTTPConnection("127.0.0.1", port, timeout=30), secret)

    def close(self) -> None:
        """Give the connection up."""
        self.connection.close()

    def call(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """The answer's JSON; an error for any status but 2xx."""
        text = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        asked = f"/api/v1/{path}?{urlencode(query)}" if query else f"/api/v1/{path}"
        self.connection.request(method, asked, body=text, headers=headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{method} {asked} answered {answer.status}: {content[:200]!r}")
        return json.loads(content) if content else None

    def feed(self, user_id: str, **query: object) -> dict[str, Any]:
        """A page of somebody's feed."""
        return dict(self.call("GET", "feed", user_id=user_id, **query))


class Staff:
    """Somebody logged in to the admin, as a browser would be."""

    def __init__(self, port: int, username: str, password: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._cookies: SimpleCookie = SimpleCookie()
        self._send("GET", "/admin/login/")
        self._send("POST", "/admin/login/", username=username, password=password)
        if "sessionid" not in self._cookies:
            raise RuntimeError(f"the admin does not let {username} in")

    def close(self) -> None:
        """Give the connection up."""
        self._connection.close()

    def moderate(self, content_id: str, action: str) -> None:
        """Choose an action for one content in the list of contents: "hide", "remove" or "make_active"."""
        self._send("POST", "/admin/events/content/", action=action, _selected_action=content_id, index="0")

    def _send(self, method: str, path: str, **form: str) -> None:
        """One request; a form must be answered by sending the browser on."""
        headers = {"Cookie": "; ".join(f"{name}={each.value}" for name, each in self._cookies.items())}
        body = None
        if form:
            token = self._cookies["csrftoken"].value
            body = urlencode({**form, "csrfmiddlewaretoken": token})
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, body=body, headers=headers)
        answer = self._connection.getresponse()
        content = answer.read()
        for header in answer.headers.get_all("Set-Cookie") or []:
            self._cookies.load(header)
        if answer.status != (302 if form else 200):
            raise RuntimeError(f"{method} {path} answered {answer.status}: {content[:200]!r}")
