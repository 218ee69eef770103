"""What `standby` lines tell the HSRP speaker of this router: our own engine, in IOS's words.

It runs where the router has a forwarding plane (`plane`), on LANs that it shares with routers of
other kinds. Without one the roles follow from configuration (`hsrp`), and nothing is ever said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address

from hacc_agent.hsrp.config import Effect, Group, Track

from .device import Device
from .hsrp import Settings, settings
from .passwords import decode7
from .tree import Section

TEXT = "cisco"  # RFC 2281, 5.1


def groups(device: Device, ports: Mapping[str, str]) -> Iterator[tuple[str, Group]]:
    """The groups that take part, each with the router's name of its interface.

    `ports`: what the interfaces that have a plane are called there.
    """
    for view in device.groups():
        section = device.interface(view.interface)
        port = ports.get(view.interface)
        if section is None or port is None or section.get(f"standby {view.group} ip") is None:
            continue
        yield view.interface, _group(device, port, section, view.interface, view.group)


def objects(device: Device) -> dict[str, bool]:
    """Every tracked object and interface that a group names, and whether it is up.

    One that is not defined takes nothing away: IOS shows it as unknown.
    """
    found: dict[str, bool] = {}
    for view in device.groups():
        section = device.interface(view.interface)
        if section is not None:
            read = settings(device, view.interface, section, view.group)
            found |= {name: up is not False for name, up, _ in read.tracks}
    return found


def _group(device: Device, port: str, section: Section, interface: str, number: int) -> Group:
    read = settings(device, interface, section, number)
    timed = section.get(f"standby {number} timers") is not None
    delays = section.get(f"standby {number} preempt")
    sync = int(delays.args.get("sync", "0")) if delays is not None else 0
    kind, secret = _authentication(device, read)
    return Group(
        name=read.name,
        interface=port,
        version=read.version,
        group=number,
        address=IPv4Address(read.virtual) if read.virtual else None,
        secondaries=tuple(IPv4Address(address) for address in read.secondaries),
        priority=read.priority,
        preempt=read.preempt,
        preempt_minimum_s=read.minimum,
        preempt_reload_s=read.reload if device.boots else 0,
        preempt_sync_s=sync,
        hello_ms=read.hello if timed else None,
        hold_ms=read.hold if timed else None,
        text=secret if kind == "text" else None,
        md5=secret if kind == "md5" else None,
        tracks=tuple(_tracks(read)),
    )


def _tracks(read: Settings) -> Iterator[Track]:
    for name, _, what in read.tracks:
        if what == "shutdown":
            yield Track(name, Effect.SHUTDOWN)
        else:
            yield Track(name, Effect.DECREMENT, int(what.split()[-1]))


def _authentication(device: Device, read: Settings) -> tuple[str, str]:
    """The method, and its word or key."""
    match read.authentication.split():
        case ["md5", "key-string", "7", hidden, *_]:
            return "md5", decode7(hidden) or hidden
        case ["md5", "key-string", key, *_]:
            return "md5", key
        case ["md5", "key-chain", chain]:
            return "md5", _key_of(device, chain)
        case [*_, word]:
            return "text", word
        case _:
            return "text", TEXT


def _key_of(device: Device, chain: str) -> str:
    """Of a chain's first key. Without one nobody's messages hold."""
    for line in device.configuration.starting(f"key chain {chain}"):
        for key in line.body or ():
            for one in key.body or ():
                words = one.text.split()
                if words[:1] == ["key-string"]:
                    return (decode7(words[-1]) or words[-1]) if "7" in words[1:-1] else words[-1]
    return f"no key chain {chain}"
