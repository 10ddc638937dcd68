"""What rules may know of a text: how abusive it is, and what advertisements and floods have in common."""

import hashlib
import re
from collections import Counter
from typing import Final

from features.screening.abuse import ModelMissing, abuse_model, word_list

_LINK: Final = re.compile(
    r"(?i)\b(?:https?://|www\.)\S+|\b[a-z0-9-]+\.(?:com|net|org|ru|xyz|top|shop|click|info|link)\b"
)
_CONTACT: Final = re.compile(
    r"(?i)\b(?:telegram|whatsapp|wechat|t\.me|onlyfans|cashapp)\b|\+?\d[\d ()-]{8,}\d|\S+@\S+\.\w+"
)
_WORD: Final = re.compile(r"\w+")
_FEWEST: Final = 4
"""Texts of fewer words are alike by chance: "good morning" is no flood."""


def signals(text: str) -> tuple[dict[str, float], dict[str, str], bool]:
    """The numbers of a text, the versions of what made them, and whether all of them could be had.

    text_abuse        probability that it is abusive
    text_words        words and phrases of the list of profanity
    text_links        web addresses; text_contacts: telephone numbers, mail addresses, messengers
    text_repeats      share of its words that are one and the same, 0 below eight words
    text_capitals     share of its letters that are capitals, 0 below twenty letters

    >>> found, _, complete = signals("Buy followers at cheap.shop, cheap.shop or www.fans.top")
    >>> found["text_links"], found["text_words"], complete
    (3.0, 0.0, True)
    """
    words = [word.lower() for word in _WORD.findall(text)]
    letters = [letter for letter in text if letter.isalpha()]
    found = {
        "text_links": float(len(_LINK.findall(text))),
        "text_contacts": float(len(_CONTACT.findall(text))),
        "text_repeats": max(Counter(words).values()) / len(words) if len(words) >= 8 else 0.0,
        "text_capitals": sum(map(str.isupper, letters)) / len(letters) if len(letters) >= 20 else 0.0,
    }
    versions: dict[str, str] = {}
    try:
        if words:
            model, listed = abuse_model(), word_list()
            found |= {"text_abuse": round(model.score(text), 4), "text_words": float(len(listed.matches(text)))}
            versions = {"text_abuse": model.VERSION, "text_words": listed.VERSION}
    except ModelMissing:
        return found, versions, False
    return found, versions, True


def key_of(text: str) -> int:
    """A number that texts share whose words are the same but for digits, addresses, case and signs; 0 for short ones.

    >>> key_of("Win 100 coins at http://a.example now!") == key_of("WIN 250 coins at http://b.example now")
    True
    >>> key_of("good morning")
    0
    """
    bare = _LINK.sub(" ", text.lower())
    words = [word for word in _WORD.findall(bare) if not any(letter.isdigit() for letter in word)]
    if len(words) < _FEWEST:
        return 0
    digest = hashlib.blake2b(" ".join(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
