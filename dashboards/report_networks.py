"""Which network a report comes from, as a pseudonym: enough to see a crowd behind one address, and no address.

IPv4 is cut to /24 and IPv6 to /48 before it is hashed with the secret key, so neither the table nor a list of all
addresses gives one back. Addresses that are not of the public internet say nothing: behind a proxy that
`TRUSTED_PROXY_HOPS` does not count, everybody would seem to be one.
"""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from django.utils.crypto import salted_hmac

PREFIX: Final = {4: 24, 6: 48}
_SALT: Final = "dashboards.report_networks"


def network_of(address: str) -> str:
    """The pseudonym of the network of an address; "" where it tells nothing."""
    try:
        ip = ip_address(address)
    except ValueError:
        return ""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if not ip.is_global:
        return ""
    network = ip_network(f"{ip}/{PREFIX[ip.version]}", strict=False)
    return salted_hmac(_SALT, str(network), algorithm="sha256").hexdigest()[:32]
