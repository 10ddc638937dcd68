"""One demo world from a few numbers: which clips, whose, uploaded when, watched by whom.

A `Scenario` is decided by seed, size and length alone; only the moment at which it ends is open, because a demo
should end now. That moment can be read back from the upload times of a catalogue it was written to (`ending_of`), so
that seeding the same scenario again, days later, makes the same events with the same ids instead of a second world
beside the first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from recsys.demo import FAMILIES, VARIANTS
from recsys.demo.captions import describe
from recsys.demo.clips import ClipSpec, specs
from recsys.demo.population import DAY_S, Population, populate
from recsys.demo.world import Clip, Trace, simulate, upload_ages


class OtherScenarioError(ValueError):
    """The catalogue holds a demo world made from other numbers."""


def content_id(spec: ClipSpec) -> str:
    """The id under which a clip is in the catalogue."""
    return f"demo-{spec.name}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A demo world up to its ending. `variants` is the number of clips of each family."""

    seed: int = 7
    users: int = 2_000
    days: int = 30
    variants: int = VARIANTS

    def __post_init__(self) -> None:
        if self.users < 1 or self.days < 1 or self.seed < 0:
            raise ValueError(
                f"users and days must be at least 1 and the seed at least 0, got users={self.users}, "
                f"days={self.days}, seed={self.seed}"
            )
        if not 1 <= self.variants <= VARIANTS:
            raise ValueError(f"variants must be 1..{VARIANTS}, got {self.variants}")

    @property
    def namespace(self) -> str:
        """What separates the event ids of this scenario from those of any other."""
        return f"demo-{self.seed}-{self.users}-{self.days}-{self.variants}"

    def specs(self) -> list[ClipSpec]:
        return specs()[: self.variants * len(FAMILIES)]

    def _stream(self, number: int) -> np.random.Generator:
        # Every number of the scenario enters, so that another scenario differs in its upload times as well.
        return np.random.default_rng([self.seed, self.users, self.days, self.variants, number])

    def _ages_s(self) -> dict[str, float]:
        chosen = self.specs()
        ages = upload_ages(len(chosen), days=self.days, rng=self._stream(0))
        return {content_id(spec): float(age) for spec, age in zip(chosen, ages, strict=True)}

    def ending_of(self, uploaded_s: Mapping[str, float]) -> datetime | None:
        """When this scenario ended in a catalogue with these upload times (content id -> seconds since 1970).

        None when the catalogue holds no demo clip. The ending most clips agree on counts, since a single clip may have
        been edited; raises `OtherScenarioError` when fewer than half agree.
        """
        endings = [uploaded_s[name] + age for name, age in self._ages_s().items() if name in uploaded_s]
        if not endings:
            return None
        values, counts = np.unique(np.round(endings), return_counts=True)
        if 2 * counts.max() < len(endings):
            raise OtherScenarioError(
                "this database already holds a demo made with another seed, number of users, days or variants; "
                "use the same numbers, or an empty database"
            )
        return datetime.fromtimestamp(float(values[counts.argmax()]), UTC)

    def clips(self, *, until: datetime) -> list[Clip]:
        """The clips with their upload times, in the order of `specs`."""
        ages_s = self._ages_s()
        return [
            Clip(
                content_id=content_id(spec),
                creator_id=describe(spec.family, spec.variant).creator_id,
                family=spec.family,
                duration_s=spec.duration_s,
                uploaded_s=until.timestamp() - ages_s[content_id(spec)],
            )
            for spec in self.specs()
        ]

    def population(self, *, until: datetime) -> Population:
        start_s = until.timestamp() - self.days * DAY_S
        return populate(self.users, start_s=start_s, days=self.days, rng=self._stream(1))

    def play(self, *, until: datetime) -> Trace:
        """Everything that happened, as columns."""
        return simulate(self.clips(until=until), self.population(until=until), until=until, rng=self._stream(2))
