"""Waiting for what a browser or a server does by itself."""

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], *, within_s: float = 15.0) -> Any:
    """The first true value of a condition; fails the test where none comes in time."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return value
