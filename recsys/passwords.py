"""How the passwords of staff are kept."""

from typing import Final

from django.contrib.auth.hashers import Argon2PasswordHasher

MEMORY_KIB: Final = 19 * 1024


class Argon2(Argon2PasswordHasher):
    """Argon2id with 19 MiB, two passes and one lane.

    Django's own 100 MiB on eight lanes would let a handful of log-ins at once take the memory that feeds are ranked in.
    """

    memory_cost = MEMORY_KIB
    time_cost = 2
    parallelism = 1
