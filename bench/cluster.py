"""What a controller's decisions cost: processor time for one registration, request and reply.

    python -m bench.cluster

The table holds 1,000,000 bindings; mobile nodes register again in random order, or for the first
time (an attach storm). Everything is done but the system calls: reading, lookups, the pending
binding, its records, and the permanent one with its record. The budget is what is left beside a C
relay that does nothing but the system calls, 6.6 us a registration, when ours takes 5.6 for them
with UDP_SEGMENT.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from ipaddress import IPv4Address
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.machine import machine
from hacc_agent.config import Admission as Limits
from hacc_agent.config import (
    AgentConfig,
    Health,
    LanAddress,
    Member,
    MemberKind,
    Replay,
    Role,
    Selection,
    Transport,
    Weights,
)
from hacc_agent.engine.batch import Batch, datagram
from hacc_agent.engine.cluster import Cluster, LeastLoaded
from hacc_agent.engine.effects import Endpoint, Moment, Relay
from hacc_agent.engine.kernels.relaying import fit
from hacc_agent.engine.record import RECORD, Kind
from hacc_agent.engine.slots import Slots
from hacc_agent.engine.table import Table
from hacc_agent.wire import (
    Algorithm,
    ExtensionType,
    Key,
    NetworkAccessIdentifier,
    RegistrationReply,
    RegistrationRequest,
    RequestFlags,
    authenticate,
)

BINDINGS = 1_000_000
ROUNDS = 5
REGISTRATIONS = 20_480  # of each row in a round
SINGLE = 2_048
LIMITS: dict[str, dict[int, float | None]] = {  # us: way of registering -> size of batch -> limit
    "again": {8: 4.0, 64: None, 256: 1.0},
    "again, NAI": {8: None, 256: 1.5},
    "again, NAI of 8 lengths": {256: 1.5},
    "again, by NAI alone": {256: 1.5},
    "for the first time": {256: 1.5},
    "for the first time, NAI": {256: 2.0},
    "one by one": {1: 40.0},
}
BASE = int(IPv4Address("10.0.0.0"))
VIRTUAL = IPv4Address("198.19.0.1")
AGENTS = [int(IPv4Address("198.18.9.1")) + n for n in range(16)]
MEMBERS = [IPv4Address("198.18.1.21") + n for n in range(4)]
ADDRESSES = [int(address) for address in MEMBERS]
KEY = Key(Algorithm.HMAC_MD5, bytes(range(16)))
WIDTH = 256
LOTS = 10_000_000
NAMED = 65_536  # bindings of each way with an NAI


def configuration() -> AgentConfig:
    members = tuple(
        Member(f"ha{n}", MemberKind.LINUX, False, 1, LOTS, (), (LanAddress("core", address),))
        for n, address in enumerate(MEMBERS)
    )
    return AgentConfig(
        "bench", "hacc1", Role.CONTROLLER, VIRTUAL, (), 1800, Replay.TIMESTAMP, 7, 15, None,
        (), (), (), members, Selection(0.1, Weights(1, 1, 1)), Health(100, 3, 5, 95, 3), None,
        (), (), (), Transport.UDP, admission=Limits(LOTS, LOTS, LOTS, LOTS),
    )  # fmt: skip


class Form:
    """Octets of a request and of its reply; home address, Identification and NAI are filled in."""

    def __init__(self, nai: bytes | None, home: bool = True) -> None:
        names = () if nai is None else (NetworkAccessIdentifier(nai),)
        address = IPv4Address(BASE if home else 0)
        request = RegistrationRequest(
            RequestFlags.REVERSE_TUNNEL, 1800, address, VIRTUAL, IPv4Address(AGENTS[0]), 1, names
        )
        reply = RegistrationReply(0, 1800, IPv4Address(BASE), VIRTUAL, 1, names)
        self.home = home
        self.nai = nai
        kind = ExtensionType.MOBILE_HOME_AUTHENTICATION
        self.request = authenticate(request.to_bytes(), kind, 256, KEY)
        self.reply = authenticate(reply.to_bytes(), kind, 256, KEY)

    def write(
        self,
        batch: Batch,
        rows: NDArray[Any],
        octets: bytes,
        mobiles: NDArray[Any],
        identifications: NDArray[Any],
    ) -> None:
        """These rows of a batch are this message, each of its own mobile node."""
        batch.octets[rows, : len(octets)] = np.frombuffer(octets, np.uint8)
        batch.length[rows] = len(octets)
        is_request = octets is self.request
        if self.home or not is_request:
            batch.octets[rows, 4:8] = (BASE + mobiles).astype(">u4").view(np.uint8).reshape(-1, 4)
        at = 16 if is_request else 12
        batch.octets[rows, at : at + 8] = (
            identifications.astype(">u8").view(np.uint8).reshape(-1, 8)
        )
        if self.nai is not None:
            at = octets.index(self.nai)
            for row, mobile in zip(rows.tolist(), mobiles.tolist(), strict=True):
                digits = np.frombuffer(b"%08d" % mobile, np.uint8)
                batch.octets[row, at : at + 8] = digits


def nai_form(octets: int, home: bool = True) -> Form:
    """With an NAI of this many octets, the first 8 of them the mobile node's number."""
    return Form(b"00000000".ljust(octets - 12, b"x") + b"@example.net", home)


FORMS = {
    "again": [Form(None)],
    "again, NAI": [nai_form(24)],
    "again, NAI of 8 lengths": [nai_form(octets) for octets in range(20, 36, 2)],
    "again, by NAI alone": [nai_form(24, home=False)],
    "for the first time": [Form(None)],
    "for the first time, NAI": [nai_form(24, home=False)],
    "one by one": [Form(None)],
}


class Bench:
    """A controller and those who register with it."""

    def __init__(self) -> None:
        self.table = Table(2 * BINDINGS, 1)
        self.pending = self.table.beside(65_536)
        self.slots = Slots(len(MEMBERS))
        self.cluster = Cluster(configuration(), self.table, self.pending, self.slots, LeastLoaded())
        self.random = np.random.default_rng(3)
        self.orders = {count: self.random.permutation(count) for count in (BINDINGS, NAMED)}
        self.place = 0
        self.next = BINDINGS
        self.named: dict[str, int] = {}
        self.identification = 1
        self.rings: dict[int, tuple[Batch, Batch]] = {}  # as a shell has them
        self.now = Moment(1000.0, 1.7e9)

    def fill(self) -> None:
        """Bindings by address, and behind them some by NAI."""
        for first in range(0, BINDINGS, 4096):
            self.put(np.arange(first, min(first + 4096, BINDINGS)), 0)
        for way, forms in FORMS.items():
            if way.startswith("again, "):
                self.fill_named(way, forms)

    def put(self, mobiles: NDArray[Any], names: NDArray[Any] | int) -> None:
        records = np.zeros(len(mobiles), RECORD)
        records["kind"] = Kind.BINDING
        records["slot"] = mobiles % len(self.slots)
        records["home_address"] = BASE + mobiles
        records["care_of_address"] = records["source_address"] = AGENTS[0]
        records["lifetime"], records["expires"] = 1800, 1_000_000
        records["home_agent"] = int(VIRTUAL)
        records["nai"] = names
        self.table.apply(records)

    def fill_named(self, way: str, forms: list[Form]) -> None:
        mobiles = np.arange(self.next, self.next + NAMED)
        self.next += NAMED
        self.named[way] = int(mobiles[0])
        names = [
            self.table.names.introduce(
                (forms[n % len(forms)].nai or b"").replace(b"0" * 8, b"%08d" % n)
            )[0]
            for n in mobiles.tolist()
        ]
        self.put(mobiles, np.array(names, np.uint64))

    def who(self, way: str, size: int) -> NDArray[Any]:
        if way.startswith("for the first time"):
            self.next += size
            return np.arange(self.next - size, self.next)
        first, count = (self.named[way], NAMED) if way in self.named else (0, BINDINGS)
        self.place += size
        start = self.place % (count - size)
        return first + self.orders[count][start : start + size]

    def batches(self, way: str, size: int) -> tuple[Batch, Batch]:
        """Requests, and the replies to them; who sends the replies is to be filled in."""
        mobiles = self.who(way, size)
        numbers = np.arange(self.identification, self.identification + size)
        self.identification += size
        if size not in self.rings:
            self.rings[size] = empty(size), empty(size)
        request, reply = self.rings[size]
        forms = FORMS[way]
        for n, form in enumerate(forms):
            rows = np.flatnonzero(mobiles % len(forms) == n)
            form.write(request, rows, form.request, mobiles[rows], numbers[rows])
            form.write(reply, rows, form.reply, mobiles[rows], numbers[rows])
        request.address[:] = np.array(AGENTS)[mobiles % len(AGENTS)]
        return request, reply

    def registrations(self, way: str, size: int) -> float:
        """us of processor time for one."""
        if way == "one by one":
            return self.one_by_one()
        spent = 0.0
        for _ in range(REGISTRATIONS // size):
            request, reply = self.batches(way, size)
            start = time.process_time()
            outcome = self.cluster.receive_batch(request, self.now)
            spent += time.process_time() - start
            relayed = len(outcome.to_member) + sum(
                isinstance(effect, Relay) for effect in outcome.effects
            )
            assert relayed == size, outcome
            reply.address[outcome.to_member] = np.array(ADDRESSES)[outcome.member]
            alone = [effect.member for effect in outcome.effects if isinstance(effect, Relay)]
            rest = np.setdiff1d(np.arange(size), outcome.to_member)
            reply.address[rest] = np.array(ADDRESSES)[alone]
            start = time.process_time()
            outcome = self.cluster.receive_batch(reply, self.now)
            spent += time.process_time() - start
        assert not len(self.pending)
        return spent / (REGISTRATIONS // size * size) * 1e6

    def one_by_one(self) -> float:
        """Datagrams that are not plain, and routers with little to do, pay this."""
        spent = 0.0
        for _ in range(SINGLE // 64):
            request, reply = self.batches("one by one", 64)
            asking = [datagram(request, row) for row in range(64)]
            start = time.process_time()
            effects = [self.cluster.receive(*each, self.now) for each in asking]
            spent += time.process_time() - start
            relayed = [each for said in effects for each in said if isinstance(each, Relay)]
            answering = [
                (datagram(reply, row)[0], Endpoint(ADDRESSES[relay.member], 434))
                for row, relay in enumerate(relayed)
            ]
            start = time.process_time()
            for each in answering:
                self.cluster.receive(*each, self.now)
            spent += time.process_time() - start
        assert not len(self.pending)
        return spent / SINGLE * 1e6


def empty(size: int) -> Batch:
    return Batch(
        np.zeros((size, WIDTH), np.uint8),
        np.zeros(size, np.int64),
        np.zeros(size, np.uint32),
        np.full(size, 434, np.uint16),
        np.zeros(size, np.uint64),
        size,
    )


def main() -> int:
    bench = Bench()
    start = time.process_time()
    bench.fill()
    bench.cluster.quicken(fit)
    bench.registrations("for the first time", 64)  # loads what is compiled
    gc.freeze()
    print(f"{len(bench.table):,} bindings in {time.process_time() - start:.1f} s", flush=True)
    missed = 0
    for way, sizes in LIMITS.items():
        for size, limit in sizes.items():
            cost = statistics.median(bench.registrations(way, size) for _ in range(ROUNDS))
            missed += limit is not None and cost > limit
            bound = "" if limit is None else f"   limit {limit:g}"
            print(f"{way:24} batch {size:4} {cost:7.2f} us/registration{bound}", flush=True)
    print(machine())
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
