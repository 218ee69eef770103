"""What `show` prints of neighbours and routes: what the other routers of the process imply."""

from __future__ import annotations

from collections.abc import Callable

from .device import Device
from .hsrp import lan_of
from .names import kind_of
from .network import network_with
from .reply import Call
from .rules.interface import addresses_of, network_of, number_of, prefix_of
from .show_mobile import mobile_routes, virtual_networks


def _cdp(call: Call) -> str:
    if "cdp run" in call.device.configuration.lines:
        return "% CDP is not enabled"
    lines = [
        "Capability Codes: R - Router, T - Trans Bridge, B - Source Route Bridge",
        "                  S - Switch, H - Host, I - IGMP, r - Repeater, P - Phone,",
        "                  D - Remote, C - CVTA, M - Two-port Mac Relay",
        "",
        "Device ID        Local Intrfce     Holdtme    Capability  Platform  Port ID",
    ]
    seen = network_with(call.device).neighbours(call.device, call.now)
    for one in seen:
        here, there = _spaced(one.interface), _spaced(one.port)
        lines.append(
            f"{one.name:<16} {here:<17} {one.hold_s:<10} R           "
            f"{one.platform.rpartition(' ')[2]:<9} {there}"
        )
    lines += ["", f"Total cdp entries displayed : {len(seen)}"]
    return "\n".join(lines)


def _spaced(interface: str) -> str:
    kind = kind_of(interface)
    return f"{kind[:3]} {interface[len(kind) :]}"


def _cdp_detail(call: Call) -> str:
    if "cdp run" in call.device.configuration.lines:
        return "% CDP is not enabled"
    lines: list[str] = []
    seen = network_with(call.device).neighbours(call.device, call.now)
    for one in seen:
        addresses = [f"  IP address: {address}" for address in one.addresses]
        lines += [
            "-------------------------",
            f"Device ID: {one.name}",
            "Entry address(es): ",
            *addresses,
            f"Platform: {one.platform},  Capabilities: Router ",
            f"Interface: {one.interface},  Port ID (outgoing port): {one.port}",
            f"Holdtime : {one.hold_s} sec",
            "",
            "Version :",
            one.software,
            "",
            "advertisement version: 2",
            "Management address(es): ",
            *addresses,
            "",
        ]
    lines.append(f"Total cdp entries displayed : {len(seen)}")
    return "\n".join(lines)


_CODES = (
    "Codes: L - local, C - connected, S - static, R - RIP, M - mobile, B - BGP\n"
    "       O - OSPF, IA - OSPF inter area, E1 - OSPF external type 1, E2 - OSPF external type 2\n"
)


def _runs_ospf(device: Device, address: str) -> bool:
    """Whether a `network` statement of OSPF covers an address."""
    for line in device.configuration.lines.values():
        if line.body is None or line.body.mode != "ospf":
            continue
        for inner in line.body.lines.values():
            if inner.key.startswith("network "):
                wild = ~number_of(inner.args["wild"]) & 0xFFFFFFFF
                if number_of(address) & wild == number_of(inner.args["net"]) & wild:
                    return True
    return False


def _redistributes(device: Device) -> str:
    """The metric with which OSPF carries the mobile routes of a router; "" if it does not."""
    for line in device.configuration.lines.values():
        if line.body is not None and line.body.mode == "ospf":
            carried = line.body.get("redistribute mobile")
            if carried is not None and "subnets" in carried.text:
                return carried.args.get("metric", "20")
    return ""


def _ospf_routes(device: Device) -> list[str]:
    """Virtual networks of neighbours on the same LAN, as OSPF would bring them."""
    routes = []
    network = network_with(device)
    for name, section in device.interfaces():
        lan, known = lan_of(device, name, section), addresses_of(section)
        if not lan or not known or not device.is_up(name) or not _runs_ospf(device, known[0][0]):
            continue
        for other in network.devices.values():
            metric = _redistributes(other)
            if other is device or not metric:
                continue
            for port, behind in other.interfaces():
                via = addresses_of(behind)
                if (
                    lan_of(other, port, behind) == lan
                    and via
                    and other.is_up(port)
                    and _runs_ospf(other, via[0][0])
                ):
                    routes += [
                        f"O E2     {net}/{prefix_of(mask)} [110/{metric}] via {via[0][0]}, "
                        f"00:00:10, {name}"
                        for net, mask in virtual_networks(other)
                        if (net, mask) not in virtual_networks(device)
                    ]
    return routes


def _route(call: Call) -> str:
    device, routes = call.device, []
    for name, section in device.interfaces():
        if not device.is_up(name):
            continue
        for address, mask in addresses_of(section):
            wide = f"{network_of(address, mask)}/{prefix_of(mask)}"
            routes.append(f"C        {wide} is directly connected, {name}")
            if mask != "255.255.255.255":
                routes.append(f"L        {address}/32 is directly connected, {name}")
    for line in device.configuration.starting("ip route"):
        if "net" in line.args and "vrf" not in line.args:
            via = line.args.get("via", line.args.get("name", ""))
            away = line.args.get("distance", "1")
            routes.append(
                f"S        {line.args['net']}/{prefix_of(line.args['mask'])} [{away}/0] via {via}"
            )
    routes += mobile_routes(device) + _ospf_routes(device)
    return "\n".join([_CODES, "Gateway of last resort is not set", "", *routes])


COMMANDS: tuple[tuple[str, Callable[[Call], str], bool], ...] = (
    # syntax, what it prints, also in user mode
    ("show cdp neighbors", _cdp, True),
    ("show cdp neighbors detail", _cdp_detail, True),
    ("show ip route", _route, True),
)
