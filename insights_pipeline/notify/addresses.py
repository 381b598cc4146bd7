"""Which addresses of the network are public: what a message may be sent to unless its host was allowed."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# `is_global` alone lets several of these pass.
_NOT_PUBLIC_4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by carriers; also what some clouds put their metadata service in
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
)
# Of IPv6 only this is given out, and within it these are not, or carry an IPv4 address that would be the real target.
_PUBLIC_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocols, among them Teredo
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3ffe::/16",  # the former test network
        "3fff::/20",  # documentation
    )
)


def is_public(address: str) -> bool:
    """Whether an IPv4 or IPv6 address (as getaddrinfo gives it) is on the public internet.

    NAT64 (64:ff9b::/96), mapped, compatible, site-local and unique local addresses are not. Raises ValueError for
    what is no address.
    """
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if isinstance(found, IPv4Address):
        return found.is_global and not any(found in block for block in _NOT_PUBLIC_4)
    return found.is_global and found in _PUBLIC_6 and not any(found in block for block in _NOT_PUBLIC_6)
