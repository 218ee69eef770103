"""What `show` prints of standby groups, neighbours, routes and Mobile IP.

`show standby` and `show cdp neighbors` follow the outputs that the published parsers are tested
with. The forms marked [R] are reconstructed: no real output was at hand.
"""

from __future__ import annotations

from collections.abc import Callable

from .device import VERSION, Device
from .hsrp import Settings, lan_of, object_up, settings
from .names import kind_of, short_name
from .network import Network, Role
from .reply import Call
from .rules.interface import addresses_of, dotted, network_of, number_of
from .tree import Section


def _network(device: Device) -> Network:
    """The network of a router; alone in one of its own if it was never added to any."""
    return device.network if device.network is not None else Network([device])


def _prefix(mask: str) -> int:
    return number_of(mask).bit_count()


# --- standby groups ---


def _groups(call: Call) -> list[tuple[str, Section, Settings, Role]]:
    """(interface, its section, settings, role) of every group, in the order IOS prints them."""
    device, found = call.device, []
    network = _network(device)
    wanted = call.args.get("name")
    for view in sorted(device.groups(), key=lambda view: view.group):
        section = device.interface(view.interface)
        if section is None or section.get(f"standby {view.group} ip") is None:
            continue
        if wanted in (None, view.interface):
            role = network.role(device, view.interface, view.group, call.now)
            found.append(
                (
                    view.interface,
                    section,
                    settings(device, view.interface, section, view.group),
                    role,
                )
            )
    order = [name for name, _ in device.interfaces()]
    return sorted(found, key=lambda row: (order.index(row[0]), row[2].group))


def _virtual_mac(read: Settings) -> str:
    """0000.0c07.acXX in version 1 (RFC 2281 5.4), 0000.0c9f.fXXX in version 2."""
    if read.version == 1:
        return f"0000.0c07.ac{read.group:02x}"
    return f"0000.0c9f.f{read.group:03x}"


def _time(milliseconds: int) -> str:
    return f"{milliseconds // 1000} sec" if milliseconds % 1000 == 0 else f"{milliseconds} msec"


def _ago(seconds: float) -> str:
    """00:00:12, 1d02h, 3w4d: as IOS shortens a span."""
    whole = int(seconds)
    days = whole // 86400
    if days >= 7:
        return f"{days // 7}w{days % 7}d"
    if days:
        return f"{days}d{whole // 3600 % 24:02}h"
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def _virtual(read: Settings, role: Role, device: Device) -> str:
    """The virtual address: configured, or learned from the active router."""
    if read.virtual or role.active is None:
        return read.virtual or "unknown"
    other = _network(device).devices[role.active.device]
    section = other.interface(role.active.interface)
    if section is None:
        return "unknown"
    return settings(other, role.active.interface, section, read.group).virtual or "unknown"


def _standby(call: Call) -> str:
    lines: list[str] = []
    for interface, section, read, role in _groups(call):
        lines += _standby_group(call, interface, section, read, role)
    return "\n".join(lines)


def _standby_group(
    call: Call, interface: str, section: Section, read: Settings, role: Role
) -> list[str]:
    mac = _virtual_mac(read)
    version = " (version 2)" if read.version == 2 else ""
    why = ""
    if role.state == "Init":
        down = not call.device.is_up(interface)
        why = " (interface down)" if down else " (no interface IP address)"
        if not down and addresses_of(section):
            why = " (tracking shutdown)"
    lines = [f"{interface} - Group {read.group}{version}", f"  State is {role.state}{why}"]
    plural = "s" if role.changes != 1 else ""
    if role.changes:
        lines.append(
            f"    {role.changes} state change{plural}, last state change "
            f"{_ago(call.now - role.since)}"
        )
    lines.append(f"  Virtual IP address is {_virtual(read, role, call.device)}")
    lines += [f"    Secondary virtual IP address {address}" for address in read.secondaries]
    used = f"{mac} (MAC {'In Use' if role.state == 'Active' else 'Not In Use'})"
    lines += [
        f"  Active virtual MAC address is {used if role.active is not None else 'unknown'}",
        f"    Local virtual MAC address is {mac} (v{read.version} default)",
        f"  Hello time {_time(read.hello)}, hold time {_time(read.hold)}",
    ]
    if role.state in ("Active", "Standby"):
        left = read.hello - int(call.now * 1000) % read.hello
        lines.append(f"    Next hello sent in {left / 1000:.3f} secs")
    if read.authentication.startswith("md5 key-chain"):
        lines.append(f'  Authentication MD5, key-chain "{read.authentication.split()[-1]}"')
    elif read.authentication.startswith("md5"):
        lines.append("  Authentication MD5, key-string")
    elif read.authentication:
        lines.append(f'  Authentication text, string "{read.authentication}"')
    lines.append(f"  Preemption {'enabled' if read.preempt else 'disabled'}{_delays(read)}")
    lines += _others(read, role, interface, call.device)
    lines.append(f"  Priority {read.effective} (configured {read.priority})")
    for number, up, effect in read.tracks:
        kind = "object" if number.isdigit() else "interface"
        state = "(unknown)" if up is None else f"state {'Up' if up else 'Down'} {effect}"
        lines.append(f"    Track {kind} {number} {state}")
    lines.append(f'  Group name is "{read.name}" ({"cfgd" if read.named else "default"})')
    return lines


def _delays(read: Settings) -> str:
    parts = [f"delay min {read.minimum} secs"] if read.minimum else []
    parts += [f"reload {read.reload} secs"] if read.reload else []
    return ", " + ", ".join(parts) if parts and read.preempt else ""


def _others(read: Settings, role: Role, interface: str, device: Device) -> list[str]:
    lines = []
    for title, member in (("Active", role.active), ("Standby", role.standby)):
        if member is None:
            lines.append(f"  {title} router is unknown")
        elif (member.device, member.interface) == (device.name, interface):
            lines.append(f"  {title} router is local")
        else:
            expires = f"(expires in {read.hold / 1000:.3f} sec)"
            lines.append(
                f"  {title} router is {member.address}, priority {member.priority} {expires}"
            )
    return lines


def _standby_brief(call: Call) -> str:
    lines = [
        "                     P indicates configured to preempt.",
        "                     |",
        "Interface   Grp  Pri P State   Active          Standby         Virtual IP",
    ]
    for interface, _, read, role in _groups(call):
        seen = []
        for member in (role.active, role.standby):
            local = member is not None and (member.device, member.interface) == (
                call.device.name,
                interface,
            )
            seen.append("unknown" if member is None else "local" if local else member.address)
        preempt = "P" if read.preempt else " "
        lines.append(
            f"{short_name(interface):<11} {read.group:<4} {read.effective:<3} {preempt} "
            f"{role.state:<7} {seen[0]:<15} {seen[1]:<15} {_virtual(read, role, call.device)}"
        )
    return "\n".join(lines)


def _track(call: Call) -> str:
    lines: list[str] = []
    for line in call.device.configuration.ordered():
        if not line.key.startswith("track "):
            continue
        number = line.args["object"]
        what = line.text.removeprefix(f"track {number} ")
        up = object_up(call.device, number)
        lines += [
            f"Track {number}",
            f"  {what[:1].upper()}{what[1:]}",
            f"  {'Line protocol' if 'line-protocol' in what else 'State'} is "
            f"{'Up' if up else 'Down'}",
        ]
    return "\n".join(lines)


# --- neighbours ---


def _management(device: Device, port: str) -> list[str]:
    section = device.interface(port)
    known = addresses_of(section) if section is not None else []
    return [known[0][0]] if known else []


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
    seen = _network(call.device).neighbours(call.device)
    for one in seen:
        here, there = _spaced(one.interface), _spaced(one.port)
        lines.append(
            f"{one.device.hostname:<16} {here:<17} {_holdtime(one.device):<10} R           "
            f"simulator {there}"
        )
    lines += ["", f"Total cdp entries displayed : {len(seen)}"]
    return "\n".join(lines)


def _spaced(interface: str) -> str:
    kind = kind_of(interface)
    return f"{kind[:3]} {interface[len(kind) :]}"


def _holdtime(device: Device) -> int:
    line = device.configuration.get("cdp holdtime")
    return int(line.args["seconds"]) if line is not None else 180


def _cdp_detail(call: Call) -> str:
    if "cdp run" in call.device.configuration.lines:
        return "% CDP is not enabled"
    lines: list[str] = []
    seen = _network(call.device).neighbours(call.device)
    for one in seen:
        addresses = [f"  IP address: {address}" for address in _management(one.device, one.port)]
        lines += [
            "-------------------------",
            f"Device ID: {one.device.hostname}",
            "Entry address(es): ",
            *addresses,
            "Platform: HACC IOS simulator,  Capabilities: Router ",
            f"Interface: {one.interface},  Port ID (outgoing port): {one.port}",
            f"Holdtime : {_holdtime(one.device)} sec",
            "",
            "Version :",
            f"HACC IOS simulator, no Cisco software, Version {VERSION}",
            "",
            "advertisement version: 2",
            "Management address(es): ",
            *addresses,
            "",
        ]
    lines.append(f"Total cdp entries displayed : {len(seen)}")
    return "\n".join(lines)


# --- routes ---

_CODES = (
    "Codes: L - local, C - connected, S - static, R - RIP, M - mobile, B - BGP\n"
    "       O - OSPF, IA - OSPF inter area, E1 - OSPF external type 1, E2 - OSPF external type 2\n"
)


def _virtual_networks(device: Device) -> list[tuple[str, str]]:
    """(network, mask) of the virtual networks that a Home Agent has."""
    return [
        (line.args["network"], line.args["mask"])
        for line in device.configuration.starting("ip mobile virtual-network")
    ]


def mobile_routes(device: Device) -> list[str]:
    """A virtual network stands in the table as if connected, through the mobile interface [R]."""
    return [
        f"M        {network}/{_prefix(mask)} is directly connected, Mobile0"
        for network, mask in _virtual_networks(device)
    ]


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
    network = _network(device)
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
                        f"O E2     {net}/{_prefix(mask)} [110/{metric}] via {via[0][0]}, "
                        f"00:00:10, {name}"
                        for net, mask in _virtual_networks(other)
                        if (net, mask) not in _virtual_networks(device)
                    ]
    return routes


def _route(call: Call) -> str:
    device, routes = call.device, []
    for name, section in device.interfaces():
        if not device.is_up(name):
            continue
        for address, mask in addresses_of(section):
            wide = f"{network_of(address, mask)}/{_prefix(mask)}"
            routes.append(f"C        {wide} is directly connected, {name}")
            if mask != "255.255.255.255":
                routes.append(f"L        {address}/32 is directly connected, {name}")
    for line in device.configuration.starting("ip route"):
        if "net" in line.args and "vrf" not in line.args:
            via = line.args.get("via", line.args.get("name", ""))
            away = line.args.get("distance", "1")
            routes.append(
                f"S        {line.args['net']}/{_prefix(line.args['mask'])} [{away}/0] via {via}"
            )
    routes += mobile_routes(device) + _ospf_routes(device)
    return "\n".join([_CODES, "Gateway of last resort is not set", "", *routes])


def _route_mobile(call: Call) -> str:
    return "\n".join(mobile_routes(call.device))


# --- Mobile IP ---


def _off(device: Device) -> str:
    return (
        ""
        if device.configuration.get("router mobile") is not None
        else "% Mobile IP is not enabled"
    )


def _bindings(call: Call) -> str:
    """Nothing registers here: the list is always empty, in the form that IOS gives it."""
    return _off(call.device) or "Mobility Binding List:\nTotal 0"


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
    for network, mask in _virtual_networks(device):
        lines += ["    Virtual networks", f"        {network}/{_prefix(mask)}"]
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
                f"virtual network {line.args['network']}/{_prefix(line.args['mask'])}"
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
        f"{network}/{_prefix(mask)}" for network, mask in _virtual_networks(call.device)
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


COMMANDS: tuple[tuple[str, Callable[[Call], str], bool], ...] = (
    # syntax, what it prints, also in user mode
    ("show standby [<name:if>]", _standby, True),
    ("show standby all", _standby, True),
    ("show standby [<name:if>] brief", _standby_brief, True),
    ("show track [brief]", _track, True),
    ("show cdp neighbors", _cdp, True),
    ("show cdp neighbors detail", _cdp_detail, True),
    ("show ip route", _route, True),
    ("show ip route mobile", _route_mobile, True),
    ("show ip mobile binding [<rest:line>]", _bindings, False),
    ("show ip mobile globals", _globals, False),
    ("show ip mobile host [<rest:line>]", _hosts, False),
    ("show ip mobile secure <kind:host|home-agent|foreign-agent|visitor>", _secure, False),
    ("show ip mobile traffic", _traffic, False),
    ("show ip mobile virtual-network", _virtual_network, False),
    ("show ip local pool", _pool, False),
)
