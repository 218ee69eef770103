"""Mobile networks, and the mobile routers that have them behind them (RFC 5177)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from . import record
from .record import Kind, Network


class MobileNetworks:
    """Which network is routed to which home address: what NETWORK records say."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[int, set[IPv4Network]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))

    def __iter__(self) -> Iterator[IPv4Network]:
        return (network for networks in self._held.values() for network in networks)

    def of(self, home_address: int) -> frozenset[IPv4Network]:
        return frozenset(self._held.get(home_address, ()))

    def held_by_others(self, network: IPv4Network, home_address: int) -> bool:
        return any(network.overlaps(held) for held, home in self.items() if home != home_address)

    def items(self) -> Iterator[tuple[IPv4Network, int]]:
        """Each with its router's home address."""
        for home, networks in self._held.items():
            for network in networks:
                yield network, home

    def apply(self, said: Network) -> None:
        network = IPv4Network((said.network, said.prefix_length))
        if not said.withdrawn:
            self._held.setdefault(said.home_address, set()).add(network)
            return
        networks = self._held.get(said.home_address, set())
        networks.discard(network)
        if not networks:
            self._held.pop(said.home_address, None)

    def snapshot(self) -> Iterator[bytes]:
        """Records of all, in an order of their own."""
        for home, networks in sorted(self._held.items()):
            yield routed(home, networks)


def routed(home_address: int, networks: Iterable[IPv4Network], *, withdrawn: bool = False) -> bytes:
    """Records that these are routed to the home address, or not any more."""
    return b"".join(
        record.NETWORK.pack(
            *Network(
                Kind.NETWORK,
                withdrawn,
                network.prefixlen,
                home_address,
                int(network.network_address),
                b"",
            )
        )
        for network in sorted(networks)
    )
