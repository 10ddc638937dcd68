"""Answers that lie in memory as a whole are handed to the web server as a whole.

granian takes the pieces of an iterable one by one, over a channel and with the interpreter's lock for each; a list of
bytes it sends at once. Streams and files go on as they are.
"""

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from django.http import HttpResponse


def whole_answers(application: WSGIApplication) -> Callable[[dict[str, Any], StartResponse], Iterable[bytes]]:
    """The application, whose answers are lists of one piece where they are no streams."""

    def answer(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        response = application(environ, start_response)
        if not isinstance(response, HttpResponse):
            return response
        # A list has no `close`, which tells Django that the request is over.
        try:
            return [response.content]
        finally:
            response.close()

    return answer
