"""Foreign Agents' namespaces: each a router of its own behind the cluster's LAN.

    198.18.9.1/32 on lo   the care-of address, source of what it relays
    198.18.1.252/24       its address on the LAN: the highest that nobody has
    route                 to the virtual Home Agent address, through the controllers' group address

A namespace is held by an open file of this process alone. When the process ends, however it ends,
the kernel takes the namespace, and with it the cable: a killed process leaves nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, Final, NamedTuple, TypeVar

from hacc_agent.config import AgentConfig
from hacc_agent.datagrams import BUFFER, SO_RCVBUFFORCE, Datagrams

from .. import fabric
from ..errors import LabError, RouterFailed
from ..lab import Lab
from ..namespaces import GUEST, own_network, run_in_network
from ..topology import Port

T = TypeVar("T")

INTERFACE: Final = "lan"


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a Foreign Agent stands in the lab."""

    care_of_address: IPv4Address
    lan: str
    address: IPv4Interface
    gateway: IPv4Address
    home_agent: IPv4Address

    def lines(self) -> list[str]:
        """ip(8) commands, for its namespace."""
        return [
            "link set lo up",
            f"addr add {self.care_of_address}/32 dev lo",
            f"addr add {self.address} dev {INTERFACE}",
            f"link set {INTERFACE} up",
            f"route add {self.home_agent}/32 via {self.gateway} src {self.care_of_address}",
        ]


def stands(
    lab: Lab, configs: Sequence[AgentConfig], agents: Sequence[IPv4Address]
) -> tuple[Stand, ...]:
    """A place on the cluster's LAN for each agent. `configs`: of the cluster's routers."""
    lan, free = free_places(lab, configs, len(agents))
    config = configs[0]
    gateway = next(one.address for one in config.gateways if one.lan == lan)
    return tuple(
        Stand(care_of, lan, address, gateway, config.home_agent_address)
        for care_of, address in zip(agents, free, strict=True)
    )


def free_places(
    lab: Lab, configs: Sequence[AgentConfig], count: int
) -> tuple[str, list[IPv4Interface]]:
    """The LAN that the controllers' group address is on, and addresses of it that nobody has."""
    config = configs[0]
    networks = {lan.name: lan.address.network for one in configs for lan in one.lans}
    gateway = next((one for one in config.gateways if one.lan in networks), None)
    if gateway is None:
        raise LabError(
            f"cluster {config.cluster}: its controllers have no group address on a LAN of its "
            "routers: nobody answers for the virtual Home Agent address"
        )
    taken = {gateway.address}
    taken |= {at.address for one in config.controllers for at in one.addresses}
    taken |= {at.address for one in config.members for at in one.addresses}
    taken |= {port.address.ip for r in lab.topology.routers for port in r.ports if port.address}
    return gateway.lan, _free(networks[gateway.lan], taken, count)


def _free(network: IPv4Network, taken: set[IPv4Address], count: int) -> list[IPv4Interface]:
    """From the top down, where routers of a plan are rarely numbered."""
    found: list[IPv4Interface] = []
    number = int(network.broadcast_address) - 1
    while len(found) < count and number > int(network.network_address):
        if (address := IPv4Address(number)) not in taken:
            found.append(IPv4Interface(f"{address}/{network.prefixlen}"))
        number -= 1
    if len(found) < count:
        raise LabError(f"{network}: no {count} addresses are free for Foreign Agents")
    return found


class Network(NamedTuple):
    """A namespace that is plugged into the lab."""

    path: str  # that names it
    worker: ThreadPoolExecutor  # whose thread is in it

    def open(self, made: Callable[..., T], *arguments: Any) -> T:
        """Made inside: a socket stays there."""
        return self.worker.submit(made, *arguments).result()


@contextmanager
def guest(
    lab: Lab, number: int, lan: str, address: IPv4Interface, lines: Sequence[str], what: str
) -> Iterator[Network]:
    """`lines`: ip(8) commands for it. `what`: as people call it."""
    with ThreadPoolExecutor(1, f"guest-{number}") as worker, ExitStack() as stack:
        try:
            namespace = worker.submit(own_network).result()
        except OSError as error:
            raise LabError(
                f"no network namespace for {what}: {error.strerror}", hint="hacc lab needs root"
            ) from error
        stack.callback(os.close, namespace)
        cable = Port(f"{GUEST}{number}", INTERFACE, lan, address)
        path = f"/proc/{os.getpid()}/fd/{namespace}"
        fabric.plug_guest(lab.fabric(), lab.topology.name, cable, path)
        stack.callback(_unplug, lab, cable)
        failed = run_in_network(path, "ip", "-batch", "-", text="\n".join(lines) + "\n")
        # It asks for its gateway's MAC address as who it is on the LAN: Linux would ask as who it
        # sends for, the care-of address, and a router that has no way back there does not answer.
        failed += run_in_network(path, "sysctl", "-qw", "net.ipv4.conf.all.arp_announce=2")
        if failed:
            raise RouterFailed(f"{what}: {failed}")
        yield Network(path, worker)


class Sockets(NamedTuple):
    """Of a Foreign Agent."""

    registrations: Datagrams
    tunnels: socket.socket  # packets in IP in IP, with their outer header


@contextmanager
def sockets(lab: Lab, places: Sequence[Stand], port: int) -> Iterator[tuple[Sockets, ...]]:
    """For each Foreign Agent, in a namespace that is plugged into the lab."""
    with ExitStack() as stack:
        opened = []
        for number, place in enumerate(places, 1):
            what = f"Foreign Agent {place.care_of_address}"
            cable = (number, place.lan, place.address)
            network = stack.enter_context(guest(lab, *cable, place.lines(), what))
            registrations = network.open(Datagrams, int(place.care_of_address), port)
            stack.callback(registrations.close)
            tunnels = stack.enter_context(network.open(_tunnels, place.care_of_address))
            opened.append(Sockets(registrations, tunnels))
        yield tuple(opened)


def _tunnels(care_of_address: IPv4Address) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_IPIP)
    made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    made.bind((str(care_of_address), 0))
    made.setblocking(False)
    return made


def _unplug(lab: Lab, cable: Port) -> None:
    """At once: the kernel takes a namespace away when it finds the time."""
    with suppress(LabError):  # the lab went down before we did
        fabric.unplug(lab.fabric(), [cable])
