"""What a router is on its LANs, as it follows from its configuration: addresses and ways out.

Only what a Home Agent's replies depend on: the interfaces' own addresses, its loopbacks, and by
which gateway what it says itself leaves. What a standby group adds is its speaker's (`speaking`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .device import Device
from .hsrp import lan_of
from .names import kind_of
from .rules.interface import addresses_of, prefix_of

PORT: Final = 434
_REGISTRATION: Final = ("mobile-ip", str(PORT))  # the port's name, as IOS shows it


@dataclass(frozen=True, slots=True)
class Port:
    """An interface on a LAN."""

    interface: str
    lan: str
    address: str  # with its length


@dataclass(frozen=True, slots=True)
class Forwarding:
    """All of it."""

    ports: tuple[Port, ...]
    loopbacks: tuple[str, ...]
    replies: str  # next hop of what leaves UDP port 434 of the virtual address; "" for none


def forwarding(device: Device, lans: frozenset[str]) -> Forwarding:
    """What the router is now, on these LANs. Without power it is nothing."""
    ports, loopbacks = [], []
    for name, section in device.interfaces():
        known = addresses_of(section)
        if not known or not device.is_up(name):
            continue
        if kind_of(name) == "Loopback":
            loopbacks += [address for address, _ in known]
        elif (lan := lan_of(device, name, section)) in lans:
            address, mask = known[0]
            ports.append(Port(name, lan, f"{address}/{prefix_of(mask)}"))
    return Forwarding(tuple(ports), tuple(loopbacks), _next_hop(device))


def _next_hop(device: Device) -> str:
    """A local policy that matches registration replies goes before the default route."""
    root = device.configuration
    policy = root.get("ip local policy route-map")
    for line in root.starting(f"route-map {policy.args['map']}") if policy is not None else ():
        if line.body is None:
            continue
        hop = next((one for one in line.body if one.key == "set ip next-hop"), None)
        named = [one.text.split()[3:] for one in line.body if one.text.startswith("match ip addr")]
        if hop is not None and all(_matches(device, words) for words in named):
            return hop.args["first"]
    default = next(iter(root.starting("ip route 0.0.0.0 0.0.0.0")), None)
    return default.args.get("via", "") if default is not None else ""


def _matches(device: Device, names: list[str]) -> bool:
    """Whether one of these access lists permits registration replies."""
    return any(
        line.body is not None
        and any(
            one.text.split()[:1] == ["permit"] and set(one.text.split()) & set(_REGISTRATION)
            for one in line.body
        )
        for name in names
        for line in device.configuration.starting(f"ip access-list {name}")
    )
