"""Decides which network addresses the site may call for a job: public ones, and those that settings allow."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from django.conf import settings

Address = IPv4Address | IPv6Address

# Public by number, but answering with a cloud machine's identity (Azure's wire server).
_METADATA: Final = frozenset({ip_address("168.63.129.16")})
# Special by their registries (IANA), though Python's older versions call some of them global.
_SPECIAL: Final = tuple(
    map(
        ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "3fff::/20", "5f00::/16", "fec0::/10"),
    )
)
# IPv6 networks whose addresses carry an IPv4 address in their last 32 bits: NAT64 and IPv4-compatible.
_CARRIERS: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))


class AddressRefused(Exception):
    """A host has no address that a job may call."""


def choose(host: str, addresses: Iterable[str]) -> list[str]:
    """Those of a host's `addresses` that may be called; raises AddressRefused if there is none.

    The caller connects to what this returns and resolves no name again, so a name that answers
    differently a moment later gains nothing.
    """
    found = list(dict.fromkeys(addresses))
    chosen = [address for address in found if is_allowed(host, address)]
    if not chosen:
        raise AddressRefused(
            f"{host!r} is {', '.join(found) or 'no address'}; expected a public address, or a host or "
            "network that HEADWAY_HTTP_PRIVATE_ALLOWED allows."
        )
    return chosen


def is_allowed(host: str, address: str) -> bool:
    """Whether a job may call `address`, to which `host` resolved."""
    plain = _plain(ip_address(address.partition("%")[0]))
    return is_public(plain) or any(_allows(entry, host, plain) for entry in settings.HTTP_PRIVATE_ALLOWED)


def is_public(address: Address) -> bool:
    """Whether `address` is one of the open internet, and no machine's own, neighbours' or provider's."""
    # A tunnel leads where its IPv4 addresses lead.
    if isinstance(address, IPv6Address) and not all(map(is_public, _tunnelled(address))):
        return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_unspecified
        and address not in _METADATA
        and not any(address in network for network in _SPECIAL)
    )


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one only spells differently (::ffff:127.0.0.1)."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if any(address in network for network in _CARRIERS) and int(address) > 1:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _tunnelled(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that a tunnel address leads to: 6to4's, Teredo's server and client."""
    found = [address.sixtofour] if address.sixtofour is not None else []
    return found + list(address.teredo or ())


def _allows(entry: str, host: str, address: Address) -> bool:
    """Whether an entry of the setting, a host name or an address or a network, names this one."""
    try:
        return address in ip_network(entry, strict=False)
    except ValueError:
        return entry.lower().rstrip(".") == host.lower().rstrip(".")
