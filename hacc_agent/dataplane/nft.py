"""A controller's plane where programs are not permitted: nftables maps, filled over netlink.

    home address -> mark: slot + 1 -> MAC addresses and interface

`nft` writes the rules once; bindings come and go by netlink messages of our own, some hundred
thousand a second, since a process for each would take milliseconds. One transaction holds a whole
batch. `nft list table netdev hacc` shows rules, and with a million bindings takes minutes.

What this plane cannot do, and the program in the kernel can: later fragments, errors about tunnels
and the last resort are left to the kernel.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from struct import Struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..engine.record import Records
from .homes import Numbers, ended, held
from .plane import Counted, Neighbour, PlaneFailed, SlotOf

TABLE: Final = "hacc"
CHUNK: Final = 1000  # elements in a message: 64 KiB is the most that an attribute holds
TRANSACTION: Final = 50_000  # elements between two commits: their messages lie in memory

_HEADER: Final = Struct("=IHHIIBBH")  # nlmsghdr, nfgenmsg; the last one in network order
_ATTRIBUTE: Final = Struct("=HH")
_ERROR: Final = Struct("=i")
_MESSAGE: Final = Struct("=IHHII")
_SUBSYSTEM: Final = 10  # NFNL_SUBSYS_NFTABLES
_BEGIN: Final = 16  # NFNL_MSG_BATCH_BEGIN
_END: Final = 17
_NEW: Final = _SUBSYSTEM << 8 | 12  # NFT_MSG_NEWSETELEM
_REMOVE: Final = _SUBSYSTEM << 8 | 14
_REQUEST: Final = 0x1
_ACKNOWLEDGE: Final = 0x4
_CREATE: Final = 0x400
_NESTED: Final = 0x8000
_NETDEV: Final = 5
_RESULT: Final = 2  # NLMSG_ERROR
_BUFFER: Final = 64 << 20
_BUFFER_FORCE: Final = (32, 33)  # SO_SNDBUFFORCE, SO_RCVBUFFORCE

# element > key > value, data > value: the same for all elements of a map, but for both values.
_HEAD: Final = [(name, "=u2") for name in ("s1", "t1", "s2", "t2", "s3", "t3")]
_KEY: Final = np.dtype([*_HEAD, ("key", "V4")])
_DATA: Final = [(name, "=u2") for name in ("s4", "t4", "s5", "t5")]
_ELEMENT: Final = {
    4: np.dtype([*_HEAD, ("key", "V4"), *_DATA, ("value", "V4")]),
    6: np.dtype([*_HEAD, ("key", "V4"), *_DATA, ("value", "V6"), ("pad", "V2")]),
}


def chain(home_agent_address: IPv4Address, interface: str) -> str:
    """What `nft -f` takes for one interface."""
    name = "ingress-" + "".join(one if one.isalnum() else "_" for one in interface)
    return f"""\
table netdev {TABLE} {{
    chain {name} {{
        type filter hook ingress device "{interface}" priority 0;
        ip daddr {home_agent_address} ip frag-off & 0x1fff == 0 goto tunnels
    }}
}}
"""


def rules(port: int, unknown: str) -> str:
    """What `nft -f` takes. Replaces what stands there under our name.

    `unknown`: the statement for tunnels of nobody we know.
    """
    return f"""\
table netdev {TABLE}
delete table netdev {TABLE}
table netdev {TABLE} {{
    map homes {{ typeof @th,96,32 : meta mark; }}
    map macs {{ type mark : ether_addr; }}
    map own {{ type mark : ether_addr; }}
    map interfaces {{ typeof meta mark : meta iif; }}
    counter tunnelled {{ }}
    counter unknown {{ }}
    counter no-member {{ }}
    chain deliver {{
        counter name tunnelled ether daddr set meta mark map @macs \
ether saddr set meta mark map @own fwd to meta mark map @interfaces
        counter name no-member drop
    }}
    chain tunnels {{
        ip protocol 4 meta mark set @th,96,32 map @homes goto deliver
        ip protocol 47 @th,0,32 0x00000800 meta mark set @th,128,32 map @homes goto deliver
        ip protocol 47 @th,0,32 0x20000800 meta mark set @th,160,32 map @homes goto deliver
        ip protocol 55 @th,8,1 1 meta mark set @th,64,32 map @homes goto deliver
        ip protocol 55 @th,8,1 0 meta mark set @nh,96,32 map @homes goto deliver
        udp dport {port} @th,64,16 0x0404 meta mark set @th,192,32 map @homes goto deliver
        ip protocol {{ 4, 47, 55 }} counter name unknown {unknown}
        udp dport {port} @th,64,8 0x04 counter name unknown {unknown}
    }}
}}
"""


class Elements:
    """A netlink socket that adds and removes elements of the table's maps."""

    def __init__(self) -> None:
        self._sequence = itertools.count(1)
        self._socket: Final = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 12
        )  # NETLINK_NETFILTER
        for option in _BUFFER_FORCE:
            self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        self._socket.bind((0, 0))

    def change(
        self, name: str, removed: NDArray[Any], added: NDArray[Any], values: NDArray[Any]
    ) -> None:
        """In one transaction: all of it or nothing. Keys are 4 octets each. Raises `OSError`."""
        if not len(removed) and not len(added):
            return
        messages = [
            *self._messages(name, _REMOVE, 0, _removals(removed)),
            *self._messages(name, _NEW, _CREATE, _additions(added, values)),
        ]
        self._commit(messages)

    def close(self) -> None:
        self._socket.close()

    def _messages(
        self, name: str, kind: int, flags: int, elements: NDArray[Any]
    ) -> Iterator[bytes]:
        head = _attribute(1, TABLE.encode() + b"\0") + _attribute(2, name.encode() + b"\0")
        for at in range(0, len(elements), CHUNK):
            listed = _attribute(3 | _NESTED, elements[at : at + CHUNK].tobytes())
            yield self._message(kind, _REQUEST | flags, head + listed, _NETDEV, 0)

    def _message(self, kind: int, flags: int, body: bytes, family: int, resource: int) -> bytes:
        number = next(self._sequence)
        return (
            _HEADER.pack(
                _HEADER.size + len(body), kind, flags, number, 0, family, 0,
                socket.htons(resource),
            )
            + body
        )  # fmt: skip

    def _commit(self, messages: list[bytes]) -> None:
        begin = self._message(_BEGIN, _REQUEST, b"", 0, _SUBSYSTEM)
        end = self._message(_END, _REQUEST | _ACKNOWLEDGE, b"", 0, _SUBSYSTEM)
        last = _MESSAGE.unpack_from(end)[3]
        self._socket.send(b"".join((begin, *messages, end)))
        wrong = 0
        while True:
            octets, at = self._socket.recv(1 << 20), 0
            while at + _MESSAGE.size <= len(octets):
                size, kind, _, sequence, _ = _MESSAGE.unpack_from(octets, at)
                if kind == _RESULT:
                    wrong = wrong or -_ERROR.unpack_from(octets, at + _MESSAGE.size)[0]
                    if sequence == last or wrong:
                        if wrong:
                            raise OSError(wrong, os.strerror(wrong))
                        return
                at += size + 3 & ~3


class _Others:
    """Marks of addresses outside of all networks: `homes.Others`."""

    def __init__(self) -> None:
        self.marks: dict[int, int] = {}

    def get(self, home: int) -> int:
        return self.marks.get(home, 0)

    def put(self, home: int, number: int) -> None:
        if number:
            self.marks[home] = number
        else:
            self.marks.pop(home, None)


class NftRelay:
    """`plane.RelayPlane` by nftables."""

    kind = "nftables"
    full = 0  # its maps have no bound

    def __init__(
        self,
        home_agent_address: IPv4Address,
        networks: tuple[IPv4Network, ...],
        interfaces: tuple[str, ...],
        slots: NDArray[Any],
        members: int,
        slot_of: SlotOf,
        *,
        port: int = 434,
    ) -> None:
        """`slots`: who serves each now. Raises `PlaneFailed`."""
        self._slot_of = slot_of
        self._address: Final = home_agent_address
        self._port: Final = port
        self._served: Final = slots.astype(np.int64)
        self._where: Final[list[Neighbour | None]] = [None] * members
        self._reached: Final = np.zeros(len(slots), np.bool_)  # slots that lead somewhere
        self._others: Final = _Others()
        arrays = [np.zeros(one.num_addresses, np.uint32) for one in networks]
        self._marks: Final = Numbers(networks, arrays, self._others)
        self._program: Final = shutil.which("nft")
        if self._program is None:
            raise PlaneFailed("nftables: there is no nft; it is in the package nftables")
        self.missing: tuple[str, ...] = ()
        self._chains: dict[str, int] = {}
        self._run(rules(port, "drop"))
        self._elements: Final = Elements()
        self.attach(interfaces)

    def attach(self, interfaces: Iterable[str]) -> None:
        """A chain for each; one of an interface that went, went with it."""
        missing = []
        for name in interfaces:
            try:
                number = socket.if_nametoindex(name)
            except OSError:
                self._chains.pop(name, None)
                missing.append(name)
                continue
            if self._chains.get(name) != number:
                self._run(chain(self._address, name))
                self._chains[name] = number
        self.missing = tuple(missing)

    def load(self, records: Records) -> None:
        kept, _ = held(records)
        known = np.concatenate([self._marks.inside(), np.fromiter(self._others.marks, np.uint32)])
        self._put(np.setdiff1d(known, kept), 0)
        self.follow(records)

    def follow(self, records: Records) -> None:
        homes, marks = held(records)
        last, at = np.unique(homes[::-1], return_index=True)  # of one address the last one counts
        self._put(last, marks[::-1][at])
        left = ended(records)
        found = [self._slot_of(home) for home in left]
        self._put(
            np.array(left, np.uint32),
            np.array([0 if one is None else one + 1 for one in found], np.uint32),
        )

    def repoint(self, slots: Iterable[int], member: int) -> None:
        which = np.fromiter(slots, np.int64)
        self._served[which] = member
        self._lead(which)

    def reach(self, member: int, neighbour: Neighbour | None) -> None:
        self._where[member] = neighbour
        self._lead(np.flatnonzero(self._served == member))

    def counted(self) -> tuple[Counted, ...]:
        done = subprocess.run(
            ["nft", "list", "counters", "table", "netdev", TABLE],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        words = done.stdout.split()
        found = []
        for at, word in enumerate(words):
            if word == "counter":
                name = words[at + 1].replace("-", " ")
                found.append(Counted(name, int(words[at + 4]), int(words[at + 6])))
        return tuple(found)

    def carried(self) -> tuple[Counted, ...]:
        """Not counted here."""
        return ()

    def lead(self, home: int) -> str | None:
        slot = self._marks.get(home) - 1
        if slot < 0:
            return None
        return f"slot {slot}, " + ("to its member" if self._reached[slot] else "nobody is reached")

    def programs(self) -> dict[str, tuple[str, ...]]:
        chains = (chain(self._address, name) for name in self._chains)
        text = rules(self._port, "drop") + "".join(chains)
        return {f"nftables, table netdev {TABLE}": tuple(text.splitlines())}

    def close(self) -> None:
        """The table stays, and packets pass by it."""
        self._elements.close()

    def _run(self, text: str) -> None:
        """Raises `PlaneFailed`."""
        done = subprocess.run(
            [str(self._program), "-f", "-"], input=text, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise PlaneFailed(f"nftables: {' '.join(done.stderr.split())}")

    def _lead(self, slots: NDArray[Any]) -> None:
        """Where packets of these slots go, in one transaction for each of the three maps."""
        marks = slots.astype(np.uint32) + np.uint32(1)
        places = [self._where[member] for member in self._served[slots].tolist()]
        there = np.array([one is not None for one in places], np.bool_)
        before, now = marks[self._reached[slots]], marks[there]
        known = [one for one in places if one is not None]
        interfaces = np.array([one.interface for one in known], np.uint32)
        self._elements.change("interfaces", before, now, interfaces)
        for name, macs in (
            ("own", [one.own_mac for one in known]),
            ("macs", [one.mac for one in known]),
        ):
            octets = b"".join(mac.to_bytes(6, "big") for mac in macs)
            self._elements.change(name, before, now, np.frombuffer(octets, "V6"))
        self._reached[slots] = there

    def _put(self, homes: NDArray[Any], marks: NDArray[Any] | int) -> None:
        """Each address once; mark 0 removes it."""
        wanted = np.broadcast_to(np.asarray(marks, np.uint32), homes.shape)
        had = self._marks.get_many(homes)
        changed = np.flatnonzero(had != wanted)
        for at in range(0, len(changed), TRANSACTION):
            part = changed[at : at + TRANSACTION]
            keys = homes[part].astype(">u4")
            was, now = had[part] > 0, wanted[part] > 0
            self._elements.change("homes", keys[was], keys[now], wanted[part][now])
        self._marks.put_many(homes[changed], wanted[changed])


def _attribute(kind: int, payload: bytes) -> bytes:
    size = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(size, kind) + payload + bytes(-size & 3)


def _removals(keys: NDArray[Any]) -> NDArray[Any]:
    made = np.zeros(len(keys), _KEY)
    head = (16, 1 | _NESTED, 12, 1 | _NESTED, 8, 1)
    for (name, _), number in zip(_HEAD, head, strict=True):
        made[name] = number
    made["key"] = keys.view("V4")
    return made


def _additions(keys: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    octets = values.dtype.itemsize
    kind = _ELEMENT[octets]
    made = np.zeros(len(keys), kind)
    room = 4 + (octets + 3 & ~3)
    head = (4 + 12 + 4 + room, 1 | _NESTED, 12, 1 | _NESTED, 8, 1)
    data = (4 + room, 2 | _NESTED, 4 + octets, 1)
    for (name, _), number in zip((*_HEAD, *_DATA), (*head, *data), strict=True):
        made[name] = number
    made["key"] = keys.view("V4")
    made["value"] = values.view(f"V{octets}")
    return made
