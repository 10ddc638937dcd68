"""Rate limits: token buckets per key, per user and per address, shared by all processes through the broker's store.

Asking the store for every request would cost more than the request. Each process takes tokens in small loans instead
and spends them from memory; a loan that is not spent lapses soon, so that an idle process holds nothing back.

Where the store is away, or is no Redis, each process keeps the buckets by itself: limits then hold per process, and
requests go on being answered (fail open). After a failure the store is left alone for some seconds.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import redis
from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from events import telemetry
from events.credential import Credential
from events.errors import TooManyRequests

STORE_TIMEOUT_S: Final = 0.15
OPEN_S: Final = 5.0
LOAN_S: Final = 1.0
MOST_LOAN: Final = 32
MOST_BUCKETS: Final = 50_000
# KEYS[1] a bucket; ARGV rate per second, size, wanted. Answers how many tokens are granted, and what is left.
_TAKE: Final = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
local rate, size, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local state = redis.call('HMGET', KEYS[1], 't', 'n')
local tokens = size
if state[1] then tokens = math.min(size, tonumber(state[2]) + math.max(0, now - tonumber(state[1])) * rate) end
local granted = math.max(0, math.min(wanted, math.floor(tokens)))
tokens = tokens - granted
redis.call('HSET', KEYS[1], 't', string.format('%.6f', now), 'n', string.format('%.6f', tokens))
redis.call('PEXPIRE', KEYS[1], math.ceil(size / rate * 1000) + 1000)
return {granted, string.format('%.6f', tokens)}
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """`rate` requests per second in the long run, `size` at once."""

    rate: float
    size: int


class Store(Protocol):
    """Where buckets live."""

    def take(self, name: str, limit: Limit, wanted: int) -> tuple[int, float]:
        """Tokens granted of those wanted, and how many are left."""


class LocalStore:
    """Buckets of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str, limit: Limit, wanted: int) -> tuple[int, float]:
        now = self._clock()
        with self._lock:
            if len(self._buckets) > MOST_BUCKETS:
                # Full buckets say nothing that a new one would not say.
                self._buckets.clear()
            since, tokens = self._buckets.get(name, (now, float(limit.size)))
            tokens = min(float(limit.size), tokens + max(0.0, now - since) * limit.rate)
            granted = max(0, min(wanted, math.floor(tokens)))
            self._buckets[name] = (now, tokens - granted)
            return granted, tokens - granted


class SharedStore:
    """Buckets in Redis or Valkey; raises redis.RedisError where it does not answer in time."""

    def __init__(self, url: str) -> None:
        self._client: Any = redis.Redis.from_url(
            url, socket_timeout=STORE_TIMEOUT_S, socket_connect_timeout=STORE_TIMEOUT_S, retry=None
        )
        self._script = self._client.register_script(_TAKE)

    def take(self, name: str, limit: Limit, wanted: int) -> tuple[int, float]:
        granted, left = self._script(keys=[f"recsys:limit:{name}"], args=[limit.rate, limit.size, wanted])
        return int(granted), float(left)


class _Borrowing:
    """One question to the store, whose outcome all wait for who need a token of its bucket meanwhile."""

    __slots__ = ("done", "wait_s")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.wait_s = 0.0


class Limiter:
    """Decides requests from loans; `shared=None` keeps all buckets in this process.

    A bucket has one borrower at a time. Were there several, each would take a loan for itself, and what one brings
    home would be lost to the next, or held back from other processes.
    """

    def __init__(self, shared: Store | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared
        self._local = LocalStore(clock)
        self._clock = clock
        self._lock = threading.Lock()
        self._loans: dict[str, tuple[float, int]] = {}
        self._borrowings: dict[str, _Borrowing] = {}
        self._broken_until = -math.inf

    def spend(self, name: str, limit: Limit) -> float:
        """Take one token of a bucket: 0 where there was one, else the seconds until there will be."""
        while True:
            with self._lock:
                now = self._clock()
                until, left = self._loans.get(name, (now, 0))
                if left > 0 and now < until:
                    self._loans[name] = (until, left - 1)
                    return 0.0
                awaited = self._borrowings.get(name)
                if awaited is None:
                    own = self._borrowings[name] = _Borrowing()
                    break
            # No longer than the store may take to answer, since the borrower falls back to its own buckets then.
            awaited.done.wait()
            if awaited.wait_s > 0:
                return awaited.wait_s
        try:
            own.wait_s = self._borrow(name, limit)
        finally:
            with self._lock:
                del self._borrowings[name]
            own.done.set()
        return own.wait_s

    def _borrow(self, name: str, limit: Limit) -> float:
        """Take a loan and spend one token of it; answers as `spend` does."""
        # A loan is a small share of the bucket, so that what other processes see stays about right.
        wanted = max(1, min(MOST_LOAN, int(limit.rate * LOAN_S / 8), limit.size // 8))
        granted, remaining = self._take(name, limit, wanted, self._clock())
        if granted == 0:
            return max((1.0 - remaining) / limit.rate, 0.001)
        with self._lock:
            if len(self._loans) > MOST_BUCKETS:
                self._loans.clear()
            self._loans[name] = (self._clock() + LOAN_S, granted - 1)
        return 0.0

    def _take(self, name: str, limit: Limit, wanted: int, now: float) -> tuple[int, float]:
        if self._shared is not None and now >= self._broken_until:
            try:
                return self._shared.take(name, limit, wanted)
            except redis.RedisError:
                self._broken_until = now + OPEN_S
        return self._local.take(name, limit, wanted)


def client_address(meta: Mapping[str, Any], *, hops: int) -> str:
    """The address of the client, believing X-Forwarded-For only as far as `hops` trusted proxies wrote it.

    Each trusted proxy appends the address it was called from, so the client's is the `hops`-th from the right; what
    stands left of it was written by the client. Without trusted proxies the connection itself counts.

    >>> client_address({"REMOTE_ADDR": "10.0.0.9", "HTTP_X_FORWARDED_FOR": "6.6.6.6, 203.0.113.7"}, hops=1)
    '203.0.113.7'
    >>> client_address({"REMOTE_ADDR": "10.0.0.9", "HTTP_X_FORWARDED_FOR": "6.6.6.6"}, hops=0)
    '10.0.0.9'
    """
    direct = str(meta.get("REMOTE_ADDR") or "unknown")
    if hops <= 0:
        return direct
    named = [part.strip() for part in str(meta.get("HTTP_X_FORWARDED_FOR", "")).split(",") if part.strip()]
    return named[-hops][:64] if len(named) >= hops else direct


class RateLimit(BaseThrottle):
    """Counts a request for its key or user, and for its address unless a server sent it."""

    def allow_request(self, request: Request, view: Any) -> bool:
        del view
        count_request(request.META, request.auth if isinstance(request.auth, Credential) else None)
        return True


def count_request(meta: Mapping[str, Any], credential: Credential | None) -> None:
    """Count a request by its environment and credential; raises TooManyRequests."""
    if settings.RATE_LIMITS:
        buckets = owners(credential) if credential is not None else []
        if credential is None or not credential.is_server:
            buckets.append(("address", client_address(meta, hops=settings.TRUSTED_PROXY_HOPS)))
        check(buckets)


def owners(credential: Credential) -> list[tuple[str, str]]:
    """The bucket of a key or user, as (kind of limit, name)."""
    if credential.key_id is not None:
        return [(credential.kind, str(credential.key_id))]
    return [("user", credential.user_id)] if credential.user_id is not None else []


def check(buckets: Iterable[tuple[str, str]]) -> None:
    """Count one request; raises TooManyRequests where one of its buckets is empty."""
    limits: Mapping[str, tuple[float, int]] = settings.RATE_LIMITS
    for kind, name in buckets:
        rate, size = limits[kind]
        wait_s = limiter().spend(f"{kind}:{name}", Limit(rate, size))
        if wait_s > 0:
            telemetry.count_throttled(kind)
            message = f"more than {rate:g} requests per second from this {kind}"
            raise TooManyRequests(message, retry_after_s=max(1, math.ceil(wait_s)), limit=size)


def limiter() -> Limiter:
    """The limiter of this process, made at the first request."""
    global _limiter  # noqa: PLW0603  one per process, after the fork
    if _limiter is None:
        url = settings.CELERY_BROKER_URL
        _limiter = Limiter(SharedStore(url) if url.startswith(("redis", "unix")) else None)
    return _limiter


def forget() -> None:
    """Start anew, with the settings as they are now."""
    global _limiter  # noqa: PLW0603  see limiter
    _limiter = None


_limiter: Limiter | None = None
