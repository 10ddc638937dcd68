"""How much one report counts: by how often earlier reports of the same person were agreed with."""

from typing import Final

PRIOR: Final = 2.0
"""Added to agreed and to disagreed reports each: somebody unknown counts half."""
MOST_REMEMBERED: Final = 100
NEWCOMER_MOST: Final = 0.5


def reporter_weight(agreed: int, disagreed: int, *, newcomer: bool) -> float:
    """Mean of the Beta posterior with a Beta(2, 2) prior over the last `MOST_REMEMBERED` settled reports, in (0, 1).

    Reports that nobody settled yet say nothing. A newcomer counts at most half, however right so far: accounts that
    are made for a brigade agree with each other.

    >>> reporter_weight(0, 0, newcomer=False), reporter_weight(8, 0, newcomer=True)
    (0.5, 0.5)
    >>> round(reporter_weight(8, 0, newcomer=False), 3), round(reporter_weight(0, 8, newcomer=False), 3)
    (0.833, 0.167)
    """
    if agreed < 0 or disagreed < 0:
        raise ValueError(f"counts of reports are at least 0; got {agreed} agreed and {disagreed} disagreed")
    weight = (agreed + PRIOR) / (agreed + disagreed + 2 * PRIOR)
    return min(weight, NEWCOMER_MOST) if newcomer else weight
