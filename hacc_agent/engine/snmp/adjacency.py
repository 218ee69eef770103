"""What a router knows of its neighbours on layer 2, read from its tables of CDP and of LLDP.

    protocol   who serves it            name, port and address of a neighbour
    CDP        IOS: CISCO-CDP-MIB       cdpCacheDeviceId, DevicePort, Address
    LLDP       IOS, snmpd with lldpd    lldpRemSysName, PortDesc, index of ManAddrTable

Both are asked for; the first that has an entry is read, `MOST` of them. Columns are walked one by
one, so an entry that goes meanwhile has fewer fields, and no neighbour gets another one's.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Final, NamedTuple

from . import objects
from .objects import Oid, Value, below
from .traps import shown

MOST: Final = 64
"""Neighbours of one router: a segment with more has other problems."""

_IPV4: Final = 4  # octets
_IPV4_FAMILY: Final = 1  # IANA, AddressFamilyNumbers


class Protocol(enum.StrEnum):
    """In the order in which they are looked for."""

    CDP = "CDP"
    LLDP = "LLDP"


class Sighting(NamedTuple):
    """A neighbour, as a router describes it."""

    name: str
    port: str  # of the neighbour
    address: str  # "": it has told none


class Table(NamedTuple):
    """Where a protocol's neighbours stand: columns with the same index."""

    name: Oid
    port: Oid
    address: Oid


TABLES: Final[Mapping[Protocol, Table]] = {
    Protocol.CDP: Table(
        objects.CDP_CACHE_DEVICE_ID, objects.CDP_CACHE_DEVICE_PORT, objects.CDP_CACHE_ADDRESS
    ),
    Protocol.LLDP: Table(
        objects.LLDP_REM_SYS_NAME,
        objects.LLDP_REM_PORT_DESC,
        objects.LLDP_REM_MAN_ADDR_IF_SUBTYPE,
    ),
}

Row = tuple[Oid, Value]


def sightings(
    protocol: Protocol, names: Sequence[Row], ports: Sequence[Row], addresses: Sequence[Row]
) -> tuple[Sighting, ...]:
    """Those that have a name, in the order of the table."""
    table = TABLES[protocol]
    known_ports = dict(_by_index(table.port, ports))
    known_addresses = dict(_ADDRESSES[protocol](addresses))
    return tuple(
        Sighting(shown(name), _text(known_ports.get(index)), known_addresses.get(index, ""))
        for index, name in _by_index(table.name, names)
        if isinstance(name, bytes) and name
    )


def _by_index(column: Oid, rows: Sequence[Row]) -> list[tuple[Oid, Value]]:
    return [(index, value) for name, value in rows if (index := below(name, column)) is not None]


def _cdp_addresses(rows: Sequence[Row]) -> list[tuple[Oid, str]]:
    return [
        (index, str(IPv4Address(value)))
        for index, value in _by_index(objects.CDP_CACHE_ADDRESS, rows)
        if isinstance(value, bytes) and len(value) == _IPV4
    ]


def _lldp_addresses(rows: Sequence[Row]) -> list[tuple[Oid, str]]:
    """The address is a part of the index."""
    found = []
    for index, _ in _by_index(objects.LLDP_REM_MAN_ADDR_IF_SUBTYPE, rows):
        of, family, octets = index[:3], index[3:5], index[5:]
        if family == (_IPV4_FAMILY, _IPV4) and len(octets) == _IPV4 and max(octets) < 256:
            found.append((of, str(IPv4Address(bytes(octets)))))
    return found


_ADDRESSES: Final[Mapping[Protocol, Callable[[Sequence[Row]], list[tuple[Oid, str]]]]] = {
    Protocol.CDP: _cdp_addresses,
    Protocol.LLDP: _lldp_addresses,
}


def _text(value: Value) -> str:
    return shown(value) if isinstance(value, bytes) else ""
