"""What a failover costs before anything leaves the machine, with 500,000 bindings on the member.

    python -m bench.failover_compute

Processor time of one round of each step, medians and worst of several:

    decision    the member is down -> its slots rewritten over three survivors, and the records
    transfer    all of its bindings, with their names, as records in blocks
    takeover    the same records put by an heir that has none of them
    portion     the longest that one block keeps either of them from its packets

A router under such a load works on its table with compiled code, and so do the heirs here. Limits
are those of the failover: 5 ms until both planes are switched, of which this is the part before the
data plane's own stores; 3 s until the heir has got everything, of which transfer and takeover are
parts, on two machines.
"""

from __future__ import annotations

import statistics
import sys
import time
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import numpy as np

from bench.machine import machine
from hacc_agent.config import (
    AgentConfig,
    Health,
    Lan,
    LanAddress,
    Member,
    MemberKind,
    Realm,
    Replay,
    Role,
    Selection,
    Weights,
)
from hacc_agent.engine.cluster import Cluster, LeastLoaded
from hacc_agent.engine.effects import Moment, Transfer
from hacc_agent.engine.home_agent import HomeAgent
from hacc_agent.engine.kernels.replaying import warm
from hacc_agent.engine.record import RECORD, Kind, name_records
from hacc_agent.engine.slots import Slots
from hacc_agent.engine.table import Table

BINDINGS = 500_000
MEMBERS = 4
ROUNDS = 3
NOW = Moment(1.7e9, 1.7e9)
LIMITS_MS = {
    "decision": 5.0,
    "transfer": 1500.0,
    "takeover": 1500.0,
    "transfer, one block": 20.0,
    "takeover, one block": 20.0,
}


def configuration(role: Role = Role.CONTROLLER) -> AgentConfig:
    network = IPv4Network("10.0.0.0/8")
    addresses = [IPv4Address("198.18.1.21") + n for n in range(MEMBERS)]
    members = tuple(
        Member(f"ha{n}", MemberKind.LINUX, False, 1, 2 * BINDINGS, (), (LanAddress("core", at),))
        for n, at in enumerate(addresses)
    )
    member = role is not Role.CONTROLLER
    return AgentConfig(
        "bench", "ha1" if member else "hacc1", role, IPv4Address("198.19.0.1"), (network,), 1800,
        Replay.TIMESTAMP, 7, 15, 2 * BINDINGS if member else None,
        (Lan("core", "lan", IPv4Interface(f"{addresses[1]}/24")),), (), (), members,
        Selection(0.1, Weights(1, 1, 1)), Health(100, 3, 5, 95, 3), None,
        (Realm("@example.net", network, network, 1800),), (), (),
    )  # fmt: skip


def records(named: bool) -> bytes:
    """Bindings of the first member, evenly in its slots."""
    rows = np.zeros(BINDINGS, RECORD)
    numbers = np.arange(BINDINGS, dtype=np.uint32)
    rows["kind"] = Kind.BINDING
    rows["slot"] = numbers % 64
    rows["home_address"] = 0x0A00_0000 + numbers
    rows["care_of_address"] = rows["source_address"] = int(IPv4Address("198.18.9.1"))
    rows["lifetime"] = 1800
    rows["expires"] = int(NOW.steady) + 1800
    rows["identification"] = (numbers.astype(np.uint64) << np.uint64(32)) + np.uint64(1)
    rows["spi"] = 256
    if not named:
        return rows.tobytes()
    hashes = Table(16, 1)
    log = []
    for first in range(0, BINDINGS, 4096):  # a table forgets names that no row asks for
        for number in range(first, min(first + 4096, BINDINGS)):
            nai = b"subscriber%d@example.net" % number
            hashed = hashes.hash_nai(nai)
            rows["nai"][number] = hashed
            log.append(name_records(nai, hashed))
        log.append(rows[first : first + 4096].tobytes())
    return b"".join(log)


def one_round(log: bytes) -> dict[str, float]:
    """ms of processor time."""
    table = Table(BINDINGS + 1024, 1)
    table.apply(log)
    cluster = Cluster(configuration(), table, table.beside(1024), Slots(MEMBERS), LeastLoaded())
    cluster.weigh()
    began = time.process_time()
    effects = cluster.fail_over({0}, {1, 2, 3}, NOW)
    costs = {"decision": time.process_time() - began}
    heirs = [effect for effect in effects if isinstance(effect, Transfer)]
    assert sum(len(heir.slots) for heir in heirs) == 64
    slots = [slot for heir in heirs for slot in heir.slots]
    blocks, gaps = [], []
    took = cluster.bindings_of(slots)
    began = mark = time.process_time()
    for block in took:
        blocks.append(block)
        gaps.append(time.process_time() - mark)
        mark = time.process_time()
    costs["transfer"] = time.process_time() - began
    costs["transfer, one block"] = max(gaps)
    heir = HomeAgent(configuration(Role.HOME_AGENT), Table(BINDINGS + 1024, 1), bytes)
    heir.begin_anew(NOW)
    gaps = []
    began = mark = time.process_time()
    for block in blocks:
        heir.take_over(block, 0.0, NOW)
        gaps.append(time.process_time() - mark)
        mark = time.process_time()
    costs["takeover"] = time.process_time() - began
    costs["takeover, one block"] = max(gaps)
    return {step: 1000 * seconds for step, seconds in costs.items()}


def main() -> int:
    missed = False
    warm()
    print(f"{BINDINGS:,} bindings of one member, {ROUNDS} rounds; ms of processor time")
    for named in (False, True):
        log = records(named)
        rounds = [one_round(log) for _ in range(ROUNDS)]
        for step, limit in LIMITS_MS.items():
            found = [each[step] for each in rounds]
            median = statistics.median(found)
            verdict = "" if median <= limit else "  MISSED"
            missed |= median > limit
            print(
                f"{step + (', NAIs' if named else ''):28} {median:8.2f}  worst {max(found):8.2f}"
                f"  limit {limit:7.1f}{verdict}"
            )
    print(machine())
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
