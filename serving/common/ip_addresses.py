"""IP addresses: which are public, and which network a client belongs to."""

from __future__ import annotations

import ipaddress
import re

#: The IPv6 prefix to which networks translate IPv4 (RFC 6052).
NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: Not public, although `ipaddress` reports them as global: IETF protocol assignments, among them Oracle Cloud's
#: 192.0.0.192; relays of 6to4 (RFC 7526); Azure's platform address; IBM Cloud's service network; the former private
#: addresses (site-local, RFC 3879); IPv4-compatible and IPv4-translated addresses; examples (RFC 9637).
NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            *("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "161.26.0.0/16", "166.8.0.0/14"),
            *("fec0::/10", "::/96", "::ffff:0:0:0/96", "3fff::/20"),
        ),
    )
)
#: An IPv6 site has a network of at least this size (RFC 6177), so single addresses do not identify a client.
IPV6_PREFIX_BITS = 64
#: A name or an address with or without a port (RFC 3986, 3.2; without user names and percent-encoding).
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+;=-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5})?)?", re.ASCII)


def is_public(address: str) -> bool:
    """Return whether an address belongs to the public internet.

    Addresses of this machine, private networks, metadata services and platforms of clouds, and multicast do not, nor
    do IPv6 forms of any of these.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        # NAT64 holds an IPv4 address in the last 32 bits.
        if inner is None and ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    if any(ip in network for network in NOT_PUBLIC if network.version == ip.version):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def client_network(address: str | None) -> str:
    """Return the network that requests from an address are counted for.

    This is the address itself, or the 64-bit network of an IPv6 address. Everything that is not an address (a local
    socket) counts as one client.
    """
    try:
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((int(ip), IPV6_PREFIX_BITS), strict=False))
    return str(ip)


def is_host(value: bytes) -> bool:
    """Return whether the value of a Host header is a host with an optional port."""
    match = _HOST.fullmatch(value)
    if match is None or int(match[1] or 0) > 65535:
        return False
    if value.startswith(b"["):
        try:
            ipaddress.IPv6Address(value[1 : value.index(b"]")].decode())
        except ValueError:
            return False
    return True
