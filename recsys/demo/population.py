"""The people of the demo world: who they are, what they like, when they arrived.

- Taste: a vector over the families from a Dirichlet with concentration `TASTE_CONCENTRATION` < 1, so most people love
  one family, some two, few all.
- Rhythm: a country with its time zone (shares roughly like a young international app), a personal hour shift (early
  birds and night owls) and a habitual gap between visits.
- Arrival: `OLD_SHARE` of the users are there on the first days; the others join at a steady pace until the end, so
  every day has a cohort.

- Personas: the first users have a plain taste and a name (`PERSONAS`), for a visitor of the demo who wants to see the
  feed through somebody's eyes. Their ids sort before all others.

It decides nothing about what they watch: that is `world`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.demo import FAMILIES

TASTE_CONCENTRATION = 0.32
OLD_SHARE = 0.42
DAY_S = 86_400.0

# Country, hours from UTC (standard time, ignoring summer time), language, share of users.
COUNTRIES: tuple[tuple[str, float, str, float], ...] = (
    ("US", -6.0, "en", 0.26), ("BR", -3.0, "pt", 0.15), ("DE", 1.0, "de", 0.13), ("GB", 0.0, "en", 0.12),
    ("MX", -6.0, "es", 0.11), ("FR", 1.0, "fr", 0.10), ("ES", 1.0, "es", 0.08), ("IN", 5.5, "en", 0.05),
)  # fmt: skip
# Id, label, taste over FAMILIES (neon, ocean, petri, fractal).
PERSONAS: tuple[tuple[str, str, tuple[float, ...]], ...] = (
    ("demo-persona-1-nadia", "Nadia: neon after dark", (0.94, 0.02, 0.02, 0.02)),
    ("demo-persona-2-oskar", "Oskar: anything with water", (0.02, 0.94, 0.02, 0.02)),
    ("demo-persona-3-pilar", "Pilar: cells and patterns", (0.02, 0.02, 0.94, 0.02)),
    ("demo-persona-4-farid", "Farid: lost in fractals", (0.02, 0.02, 0.02, 0.94)),
    ("demo-persona-5-noemi", "Noemi: neon and ocean", (0.48, 0.48, 0.02, 0.02)),
    ("demo-persona-6-alex", "Alex: a bit of everything", (0.25, 0.25, 0.25, 0.25)),
)
_PERSONA_GAP_S = 0.6 * DAY_S
AGE_GROUPS: tuple[str, ...] = ("13-17", "18-24", "25-34", "35-44", "45+")
_AGE_SHARES = (0.10, 0.36, 0.30, 0.15, 0.09)


@dataclass(frozen=True, slots=True)
class Population:
    """Arrays over users, in user order; all of length n."""

    user_ids: tuple[str, ...]
    taste: NDArray[np.float64]  # (n, families), rows sum to 1
    country: NDArray[np.intp]  # index into COUNTRIES
    age_group: NDArray[np.intp]  # index into AGE_GROUPS
    utc_offset_s: NDArray[np.float64]
    hour_shift: NDArray[np.float64]  # hours, negative for early birds
    usual_gap_s: NDArray[np.float64]  # between two visits, when neither pleased nor disappointed
    joined_s: NDArray[np.float64]  # first visit, seconds since 1970

    def __len__(self) -> int:
        return len(self.user_ids)

    def demographics(self, user: int) -> dict[str, str]:
        code, _, _, _ = COUNTRIES[self.country[user]]
        return {"country": code, "age_group": AGE_GROUPS[self.age_group[user]]}

    def preferences(self, user: int) -> dict[str, str]:
        """What the user would set in a host app: the language. The taste stays hidden: the feed must find it."""
        chosen = {"language": COUNTRIES[self.country[user]][2]}
        return {**chosen, "persona": PERSONAS[user][1]} if user < len(PERSONAS) else chosen


def populate(users: int, *, start_s: float, days: int, rng: np.random.Generator) -> Population:
    """Draw `users` people for a world that starts at `start_s` and lasts `days`.

    Raises ``ValueError`` when there is nobody or no time.
    """
    if users < 1 or days < 1:
        raise ValueError(f"a world needs at least one user and one day, got users={users}, days={days}")
    shares = np.array([share for *_, share in COUNTRIES])
    country = rng.choice(len(COUNTRIES), size=users, p=shares / shares.sum())
    old = rng.random(users) < OLD_SHARE
    # Those who were there before come back within twice their usual gap; the others arrive evenly over the whole time.
    usual_gap_s = DAY_S * rng.lognormal(mean=np.log(0.80), sigma=0.75, size=users)
    arrival = np.where(
        old, rng.random(users) * np.minimum(2 * usual_gap_s, 5 * DAY_S), rng.random(users) * days * DAY_S
    )
    taste = rng.dirichlet(np.full(len(FAMILIES), TASTE_CONCENTRATION), size=users)
    named = min(users, len(PERSONAS))
    taste[:named] = [weights for _, _, weights in PERSONAS[:named]]
    usual_gap_s[:named] = _PERSONA_GAP_S
    arrival[:named] = rng.random(named) * DAY_S / 2
    names = [name for name, _, _ in PERSONAS[:named]]
    return Population(
        user_ids=(*names, *(f"demo-user-{number:05d}" for number in range(named, users))),
        taste=taste,
        country=country,
        age_group=rng.choice(len(AGE_GROUPS), size=users, p=_AGE_SHARES),
        utc_offset_s=np.array([hours for _, hours, _, _ in COUNTRIES])[country] * 3600.0,
        hour_shift=rng.normal(0.0, 1.2, size=users),
        usual_gap_s=usual_gap_s,
        joined_s=start_s + arrival,
    )


def at_habitual_hour(
    moment_s: NDArray[np.float64],
    *,
    utc_offset_s: NDArray[np.float64],
    hour_shift: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Move each moment within its local day to an hour at which people open the app.

    Hours come from three bumps (before work, lunch, a broad evening); some weekday visits slip to the following day,
    which leaves more of them for the weekend. Shapes: all (n,), seconds since 1970.
    """
    count = len(moment_s)
    bump = rng.choice(3, size=count, p=(0.18, 0.24, 0.58))
    hour = rng.normal(np.array([7.8, 12.7, 20.3])[bump], np.array([1.0, 1.2, 2.2])[bump]) + hour_shift
    local_day = np.floor((moment_s + utc_offset_s) / DAY_S)
    weekday = np.mod(local_day + 3, 7)  # 1 January 1970 was a Thursday; 0 is Monday
    slips = (weekday < 4) & (rng.random(count) < 0.16)
    habitual_s: NDArray[np.float64] = (local_day + slips) * DAY_S + np.clip(hour, 0.2, 23.8) * 3600.0 - utc_offset_s
    return habitual_s
