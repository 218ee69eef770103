"""What a registration costs a member: processor time of one `HomeAgent.receive`.

    python -m bench.home_agent

Each row is a stream of requests of many subscribers, each one different, as they come in service:
verified, decided on, put into the table, answered and signed; one by one, and in batches by the
compiled code that serves under load. What the shell adds (system calls, the journal) is not in it.
Rows are interleaved; the unit is `hmac.digest` over one request in the same round, since ratios
hold on a busy machine and absolute numbers move with it.
"""

from __future__ import annotations

import gc
import hmac
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import numpy as np

from bench.machine import machine
from hacc_agent.config import (
    AddressRange,
    AgentConfig,
    Algorithm,
    Health,
    Lan,
    LanAddress,
    Member,
    MemberKind,
    Node,
    Realm,
    Replay,
    Role,
    Security,
    Selection,
    Weights,
)
from hacc_agent.engine.batch import Batch
from hacc_agent.engine.effects import Endpoint, Moment, Send
from hacc_agent.engine.home_agent import HomeAgent
from hacc_agent.engine.home_agent.replay import timestamp
from hacc_agent.engine.kernels import md5, serving
from hacc_agent.engine.table import Table
from hacc_agent.wire import (
    ExtensionType,
    Key,
    NetworkAccessIdentifier,
    RegistrationRequest,
    ReplyCode,
    RequestFlags,
    authenticate,
)

ROUNDS = 7
SUBSCRIBERS = 2_000  # of each kind
PEER = "hmac.digest of a request"
LIMIT = 16.0
"""Of a renewal, in units of PEER, 1.5 us. A member has to reach 0.4 of a C relay that takes 11.9 us
a registration: 30 us, of which the kernel takes 6. Half of the limit would be good."""

BATCHES = (256, 8)  # datagrams of one system call: under load, and hardly any
COMPILED_LIMIT_US = 3.0  # of a renewal in a full batch, both authenticators included

START = 1_790_000_000.0
VIRTUAL, OWN = IPv4Address("198.19.0.1"), IPv4Address("198.18.1.11")
NETWORK = IPv4Network("10.64.0.0/16")
WIDTH = 256  # octets of a ring's row
POOL = IPv4Network("10.65.0.0/16")
HERE, THERE = IPv4Address("198.18.9.1"), IPv4Address("198.18.9.2")
SECURITY = Security(0x100, Algorithm.HMAC_MD5, "ab" * 16, Replay.TIMESTAMP, 7)
KEY = Key(SECURITY.algorithm, bytes.fromhex(SECURITY.key))
WRONG = Key(SECURITY.algorithm, bytes(16))
SOURCE = Endpoint(int(HERE), 434, 0x0200_5E00_0001 << 16)

CONFIG = AgentConfig(
    cluster="bench",
    name="ha1",
    role=Role.HOME_AGENT,
    home_agent_address=VIRTUAL,
    networks=(NETWORK, POOL),
    lifetime_s=1800,
    replay=Replay.TIMESTAMP,
    tolerance_s=7,
    binding_sync_s=10,
    max_bindings=10 * SUBSCRIBERS,
    lans=(Lan("core", "eth0", IPv4Interface("198.18.1.11/24")),),
    gateways=(),
    controllers=(),
    members=(Member("ha1", MemberKind.LINUX, False, 1, 1, (), (LanAddress("core", OWN),)),),
    selection=Selection(0.1, Weights(1, 1, 1)),
    health=Health(100, 3, 5, 95, 3),
    snmp=None,
    realms=(Realm("@example.net", POOL, POOL, 1800, (AddressRange(POOL[1], POOL[-2]),), SECURITY),),
    nodes=tuple(Node(NETWORK[n], NETWORK, 1800, SECURITY) for n in range(1, SUBSCRIBERS + 1)),
    foreign_agents=(),
)


class Stream:
    """Requests of one round, later than those of the round before."""

    def __init__(self, second: float) -> None:
        self._identification = timestamp(START + second)

    def request(
        self, home: IPv4Address, nai: bytes | None, care_of: IPv4Address, key: Key = KEY
    ) -> bytes:
        self._identification += 1
        extensions = (NetworkAccessIdentifier(nai),) if nai else ()
        flags = RequestFlags.REVERSE_TUNNEL
        message = RegistrationRequest(
            flags, 1800, home, VIRTUAL, care_of, self._identification, extensions
        )
        kind = ExtensionType.MOBILE_HOME_AUTHENTICATION
        return authenticate(message.to_bytes(), kind, SECURITY.spi, key)

    def of_nodes(self, care_of: IPv4Address, key: Key = KEY) -> list[bytes]:
        return [self.request(node.address, None, care_of, key) for node in CONFIG.nodes]

    def of_realm(self, care_of: IPv4Address, name: str = "mn") -> list[bytes]:
        none = IPv4Address(0)
        return [
            self.request(none, f"{name}{n:06}@example.net".encode(), care_of)
            for n in range(SUBSCRIBERS)
        ]


def per_call(work: Callable[[bytes], object], payloads: Sequence[bytes]) -> float:
    """Nanoseconds."""
    start = time.process_time_ns()
    for payload in payloads:
        work(payload)
    return (time.process_time_ns() - start) / len(payloads)


def one_round(number: int) -> dict[str, float]:
    agent = HomeAgent(CONFIG, Table(10 * SUBSCRIBERS, 1), bytes)
    second = float(number)
    now = Moment(START + second, START + second)
    codes = bytearray()

    def receive(payload: bytes) -> None:
        for effect in agent.receive(payload, SOURCE, int(VIRTUAL), now):
            if isinstance(effect, Send):
                codes.append(effect.payload[1])

    stream = Stream(second)
    gc.collect()
    gc.freeze()
    renewed = stream.of_nodes(HERE), stream.of_nodes(HERE)
    secret = bytes.fromhex(SECURITY.key)
    figures = {
        PEER: per_call(lambda payload: hmac.digest(secret, payload, "md5"), renewed[0]),
        "new, by address": per_call(receive, renewed[0]),
        "renewed, by address": per_call(receive, renewed[1]),
        "retransmitted, by address": per_call(receive, renewed[1]),
        "moved, by address": per_call(receive, stream.of_nodes(THERE)),
        "new, by NAI": per_call(receive, stream.of_realm(HERE)),
        "renewed, by NAI": per_call(receive, stream.of_realm(HERE)),
        "moved, by NAI": per_call(receive, stream.of_realm(THERE)),
    }
    _believe(codes, ReplyCode.ACCEPTED)
    agent.quicken(serving.fit, md5.digest_key)
    for size in BATCHES:
        of_nodes, of_realm = stream.of_nodes(HERE), stream.of_realm(HERE)
        figures[f"compiled, {size}, by address"] = batched(agent, of_nodes, size, now)
        figures[f"compiled, {size}, by NAI"] = batched(agent, of_realm, size, now)
    figures["stale, 133"] = per_call(receive, Stream(second - 100).of_nodes(HERE))
    _believe(codes, ReplyCode.IDENTIFICATION_MISMATCH)
    figures["forged, 131"] = per_call(receive, stream.of_nodes(HERE, WRONG))
    _believe(codes, ReplyCode.MOBILE_NODE_AUTHENTICATION)
    gc.unfreeze()
    return figures


def batched(agent: HomeAgent, payloads: Sequence[bytes], size: int, now: Moment) -> float:
    """Nanoseconds for each of them, in batches of this size; all are answered by compiled code."""
    batch = Batch(
        np.zeros((size, WIDTH), np.uint8),
        np.zeros(size, np.int64),
        np.full(size, SOURCE.address, np.uint32),
        np.full(size, SOURCE.port, np.uint16),
        np.full(size, SOURCE.link, np.uint64),
    )
    destination = np.full(size, int(VIRTUAL), np.uint32)
    agent.receive_batch(batch, destination, now)  # none: the memory is made known
    took = answered = 0
    for first in range(0, len(payloads), size):
        some = payloads[first : first + size]
        for row, payload in enumerate(some):
            batch.octets[row, : len(payload)] = np.frombuffer(payload, np.uint8)
            batch.length[row] = len(payload)
        batch.count = len(some)
        start = time.process_time_ns()
        outcome = agent.receive_batch(batch, destination, now)
        took += time.process_time_ns() - start
        answered += len(outcome.replies.rows)
    assert answered == len(payloads)
    return took / len(payloads)


def _believe(codes: bytearray, code: ReplyCode) -> None:
    """That is what was measured, and not a quick way to say no."""
    assert codes
    assert set(codes) == {code}
    codes.clear()


def main() -> int:
    serving.warm()
    rounds = [one_round(number) for number in range(ROUNDS)]
    print(f"{SUBSCRIBERS:,} subscribers of each kind; median of {ROUNDS} rounds")
    missed = 0
    for name in rounds[0]:
        cost = statistics.median(each[name] for each in rounds)
        share = statistics.median(each[name] / each[PEER] for each in rounds)
        bound = ""
        if name == "renewed, by address":
            missed += share > LIMIT
            bound = f"   limit {LIMIT:g}{'   MISSED' if share > LIMIT else ''}"
        elif name.startswith(f"compiled, {max(BATCHES)}"):
            over = cost > COMPILED_LIMIT_US * 1000
            missed += over
            bound = f"   limit {COMPILED_LIMIT_US:g} us{'   MISSED' if over else ''}"
        print(f"{name:28} {cost / 1000:6.2f} us  {1e9 / cost:9,.0f}/s   share {share:5.2f}{bound}")
    print(machine())
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
