"""Members asked for their load by SNMP: seconds and processor time of a sweep over 5,000.

    python -m bench.snmp

Each member has an address of its own on loopback; one process answers for all of them, so quickly
that what is measured is the asking: version 2c, nine objects in one request, with pysnmp and with
gufo-snmp in the same run. The first sweep also finds out what each router has (`reading`). With
gufo-snmp a sweep has to fit into the usual interval; pysnmp asks as fast as it can, and must lose
nobody. The last lines walk a table of half a million bindings through its order (`order`): how long
packets wait for one step, and how many steps there are in a second.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import Final

import numpy as np

from bench.machine import machine
from hacc_agent.config import MemberKind
from hacc_agent.engine.record import RECORD, Kind
from hacc_agent.engine.snmp import objects
from hacc_agent.engine.snmp.objects import Oid
from hacc_agent.engine.snmp.order import BLOCK, Order
from hacc_agent.engine.table import Table
from hacc_agent.snmp.asking import Sweep
from hacc_agent.snmp.messages import Asked, Whom
from hacc_agent.snmp.reader import Access, SnmpReader, Unanswered
from hacc_agent.snmp.with_gufo import GufoReader
from hacc_agent.snmp.with_pysnmp import PysnmpReader

MEMBERS = 5_000
INTERVAL_S = 5.0  # limit with gufo-snmp: health.snmp_interval_s as it usually is
PORT = 43161
FIRST = int(IPv4Address("127.80.0.1"))
COMMUNITY = "bench"
BINDINGS = 500_000
STALL_S = 0.020  # limit: one turn of the loop that packets wait for

HAS: Final[dict[Oid, bytes]] = {  # Gauge32 5: it is within all limits
    (*name, *instance): b"\x42\x01\x05"
    for name, instance in (
        (objects.CISCO_MEMORY_POOL_USED, (1,)),
        (objects.CISCO_MEMORY_POOL_FREE, (1,)),
        (objects.C_HSRP_GRP_STANDBY_STATE, (2, 10)),
        (objects.CPM_CPU_TOTAL_5SEC_REV, (1,)),
        (objects.CMI_HA_REG_TOTAL_MOBILITY_BINDINGS, (0,)),
        (objects.CMI_HA_REG_TOTAL_PROC_LOC_REGS, (0,)),
    )
}
IP_PKTINFO: Final = 8  # linux/in.h; Python has no name for it
IN_PKTINFO: Final = struct.Struct("I4s4s")

# ---------------------------------------------------------------------- all routers, in one process


def _ber(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 128:
        return bytes((tag, length)) + content
    return bytes((tag, 0x82)) + length.to_bytes(2, "big") + content


def _name(name: Oid) -> bytes:
    octets = bytearray((40 * name[0] + name[1],))
    for number in name[2:]:
        part = [number & 0x7F]
        while number := number >> 7:
            part.append(number & 0x7F | 0x80)
        octets += bytes(reversed(part))
    return _ber(6, bytes(octets))


def _fields(octets: bytes, at: int, end: int) -> list[tuple[int, int, int]]:
    """Tag, start and end of the contents of each element."""
    found = []
    while at < end:
        tag, length, at = octets[at], octets[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(octets[at : at + count], "big"), at + count
        found.append((tag, at, at + length))
        at += length
    return found


def answer_all(ready: Callable[[], None]) -> None:
    """Every address of loopback at once, until the process is ended."""
    names = sorted(HAS)
    whole = {_name(name): _ber(0x30, _name(name) + HAS[name]) for name in names}
    after = {  # of a column: its first object
        _name(name[:length]): whole[_name(name)]
        for name in reversed(names)
        for length in range(len(name) - 1, 8, -1)
    }
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        port.bind(("", PORT))
        ready()
        while True:
            octets, control, _, source = port.recvmsg(2048, 64)
            _, start, end = _fields(octets, 0, len(octets))[0]
            _, _, (pdu, start, end) = _fields(octets, start, end)
            (_, first, last), _, _, (_, start, end) = _fields(octets, start, end)
            request = octets[first - 2 : last]
            asked = [
                octets[at : _fields(octets, at, to)[0][2]]
                for _, at, to in _fields(octets, start, end)
            ]
            known = whole if pdu == 0xA0 else after  # GETNEXT and GETBULK: the first one of each
            binds = b"".join(known.get(name) or _ber(0x30, name + b"\x82\x00") for name in asked)
            answer = _ber(0xA2, request + b"\x02\x01\x00\x02\x01\x00" + _ber(0x30, binds))
            answer = _ber(0x30, b"\x02\x01\x01" + _ber(4, COMMUNITY.encode()) + answer)
            address = IN_PKTINFO.unpack(control[0][2])[2]
            back = (socket.IPPROTO_IP, IP_PKTINFO, IN_PKTINFO.pack(0, address, bytes(4)))
            port.sendmsg([answer], [back], 0, source)


# ---------------------------------------------------------------------- the asking


async def sweeps(make: Callable[[Access, int], SnmpReader]) -> list[tuple[float, float, int]]:
    """Of two sweeps: seconds, processor seconds, members that did not answer.

    As many at once as the timetable allows, without its pauses.
    """
    members = tuple(Whom(MemberKind.IOS, (str(IPv4Address(FIRST + n)),)) for n in range(MEMBERS))
    asked = Asked(Access(2, COMMUNITY), PORT, INTERVAL_S, members)
    reader = make(asked.access, PORT)
    sweep = Sweep(asked, reader, None)
    found = []
    for _ in range(2):
        left = iter(range(MEMBERS))

        async def ask(left: Iterator[int] = left) -> int:
            lost = 0
            for member in left:
                try:
                    figures = await sweep.ask(member)
                    lost += figures.bindings is None
                except Unanswered:
                    lost += 1
            return lost

        began = time.perf_counter(), time.process_time()
        lost = sum(await asyncio.gather(*(ask() for _ in range(reader.at_once))))
        found.append((time.perf_counter() - began[0], time.process_time() - began[1], lost))
    reader.close()
    return found


def _in_a_process(make: Callable[[Access, int], SnmpReader], results: object) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    results.put(asyncio.run(sweeps(make)))  # type: ignore[attr-defined]  # a queue has no type here


def ask_everybody() -> int:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    routers = context.Process(target=answer_all, args=(ready.set,), daemon=True)
    routers.start()
    assert ready.wait(30), "the routers do not answer"
    code = 0
    try:
        for name, make, limit in (
            ("pysnmp", PysnmpReader, None),
            ("gufo-snmp", GufoReader, INTERVAL_S),
        ):
            results = context.Queue()
            asking = context.Process(target=_in_a_process, args=(make, results), daemon=True)
            asking.start()
            for sweep, (seconds, processor, lost) in zip(
                ("first", "each"), results.get(timeout=600), strict=True
            ):
                late = limit is not None and sweep == "each" and seconds > limit
                code |= late or lost > 0
                beside = "" if limit is None else f" (limit {limit:.0f} s)"
                print(
                    f"{name:10} {sweep:5} sweep of {MEMBERS:,}: {seconds:6.2f} s{beside}, "
                    f"{processor:6.2f} s of processor, {MEMBERS / seconds:6,.0f} members/s, "
                    f"{lost} without an answer"
                )
            asking.join()
    finally:
        routers.kill()
        routers.join()
    return code


# ---------------------------------------------------------------------- the table


def walk_the_table() -> int:
    table = Table(int(1.25 * BINDINGS), 7)
    records = np.zeros(BINDINGS, RECORD)
    records["kind"] = Kind.BINDING
    records["home_address"] = np.random.default_rng(7).permutation(BINDINGS) + 0x0A000000
    records["care_of_address"] = 0xC0000201
    records["lifetime"] = 600
    table.apply(records)
    began = time.process_time()
    order = Order(table, 0.0)
    built = time.process_time() - began
    worst, count, key = 0.0, 0, 0
    began = time.process_time()
    now = order.due
    while (turn := time.process_time()) and (step := order.least(key, inclusive=False)):
        key = step[0]
        count += 1
        if count % 10_000 == 0:
            now = order.due
            order.look(table, now)
        worst = max(worst, time.process_time() - turn)
    seconds = time.process_time() - began
    print(
        f"order of {BINDINGS:,} bindings: made in {built * 1000:.0f} ms in blocks of {BLOCK:,}; "
        f"walked, {count / seconds:,.0f} steps/s, the longest one {worst * 1000:.1f} ms "
        f"(limit {STALL_S * 1000:.0f} ms)"
    )
    return int(worst > STALL_S or count != BINDINGS)


def main() -> int:
    code = ask_everybody() | walk_the_table()
    print(machine())
    return code


if __name__ == "__main__":
    sys.exit(main())
