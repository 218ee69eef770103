"""Mobile networks: who is bound serves them too (RFC 5177).

A mobile router names its networks in each request (explicit mode), or none, and then those that
the configuration gives it are its own (implicit mode). One is granted if the configuration allows
it and nobody else holds any part of it; the acknowledgement of each says what became of it.
Networks end with the last binding of their router, and one that a later request does not name any
more ends there.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Final

from ...wire import (
    MobileNetworkAcknowledgement,
    MobileNetworkCode,
    MobileNetworkRequest,
    MobileNetworkSubtype,
)
from ...wire.extensions import Extension
from ..networks import MobileNetworks

_ADDRESS_BITS: Final = 32


def acknowledge(
    held: MobileNetworks,
    home_address: int,
    allowed: tuple[IPv4Network, ...],
    own: bool,
    of_mobile: tuple[Extension, ...],
) -> tuple[frozenset[IPv4Network], bytes]:
    """The networks granted to a router, and the extensions that tell it.

    `own`: the allowed networks are this router's, not what all of a realm may choose from.
    """
    asked = [each for each in of_mobile if isinstance(each, MobileNetworkRequest)]
    if not asked:
        granted = frozenset(allowed if own else ())
        implicit = MobileNetworkSubtype.IMPLICIT_ACKNOWLEDGEMENT
        return granted, b"".join(
            MobileNetworkAcknowledgement(
                implicit, MobileNetworkCode.SUCCESS, each.network_address, each.prefixlen
            ).to_bytes()
            for each in sorted(granted)
        )
    granted_networks = set()
    told = []
    for each in asked:
        code = MobileNetworkCode.SUCCESS
        network = _network(each.prefix, each.prefix_length)
        if network is None:
            code = MobileNetworkCode.INVALID_PREFIX_LENGTH
        elif not any(network.subnet_of(one) for one in allowed) or held.held_by_others(
            network, home_address
        ):
            code = MobileNetworkCode.UNAUTHORIZED
        else:
            granted_networks.add(network)
        explicit = MobileNetworkSubtype.EXPLICIT_ACKNOWLEDGEMENT
        told.append(MobileNetworkAcknowledgement(explicit, code, each.prefix, each.prefix_length))
    return frozenset(granted_networks), b"".join(each.to_bytes() for each in told)


def _network(prefix: IPv4Address, length: int) -> IPv4Network | None:
    if not 0 < length <= _ADDRESS_BITS:
        return None
    try:
        return IPv4Network((int(prefix), length))
    except ValueError:  # bits behind the prefix
        return None
