"""What `show standby` and `show track` print, as the outputs that parsers are tested with."""

from __future__ import annotations

from collections.abc import Callable

from .device import Device
from .hsrp import Settings, object_up, settings
from .names import short_name
from .network import Role, network_with
from .reply import Call
from .rules.interface import addresses_of
from .tree import Section


def _groups(call: Call) -> list[tuple[str, Section, Settings, Role]]:
    """(interface, its section, settings, role) of every group, in the order IOS prints them."""
    device, found = call.device, []
    network = network_with(device)
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
    if read.virtual or role.virtual or role.active is None:
        return read.virtual or role.virtual or "unknown"
    other = network_with(device).devices[role.active.device]
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


COMMANDS: tuple[tuple[str, Callable[[Call], str], bool], ...] = (
    # syntax, what it prints, also in user mode
    ("show standby [<name:if>]", _standby, True),
    ("show standby all", _standby, True),
    ("show standby [<name:if>] brief", _standby_brief, True),
    ("show track [brief]", _track, True),
)
