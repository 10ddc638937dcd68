"""Origins of other hosts that pages may load pictures and clips from."""

import re
from typing import Final
from urllib.parse import urlsplit

_ORIGIN: Final = re.compile(r"https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?", re.ASCII)


def is_origin(value: str) -> bool:
    """Whether a text is a scheme, a host and perhaps a port, in small letters, and nothing else.

    >>> [is_origin(each) for each in ("https://cdn.example.com", "http://10.0.0.5:9000")]
    [True, True]
    >>> [
    ...     is_origin(each)
    ...     for each in ("https://*", "https://a/b", "https://a;", "data:", "cdn.example.com", "https://a:0")
    ... ]
    [False, False, False, False, False, False]
    """
    if _ORIGIN.fullmatch(value) is None:
        return False
    port = value.rpartition(":")[2]
    return not port.isdigit() or 0 < int(port) < 65_536


def origin_of(address: str) -> str:
    """The origin of an http(s) address, "" for a path of this host or what is no address.

    >>> origin_of("https://CDN.example.com:443/a.mp4?b"), origin_of("/media/a.mp4"), origin_of("https://[")
    ('https://cdn.example.com', '', '')
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return ""
    usual = port in {None, 443 if parts.scheme == "https" else 80}
    return f"{parts.scheme}://{parts.hostname}" + ("" if usual else f":{port}")
