"""What `show` prints, in the formats that the parsers of the field know."""

from __future__ import annotations

from collections.abc import Callable

from .device import VERSION, stamp
from .files import parse_path
from .reply import Call
from .rules.access import entries
from .rules.interface import addresses_of
from .tree import print_section

Show = Callable[[Call], str]


def running_config(call: Call) -> str:
    return call.device.show_running_config()


def _running_interface(call: Call) -> str:
    section = call.device.interface(call.args["name"])
    if section is None:
        return "% Invalid interface"
    lines = [f"interface {call.args['name']}", *print_section(section, 1)]
    size = sum(len(line) + 1 for line in lines)
    return "\n".join(
        [
            "Building configuration...",
            "",
            f"Current configuration : {size} bytes",
            "!",
            *lines,
            "end",
            "",
        ]
    )


def _startup(call: Call) -> str:
    startup = call.device.startup
    if startup is None:
        return "startup-config is not present"
    return f"Using {len(startup)} out of 524288 bytes\n!\n{startup}"


def _span(seconds: float) -> str:
    minutes = int(seconds) // 60
    parts = (
        ("week", minutes // 10080),
        ("day", minutes // 1440 % 7),
        ("hour", minutes // 60 % 24),
        ("minute", minutes % 60),
    )
    said = [f"{count} {unit}{'s' if count != 1 else ''}" for unit, count in parts if count]
    return ", ".join(said) or "0 minutes"


def _version(call: Call) -> str:
    device = call.device
    return "\n".join(
        [
            f"HACC IOS simulator, no Cisco software: Software (HACC-IOS-SIMULATOR), "
            f"Version {VERSION},",
            "This is a simulated router for tests and drills. It forwards nothing.",
            "",
            f"{device.hostname} uptime is {_span(call.now - device.booted)}",
            "System returned to ROM by power-on",
            f"System restarted at {stamp(device.booted)}",
            'System image file is "flash:hacc-ios-simulator"',
            "",
            "Configuration register is 0x2102",
            "",
        ]
    )


def _clock(call: Call) -> str:
    return f"*{stamp(call.now).replace(' UTC', f'.{int(call.now * 1000) % 1000:03d} UTC')}"


def _interface_brief(call: Call) -> str:
    device = call.device
    lines = [f"{'Interface':<26} {'IP-Address':<15} OK? Method {'Status':<21} Protocol"]
    for name, section in device.interfaces():
        addresses = addresses_of(section)
        address = addresses[0][0] if addresses else "unassigned"
        up = device.is_up(name)
        status = "up" if up else "administratively down"
        method = "manual" if addresses else "unset"
        lines.append(
            f"{name:<26} {address:<15} YES {method:<6} {status:<21} {'up' if up else 'down'}"
        )
    return "\n".join(lines)


def _archive(call: Call) -> str:
    return call.device.archive.show()


def _differences(call: Call) -> str:
    archive = call.device.archive
    texts = []
    for name in (call.args.get("old", "system:running-config"), call.args.get("new")):
        if name is None:
            name = "system:running-config" if "old" in call.args else "nvram:startup-config"
        path = parse_path(name)
        text = archive.read(path) if path is not None else None
        if text is None:
            return f"%Error opening {name} (No such file or directory)"
        texts.append(text)
    return archive.differences(*texts)


def _incremental(call: Call) -> str:
    path = parse_path(call.args["file"])
    text = call.device.archive.read(path) if path is not None else None
    if text is None:
        return f"%Error opening {call.args['file']} (No such file or directory)"
    return call.device.archive.incremental(text)


def _timer(call: Call) -> str:
    return call.device.archive.show_timer()


def _privilege(call: Call) -> str:
    return f"Current privilege level is {15 if call.session.enabled else 1}"


def _snmp_user(call: Call) -> str:
    lines = []
    for line in call.device.configuration.starting("snmp-server user"):
        text = f" {line.text} "
        auth = line.args.get("auth", "none").upper()
        bits = line.args.get("bits")
        priv = f"AES{bits}" if bits else (line.args.get("priv") or "none").upper()
        lines += [
            f"User name: {line.args['user']}",
            "Engine ID: 800000090300AABBCC000100",
            "storage-type: nonvolatile        active"
            + (f"\taccess-list: {line.args['list']}" if "list" in line.args else ""),
            f"Authentication Protocol: {auth if ' v3 ' in text else 'none'}",
            f"Privacy Protocol: {priv}",
            f"Group-name: {line.args['group']}",
            "",
        ]
    return "\n".join(lines)


def _users(call: Call) -> str:
    lines = ["    Line       User       Host(s)              Idle       Location"]
    for number, user in sorted(call.device.sessions.items()):
        mark = "*" if number == call.session.number else " "
        lines.append(
            f"{mark}{number + 1:>3} vty {number - 1:<4}  {user:<10} idle                 "
            "00:00:00   127.0.0.1"
        )
    lines += ["", "  Interface    User               Mode         Idle     Peer Address"]
    return "\n".join(lines)


POOL_USED, POOL_FREE = 236_752_096, 682_886_552  # octets, as SNMP says too


def _cpu(_call: Call) -> str:
    return (
        "CPU utilization for five seconds: 1%/0%; one minute: 1%; five minutes: 1%\n"
        " PID Runtime(ms)   Invoked      uSecs   5Sec   1Min   5Min TTY Process\n"
        "   1           4        22        181  0.00%  0.00%  0.00%   0 Chunk Manager"
    )


def _memory(_call: Call) -> str:
    return (
        f"Processor Pool Total:  {POOL_USED + POOL_FREE} Used:  {POOL_USED} Free:  {POOL_FREE}\n"
        "\n"
        " PID TTY  Allocated      Freed    Holding    Getbufs    Retbufs Process\n"
        "   1   0    1583728       3472    1613672          0          0 Chunk Manager"
    )


def _access_lists(call: Call) -> str:
    lines: list[str] = []
    for line in call.device.configuration.ordered():
        if line.body is None or not line.body.mode.startswith("acl-"):
            continue
        kind = "Standard" if line.body.mode == "acl-standard" else "Extended"
        lines.append(f"{kind} IP access list {line.args['name']}")
        lines += [
            f"    {number} {text}"
            for number, text in entries(line.body)
            if not text.startswith("remark")
        ]
    return "\n".join(lines)


def _logging(call: Call) -> str:
    return "\n".join(
        ["Syslog logging: enabled", "", "Log Buffer (8192 bytes):", "", *call.device.log]
    )


COMMANDS: tuple[tuple[str, Show, bool], ...] = (
    # syntax, what it prints, also in user mode
    ("show running-config [all]", running_config, False),
    ("show running-config interface <name:if>", _running_interface, False),
    ("show startup-config", _startup, False),
    ("show configuration", _startup, False),
    ("show version", _version, True),
    ("show clock", _clock, True),
    ("show privilege", _privilege, True),
    ("show ip interface brief", _interface_brief, True),
    ("show archive", _archive, False),
    ("show archive config differences [<old:word> [<new:word>]]", _differences, False),
    ("show archive config incremental-diffs <file:word>", _incremental, False),
    ("show archive config rollback timer", _timer, False),
    ("show snmp user", _snmp_user, False),
    ("show users", _users, True),
    ("show processes cpu [sorted]", _cpu, True),
    ("show processes memory [sorted]", _memory, True),
    ("show access-lists", _access_lists, True),
    ("show ip access-lists", _access_lists, True),
    ("show logging", _logging, False),
)
