"""The rules people are held to: the reasons of reports and of decisions, each with its severity.

A severe one (`SEVERE`) is looked at before everything else, whoever reports it and however often.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SEVERE: Final = 4


@dataclass(frozen=True, slots=True)
class Policy:
    """One rule: what it is called, how grave a breach is (0 to `SEVERE`), and the sentence its breaker is told.

    `illegal` tells contents that the law forbids from those that only the rules of the site do.
    """

    title: str
    severity: int
    sentence: str
    illegal: bool = False


POLICIES: Final[Mapping[str, Policy]] = {
    "child_safety": Policy("Child safety", SEVERE, "It endangers or sexualises a child.", illegal=True),
    "self_harm": Policy("Suicide and self-harm", SEVERE, "It encourages people to harm themselves."),
    "threat": Policy("Credible threat", SEVERE, "It threatens somebody with violence.", illegal=True),
    "terrorism": Policy("Terrorism", SEVERE, "It promotes terrorism.", illegal=True),
    "hate": Policy("Hate", 3, "It attacks people for what they are.", illegal=True),
    "violence": Policy("Graphic violence", 3, "It shows violence for its own sake."),
    "sexual": Policy("Nudity and sex", 3, "It shows nudity or sex."),
    "harassment": Policy("Harassment", 3, "It bullies or harasses somebody."),
    "illegal_goods": Policy("Illegal goods", 3, "It offers what may not be sold.", illegal=True),
    "dangerous_acts": Policy("Dangerous acts", 2, "It invites people to do what may injure them."),
    "misinformation": Policy("Misinformation", 2, "It misleads people about facts that matter."),
    "copyright": Policy("Copyright", 2, "It uses somebody else's work without permission.", illegal=True),
    "impersonation": Policy("Impersonation", 2, "It pretends to be somebody else."),
    "spam": Policy("Spam", 1, "It is spam or a scam."),
    "other": Policy("Something else", 1, "It breaks the rules of this site."),
}
"""In the order in which they are offered: the gravest first."""
CODES: Final = tuple(POLICIES)


def policy_of(text: str) -> str:
    """The code of a free reason, as clients send it in events; what is none of the codes is "other".

    >>> policy_of("Self harm"), policy_of("I just do not like it")
    ('self_harm', 'other')
    """
    code = text.strip().lower().replace("-", "_").replace(" ", "_")
    return code if code in POLICIES else "other"
