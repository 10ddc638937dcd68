"""Who tries keys and tokens that do not hold: each address may be wrong some times, and then only now and again.

Once the bucket of an address is empty, no unknown key that comes from it is looked up for a moment, so a guess that
would be right is not even noticed. Keys that this process knows to be in force are let through, and so are tokens whose
signature holds (`authentication`): a guesser behind the same proxy must lock out neither the host app's servers nor the
other users.
"""

import math
import time
from typing import Final

from django.conf import settings

from events import telemetry
from events.errors import TooManyRequests
from events.throttling import Limit, limiter

KIND: Final = "failure"
MOST_ADDRESSES: Final = 50_000
_blocked: dict[str, float] = {}


def refuse(address: str) -> None:
    """Raise TooManyRequests while an address is blocked; costs a look into memory."""
    until = _blocked.get(address)
    if until is None:
        return
    wait_s = until - time.monotonic()
    if wait_s > 0:
        raise _too_many(wait_s)
    _blocked.pop(address, None)


def note(address: str) -> None:
    """Count a failure; raises TooManyRequests where it was one too many."""
    if KIND not in settings.RATE_LIMITS:
        return
    wait_s = limiter().spend(f"{KIND}:{address}", Limit(*settings.RATE_LIMITS[KIND]))
    if wait_s > 0:
        if len(_blocked) > MOST_ADDRESSES:
            # Whoever goes on guessing is blocked again at once.
            _blocked.clear()
        _blocked[address] = time.monotonic() + wait_s
        raise _too_many(wait_s)


def forget() -> None:
    """Drop what this process remembers."""
    _blocked.clear()


def _too_many(wait_s: float) -> TooManyRequests:
    telemetry.count_throttled(KIND)
    _, size = settings.RATE_LIMITS[KIND]
    message = "too many keys or tokens from this address did not hold"
    return TooManyRequests(message, retry_after_s=max(1, math.ceil(wait_s)), limit=size)
