"""Which pictures and clips a page may show: the browser blocks the others, and would leave a hole."""

from urllib.parse import urlsplit

from django.conf import settings

from events.cleaning.origins import origin_of
from events.cleaning.uploads import is_media_url


def shown_url(address: str) -> str:
    """The address of a picture or clip, "" where a page may not show it."""
    return address if is_media_url(address) and not elsewhere(address) else ""


def elsewhere(address: str) -> str:
    """The origin of a picture or clip that is on a host which `MEDIA_ORIGINS` does not name, or ""."""
    origin = origin_of(address) if is_media_url(address) else ""
    # The name of this host in an address is this host, too.
    own = urlsplit(origin).hostname in settings.ALLOWED_HOSTS
    return "" if own or origin in settings.MEDIA_ORIGINS else origin
