"""What `show ip mobile` prints. Forms marked [R] are reconstructed: no real output was at hand."""

from __future__ import annotations

from collections.abc import Callable

from .device import Device
from .reply import Call
from .rules.interface import dotted, number_of, prefix_of


def virtual_networks(device: Device) -> list[tuple[str, str]]:
    """(network, mask) of the virtual networks that a Home Agent has."""
    return [
        (line.args["network"], line.args["mask"])
        for line in device.configuration.starting("ip mobile virtual-network")
    ]


def mobile_routes(device: Device) -> list[str]:
    """A virtual network stands in the table as if connected, through the mobile interface [R]."""
    return [
        f"M        {network}/{prefix_of(mask)} is directly connected, Mobile0"
        for network, mask in virtual_networks(device)
    ]


def _off(device: Device) -> str:
    return (
        ""
        if device.configuration.get("router mobile") is not None
        else "% Mobile IP is not enabled"
    )


def _bindings(call: Call) -> str:
    """In the form that a real router gave it, but for what it does not do here: tunnels."""
    if off := _off(call.device):
        return off
    home = call.device.home_agent
    found = [*home.bindings()] if home is not None else []
    lines = ["Mobility Binding List:", f"Total {len(found)}"]
    for nai, row in found:
        address = dotted(row.home_address)
        lines += (
            [f"{nai.decode('ascii', 'replace')}:", f"    Home Addr {address}"]
            if nai
            else [f"{address}:"]
        )
        remaining = max(0, int(row.expires - call.now))
        left = f"{remaining // 3600:02}:{remaining // 60 % 60:02}:{remaining % 60:02}"
        lines += [
            f"    Care-of Addr {dotted(row.care_of_address)}, "
            f"Src Addr {dotted(row.source_address)}",
            f"    Lifetime granted {_clock(row.lifetime)}, remaining {left}",
            f"    Flags {_flags(row.flags)}, Identification "
            f"{row.identification >> 32:08X}.{row.identification & 0xFFFFFFFF:08X}",
        ]
    return "\n".join(lines)


def _flags(flags: int) -> str:
    """S, B, D, M, G, r, T, x of the request: upper case is set, `-` a reserved one that is not."""
    return "".join(
        letter.upper() if flags & bit else "-" if letter in "rx" else letter
        for letter, bit in zip("sbdmgrtx", (128, 64, 32, 16, 8, 4, 2, 1), strict=True)
    )


def _globals(call: Call) -> str:
    """[R] after the 12.3T command reference's field list."""
    device = call.device
    if off := _off(device):
        return off
    agent = device.configuration.get("ip mobile home-agent")
    args = dict(agent.args) if agent is not None else {}
    lines = ["IP Mobility global information:", "", "Home agent", ""]
    lines += [
        f"    Registration lifetime: {_clock(int(args.get('lifetime', '36000')))}",
        f"    Broadcast {'enabled' if agent and ' broadcast' in agent.text else 'disabled'}",
        f"    Replay protection time: {args.get('replay', '7')} secs",
        "    Reverse tunnel "
        + ("disabled" if agent and "reverse-tunnel-off" in agent.text else "enabled"),
        "    ICMP Unreachable enabled",
    ]
    address = device.configuration.get("ip mobile home-agent address")
    if address is not None:
        lines.append(f"    HA address {address.args['address']}")
    for line in device.configuration.starting("ip mobile home-agent redundancy"):
        lines.append(f"    Standby group {line.args.get('standby', '')}")
    for network, mask in virtual_networks(device):
        lines += ["    Virtual networks", f"        {network}/{prefix_of(mask)}"]
    return "\n".join(lines)


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02} ({seconds})"


def _hosts(call: Call) -> str:
    """[R]"""
    if off := _off(call.device):
        return off
    lines = ["Mobile Host List:"]
    for line in call.device.configuration.starting("ip mobile host"):
        who = line.args.get("nai") or line.args["low"]
        last = f" - {line.args['high']}" if "high" in line.args else ""
        lines += [
            f"{who}{last}:",
            f"    Allowed lifetime {_clock(int(line.args.get('lifetime', '36000')))}",
            "    Roaming status -Unregistered-",
            "    Home link on "
            + (
                f"virtual network {line.args['network']}/{prefix_of(line.args['mask'])}"
                if "network" in line.args
                else f"interface {line.args.get('name', '')}"
            ),
            "    Accepted 0, Last time -never-",
            "    Denied 0, Last time -never-",
            "    Last code '-never- (0)'",
        ]
    return "\n".join(lines)


def _secure(call: Call) -> str:
    """Security associations of one kind of peer, their keys hidden [R]."""
    if off := _off(call.device):
        return off
    kind = call.args["kind"]
    lines = ["Security Associations (algorithm,mode,replay protection,key):"]
    for line in call.device.configuration.starting(f"ip mobile secure {kind}"):
        algorithm = "HMAC-MD5" if "hmac-md5" in line.text else "MD5, Prefix-suffix"
        lines += [
            f"{line.args.get('nai') or line.args['low']}:",
            f"    SPI {line.args.get('spi', line.args.get('inbound', ''))},  {algorithm}, "
            f"Timestamp +/- {line.args.get('window', '7')},",
            "    Key *****",
        ]
    return "\n".join(lines)


def _traffic(call: Call) -> str:
    """[R]; counters of a router that nothing registers with."""
    if off := _off(call.device):
        return off
    return "\n".join(
        [
            "IP Mobility traffic:",
            "Advertisements:",
            "    Solicitations received 0",
            "    Advertisements sent 0, response to solicitation 0",
            "Home Agent Registrations:",
            "    Register 0, Deregister 0 requests",
            "    Register 0, Deregister 0 replied",
            "    Accepted 0, No simultaneous bindings 0",
            "    Denied 0, Ignored 0",
            "    Authentication failed MN 0, FA 0",
            "    Binding Updates received 0, sent 0 total 0 fail 0",
        ]
    )


def _virtual_network(call: Call) -> str:
    """[R]"""
    return _off(call.device) or "\n".join(
        f"{network}/{prefix_of(mask)}" for network, mask in virtual_networks(call.device)
    )


def _pool(call: Call) -> str:
    lines = [f"{'Pool':<24} {'Begin':<15} {'End':<15} {'Free':>6} {'In use':>7}"]
    for line in call.device.configuration.starting("ip local pool"):
        low, high = line.args["low"], line.args.get("high", line.args["low"])
        free = number_of(high) - number_of(low) + 1
        lines.append(
            f" {line.args['pool']:<23} {dotted(number_of(low)):<15} {high:<15} {free:>6} {0:>7}"
        )
    return "\n".join(lines)


def _route_mobile(call: Call) -> str:
    return "\n".join(mobile_routes(call.device))


COMMANDS: tuple[tuple[str, Callable[[Call], str], bool], ...] = (
    # syntax, what it prints, also in user mode
    ("show ip route mobile", _route_mobile, True),
    ("show ip mobile binding [<rest:line>]", _bindings, False),
    ("show ip mobile globals", _globals, False),
    ("show ip mobile host [<rest:line>]", _hosts, False),
    ("show ip mobile secure <kind:host|home-agent|foreign-agent|visitor>", _secure, False),
    ("show ip mobile traffic", _traffic, False),
    ("show ip mobile virtual-network", _virtual_network, False),
    ("show ip local pool", _pool, False),
)
