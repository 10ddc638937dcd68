"""Which senders are programs, told from the User-Agent header.

A person's player names a browser or an app; crawlers, monitors and scripts name themselves in words of their own. This
finds the honest ones only: a bot that claims to be a browser is found by what it does, which is not looked at here.
"""

import re
from typing import Final

_WORDS: Final = re.compile(
    r"bot\b|bot[/;_-]|crawl|spider|slurp|scrap(?:er|y)|headless|phantomjs|selenium|puppeteer|playwright|lighthouse|"
    r"facebookexternalhit|whatsapp/|preview|monitor|pingdom|uptime|curl/|wget/|libwww|python-|python/|aiohttp|httpx|"
    r"go-http-client|java/|apache-httpclient|node-fetch|axios/|postman|insomnia|schemathesis|k6/|wrk",
    re.IGNORECASE,
)
# A phone is no robot for its name.
_PEOPLE: Final = re.compile(r"cubot", re.IGNORECASE)


def is_bot(user_agent: str) -> bool:
    """Whether a User-Agent header says that a program sends; a missing header says nothing.

    >>> is_bot("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"), is_bot("")
    (True, False)
    >>> is_bot("Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36")
    False
    """
    return bool(user_agent) and _WORDS.search(_PEOPLE.sub("", user_agent[:512])) is not None
