"""What `snmp-server` lines make readable of a router: objects by the names that IOS has for them.

System, interfaces, processor and memory as `show` prints them, its standby groups, its neighbours
by CDP, and as a Home Agent its bindings. It says of itself that it is a simulator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address

from hacc_agent.engine.effects import Moment
from hacc_agent.engine.snmp import objects
from hacc_agent.engine.snmp.objects import Oid
from hacc_agent.engine.snmp.order import Order
from hacc_agent.engine.snmp.view import Bindings, Leaves, Part, Value, View
from hacc_agent.wire.agentx import Kind

from .device import VERSION, Device
from .network import network_with
from .show import POOL_FREE, POOL_USED

FRESH_S = 1.0
"""How old may be what is told."""

BUSY_PERCENT = 1
STATES = ("Init", "Learn", "Listen", "Speak", "Standby", "Active")
"""From 1 (cHsrpGrpStandbyState)."""

_SYS_DESCR = objects.oid("1.3.6.1.2.1.1.1.0")
_SYS_NAME = objects.oid("1.3.6.1.2.1.1.5.0")


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read: communities, and users of version 3 with both keys."""

    communities: tuple[str, ...]
    users: tuple[tuple[str, str, str], ...] = field(repr=False)  # name, SHA, AES-128


def access(device: Device) -> Access:
    """As the lines say now. Other algorithms and levels are carried, and not acted upon."""
    root = device.configuration
    private = {
        line.args["group"]
        for line in root.starting("snmp-server group")
        if line.args.get("level") == "priv"
    }
    users = [
        (line.args["user"], line.args["auth_key"], line.args["priv_key"])
        for line in root.starting("snmp-server user")
        if line.args["group"] in private
        and line.args.get("auth") == "sha"
        and line.args.get("bits") == "128"
    ]
    communities = [line.args["community"] for line in root.starting("snmp-server community")]
    return Access(tuple(communities), tuple(users))


def view(device: Device, clock: Callable[[], Moment]) -> View:
    """All of it at one moment."""
    now = clock()
    values = dict(_values(device, now))
    parts: list[Part] = [Leaves(values, lambda _: values)]
    if device.home_agent is not None:
        parts.append(Bindings(Order(device.home_agent.table, now.steady)))
    return View(parts)


def _values(device: Device, now: Moment) -> Iterator[tuple[Oid, Value]]:
    up = int((now.wall - device.booted) * 100) & 0xFFFF_FFFF
    yield _SYS_DESCR, _text(f"HACC IOS simulator, no Cisco software, Version {VERSION}")
    yield (*objects.SYS_UP_TIME, 0), (Kind.TIME_TICKS, up)
    yield _SYS_NAME, _text(device.hostname)
    yield (*objects.CPM_CPU_TOTAL_5SEC_REV, 1), (Kind.GAUGE32, BUSY_PERCENT)
    yield (*objects.CISCO_MEMORY_POOL_NAME, 1), _text("Processor")
    yield (*objects.CISCO_MEMORY_POOL_USED, 1), (Kind.GAUGE32, POOL_USED)
    yield (*objects.CISCO_MEMORY_POOL_FREE, 1), (Kind.GAUGE32, POOL_FREE)
    numbers = {name: number for number, (name, _) in enumerate(device.interfaces(), 1)}
    for name, number in numbers.items():
        yield (*objects.IF_INDEX, number), (Kind.INTEGER, number)
        yield (*objects.IF_DESCR, number), _text(name)
    network = network_with(device)
    for group in device.groups():
        role = network.role(device, group.interface, group.group, now.wall)
        row = (numbers[group.interface], group.group)
        yield (
            (*objects.C_HSRP_GRP_STANDBY_STATE, *row),
            (
                Kind.INTEGER,
                1 + STATES.index(role.state),
            ),
        )
        for column, member in ((13, role.active), (14, role.standby)):
            yield (
                (*objects.C_HSRP_GRP_ENTRY, column, *row),
                _address(member.address if member is not None else "0.0.0.0"),
            )
        if group.addresses:
            yield (*objects.C_HSRP_GRP_ENTRY, 11, *row), _address(group.addresses[0])
    yield from _neighbours(device, numbers, now.wall)
    yield from _home_agent(device)


def _neighbours(device: Device, numbers: dict[str, int], now: float) -> Iterator[tuple[Oid, Value]]:
    for number, one in enumerate(network_with(device).neighbours(device, now), 1):
        row = (numbers[one.interface], number)
        for address in one.addresses[:1]:
            packed = IPv4Address(address).packed
            yield (*objects.CDP_CACHE_ADDRESS, *row), (Kind.OCTET_STRING, packed)
        yield (*objects.CDP_CACHE_DEVICE_ID, *row), _text(one.name)
        yield (*objects.CDP_CACHE_DEVICE_PORT, *row), _text(one.port)
        yield (*objects.CDP_CACHE_PLATFORM, *row), _text(one.platform)


def _home_agent(device: Device) -> Iterator[tuple[Oid, Value]]:
    home = device.home_agent
    if home is None:
        return
    counters = home.counters
    bindings = int(home.table.count_by_slot().sum())
    yield (*objects.CMI_HA_REG_TOTAL_MOBILITY_BINDINGS, 0), (Kind.GAUGE32, bindings)
    yield (*objects.CMI_HA_REG_TOTAL_PROC_LOC_REGS, 0), _counter(sum(counters.requests))
    yield (*objects.CMI_HA_REG_REQUESTS_RECEIVED, 0), _counter(sum(counters.requests))
    yield (*objects.CMI_HA_REG_REQUESTS_DENIED, 0), _counter(sum(counters.codes[2:]))
    limit = home.config.max_bindings or 0
    yield (*objects.CMI_HA_MAXIMUM_BINDINGS, 0), (Kind.GAUGE32, limit)
    for name, number in objects.HA_REGISTRATION_SCALARS.items():
        yield (*objects.HA_REGISTRATION, number, 0), _counter(counters.mib()[name])


def _text(text: str) -> Value:
    return Kind.OCTET_STRING, text.encode()


def _counter(count: int) -> Value:
    return Kind.COUNTER32, count & 0xFFFF_FFFF


def _address(text: str) -> Value:
    try:
        return Kind.IP_ADDRESS, IPv4Address(text).packed
    except AddressValueError:
        return Kind.IP_ADDRESS, bytes(4)
