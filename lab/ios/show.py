"""What `show` prints, in the formats that the parsers of the field know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .device import VERSION, stamp
from .rules.interface import addresses_of
from .tree import print_section

if TYPE_CHECKING:
    from .session import Session

Args = Mapping[str, str]
Show = Callable[["Session", Args, float], str]


def running_config(session: Session, args: Args, now: float) -> str:
    return session.device.show_running_config()


def _running_interface(session: Session, args: Args, now: float) -> str:
    section = session.device.interface(args["name"])
    if section is None:
        return "% Invalid interface"
    lines = [f"interface {args['name']}", *print_section(section, 1)]
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


def _startup(session: Session, args: Args, now: float) -> str:
    startup = session.device.startup
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


def _version(session: Session, args: Args, now: float) -> str:
    device = session.device
    return "\n".join(
        [
            f"HACC IOS simulator, no Cisco software: Software (HACC-IOS-SIMULATOR), "
            f"Version {VERSION},",
            "This is a simulated router for tests and drills. It forwards nothing.",
            "",
            f"{device.hostname} uptime is {_span(now - device.booted)}",
            "System returned to ROM by power-on",
            f"System restarted at {stamp(device.booted)}",
            'System image file is "flash:hacc-ios-simulator"',
            "",
            "Configuration register is 0x2102",
            "",
        ]
    )


def _clock(session: Session, args: Args, now: float) -> str:
    return f"*{stamp(now).replace(' UTC', f'.{int(now * 1000) % 1000:03d} UTC')}"


def _interface_brief(session: Session, args: Args, now: float) -> str:
    device = session.device
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


def _archive(session: Session, args: Args, now: float) -> str:
    return session.device.archive.show()


def _differences(session: Session, args: Args, now: float) -> str:
    from .files import parse_path

    archive = session.device.archive
    texts = []
    for name in (args.get("old", "system:running-config"), args.get("new")):
        if name is None:
            name = "system:running-config" if "old" in args else "nvram:startup-config"
        path = parse_path(name)
        text = archive.read(path) if path is not None else None
        if text is None:
            return f"%Error opening {name} (No such file or directory)"
        texts.append(text)
    return archive.differences(*texts)


def _incremental(session: Session, args: Args, now: float) -> str:
    from .files import parse_path

    path = parse_path(args["file"])
    text = session.device.archive.read(path) if path is not None else None
    if text is None:
        return f"%Error opening {args['file']} (No such file or directory)"
    return session.device.archive.incremental(text)


def _timer(session: Session, args: Args, now: float) -> str:
    return session.device.archive.show_timer()


def _privilege(session: Session, args: Args, now: float) -> str:
    return f"Current privilege level is {15 if session.enabled else 1}"


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
)
