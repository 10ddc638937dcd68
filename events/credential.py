"""What a request proved about its sender; made by `authentication` alone."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request proved: a server may act for any user, a user for itself, a publishable key for devices only."""

    kind: Literal["server", "user", "publishable"]
    user_id: str | None = None
    scopes: frozenset[str] = frozenset()
    key_id: int | None = None

    @property
    def is_server(self) -> bool:
        return self.kind == "server"
