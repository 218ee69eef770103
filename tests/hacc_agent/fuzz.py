"""`make fuzz`: everything that reads what others say, each for minutes on end.

    python -m tests.hacc_agent.fuzz [NAME ...] [--seconds 300] [--seed N]

`tests.hacc_agent.wire.fuzz` reads the messages of Mobile IP, alone. Here are the readers behind it
and beside it: both engines, whose answer to anything is a list of effects; the log on disk and on
links; orders between controllers and members; RADIUS, HSRP and AgentX; `agent.toml`. A mutator
damages sound octets, and half of the time repairs checksums and authenticators, since a mutation
that stops there finds nothing. What comes out is the reader's own exception, or none.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import multiprocessing
import os
import random
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from pathlib import Path

from hacc_agent.config import ConfigError, to_toml
from hacc_agent.config import parse as parse_config
from hacc_agent.engine.aaa import AaaClient
from hacc_agent.engine.discovery.neighbours import MOST, Heard, Neighbourhood
from hacc_agent.engine.effects import Relay
from hacc_agent.engine.log import (
    CHECKSUM,
    COUNT,
    HEADER,
    LONGEST,
    MAGIC,
    START,
    UNCOVERED,
    FrameKind,
    Position,
    encode,
)
from hacc_agent.recovery import JournalError
from hacc_agent.standby import LinkBroken
from hacc_agent.wire import (
    AgentAdvertisement,
    AgentFlags,
    AgentLoad,
    AgentRole,
    AgentState,
    MobilityAgent,
    RouterAddress,
    WireError,
    agentx,
    cdp,
    hsrp,
    parse_discovery,
)
from hacc_agent.wire.advertisement import checksum
from hacc_agent.wire.load import cluster_digest
from hacc_agent.wire.messages import REQUEST
from tests.hacc_agent.conformance import scene as member
from tests.hacc_agent.crashing import File, Platter, frame
from tests.hacc_agent.engine import test_aaa as aaa
from tests.hacc_agent.engine.cluster import world as controller
from tests.hacc_agent.test_journal import restart
from tests.hacc_agent.test_memberlink import Line, Member, records
from tests.hacc_agent.test_standby import Active, Standby
from tests.hacc_agent.wire import fuzz as wire
from tests.loopback import opened_config

SECONDS = 300
ROUND = 1000  # inputs between two looks at the clock
FRESH = 200  # inputs that one engine or conversation is given

Check = Callable[[bytes], None]


@dataclasses.dataclass(frozen=True)
class Target:
    corpus: Callable[[int], list[bytes]]  # sound octets, by a seed
    check: Callable[[], Check]  # of something new, which is given inputs one after the other
    repair: Callable[[bytes], bytes] = bytes  # what a checksum would hide otherwise
    fresh: int = FRESH


# ------------------------------------------------------------------ the engines


SIGNERS = {int(each.home): each.security for each in (member.NODE, member.ROUTER, member.ALICE)}
MESSAGES = 40  # of all kinds, beside those that an engine acts on
PROOF = 22  # octets of a Mobile-Home Authentication Extension


def requests(seed: int) -> list[bytes]:
    made = member.Scene()
    asked = [
        made.request(each, lifetime=lifetime, flags=flags)
        for each in (member.NODE, member.ALICE, member.ROUTER)
        for lifetime in (0, 600)
        for flags in (0, 0x80, 0x22)
    ]
    return asked + wire.corpus(seed)[:MESSAGES]


def a_member() -> Check:
    """Whatever it is sent, its journal makes the same Home Agent.

    Each input comes as it is, and then as its mobile node would have sent it: fresh and signed.
    """
    made = member.Scene()

    def check(octets: bytes) -> None:
        made.elapsed += 0.01
        made.send(octets, member.TRUSTED)
        signer = SIGNERS.get(int.from_bytes(octets[4:8]))
        if octets[:1] == b"\1" and signer is not None and len(octets) >= REQUEST.size:
            fresh = octets[:16] + made.timestamp().to_bytes(8) + octets[24:-PROOF]
            made.send(member.sealed(fresh.ljust(REQUEST.size, b"\0"), member.MHAE, signer))
        if len(octets) % 16 == 0:
            assert made.restarted().table.digest() == made.table.digest()

    return check


def a_controller() -> Check:
    """Whatever it is sent, the other controller follows (`World`).

    Each input comes from a Foreign Agent and from a member; and what was passed on is accepted by
    the member that it went to, two times of three.
    """
    made = controller.World()

    def check(octets: bytes) -> None:
        made.at(made.seconds + 0.1)
        for effect in made.receive(octets):
            if isinstance(effect, Relay) and len(octets) % 3 and octets[0] == 1:
                fields = REQUEST.unpack_from(octets)
                said = controller.reply(fields[-1], fields[3] or 5, lifetime=fields[2])
                made.answer(said, effect.member)
        made.answer(octets, len(octets) % 2)

    return check


def conversations(seed: int) -> list[bytes]:
    """Requests, and replies that may answer them."""
    asked = [controller.request(number, home=number % 4) for number in range(1, 20)]
    told = [controller.reply(number, home=number % 4) for number in range(1, 20)]
    return asked + told + wire.corpus(seed)[:MESSAGES]


# ------------------------------------------------------------------ the log


def resummed(octets: bytes) -> bytes:
    """Each frame with the length that there is room for, and the checksum of what it says."""
    work, at = bytearray(octets), 0
    while (at := work.find(MAGIC, at)) >= 0 and at + HEADER.size <= len(work):
        fields = list(HEADER.unpack_from(work, at))
        fields[5] = min(fields[5], LONGEST, len(work) - at - HEADER.size)
        HEADER.pack_into(work, at, *fields)
        end = at + HEADER.size + fields[5]
        CHECKSUM.pack_into(work, at + len(MAGIC), zlib.crc32(work[at + UNCOVERED : end]))
        at = end
    return bytes(work)


STATE = encode(FrameKind.STATE, START, frame(1)[HEADER.size :])
SOUND = (
    encode(FrameKind.BEGIN, Position(7, 3), b"west")
    + STATE
    + encode(FrameKind.COMPLETE, Position(7, 3), COUNT.pack(3))
)


def logs(_seed: int) -> list[bytes]:
    return [
        SOUND,
        SOUND + b"".join(frame(number) for number in range(4, 9)),
        SOUND + frame(4) + encode(FrameKind.KEPT, Position(7, 4)),
    ]


def streams(seed: int) -> list[bytes]:
    welcome = encode(FrameKind.WELCOME, START)
    digest = encode(FrameKind.DIGEST, Position(7, 3), COUNT.pack(1))
    return [
        *(welcome + each for each in logs(seed)),
        welcome + SOUND + digest,
        *(encode(FrameKind.HELLO, START, want) for want in (b"follow", b"fetch")),
        encode(FrameKind.KEPT, Position(7, 3)),
        encode(FrameKind.REFUSED, START, b"busy"),
    ]


def orders(_seed: int) -> list[bytes]:
    """What a controller says to a member, and the other way round."""
    held: list[bytes] = []
    line = Line(Member(), [records(3)])
    watch, duty = line.watch, line.duty
    watch.serve(5, {0: 0, 1: 3})
    for now in (0.1, 0.2, 0.3):
        down = watch.take(now)
        held.append(down)
        duty.receive(down, now)
        up = duty.take(now)
        held.append(up)
        watch.receive(up, now)
    return [each for each in held if each]


def journal() -> Check:
    def check(octets: bytes) -> None:
        with contextlib.suppress(JournalError):
            restart(Platter({"journal.00000001": File(bytearray(octets))}))

    return check


def talk(receive: Callable[[bytes, float], None]) -> Check:
    def check(octets: bytes) -> None:
        with contextlib.suppress(LinkBroken):
            receive(octets, 1.0)

    return check


def a_follower() -> Check:
    return talk(Standby().follow().receive)


def a_leader() -> Check:
    active = Active()
    active.change(5)
    return talk(active.feed().receive)


def a_watch() -> Check:
    return talk(Line(Member(), [records(3)]).watch.receive)


def a_duty() -> Check:
    return talk(Line(Member()).duty.receive)


# ------------------------------------------------------------------ others' protocols


def answers(_seed: int) -> list[bytes]:
    question = aaa.ask(aaa.client(), aaa.asked())
    return [
        aaa.answer(question, 2, aaa.association(question)),
        aaa.answer(question, 3),
        aaa.answer(question, 11, aaa.attribute(18, b"no")),
    ]


def reproven(octets: bytes) -> bytes:
    """A RADIUS answer of the server's, whatever it says."""
    question = aaa.ask(aaa.client(), aaa.asked())
    return aaa.answer(question, octets[0] if octets else 2, octets[20:4000], proves=False)


def radius() -> Check:
    def check(octets: bytes) -> None:
        client: AaaClient = aaa.client()
        aaa.ask(client, aaa.asked())
        client.receive(octets)

    return check


def hellos(_seed: int) -> list[bytes]:
    message = hsrp.GroupMessage(
        hsrp.Operation.HELLO, hsrp.State.ACTIVE, 100, 10, 3000, 10000,
        IPv4Address("198.18.1.254"),
    )  # fmt: skip
    proof = hsrp.Md5(IPv4Address("198.18.1.1"), 1)
    second = hsrp.GroupState(message, 0x0200_5E00_0001)
    return [
        hsrp.Version1(message).to_bytes(),
        hsrp.sign(hsrp.Version1(message, more=(proof,)), b"key"),
        hsrp.Version2((second, hsrp.Text(b"cisco"))).to_bytes(),
        hsrp.sign(hsrp.Version2((second, proof)), b"key"),
    ]


def hsrp_packets() -> Check:
    def check(octets: bytes) -> None:
        with contextlib.suppress(WireError):
            hsrp.parse(octets)
            hsrp.verify(octets, b"key")

    return check


def advertised(_seed: int) -> list[bytes]:
    load = AgentLoad(
        cluster_digest("west"), "ha1", AgentRole.HOME_AGENT, AgentState.ACTIVE, 5, 10, 90
    )
    agent = MobilityAgent(7, 1800, AgentFlags.HOME_AGENT)
    router = RouterAddress(IPv4Address("198.18.1.21"))
    return [
        AgentAdvertisement((router,), 30, (agent, load.extension())).to_bytes(),
        AgentAdvertisement((), 30, (agent,), 16).to_bytes(),
        AgentAdvertisement((router,), 30).to_bytes(),
    ]


def summed(octets: bytes) -> bytes:
    """With a checksum that holds: in ICMP and CDP it stands at the same place."""
    whole = octets[:2] + bytes(2) + octets[4:]
    return whole[:2] + checksum(whole).to_bytes(2, "big") + whole[4:]


def a_neighbourhood() -> Check:
    lan = Neighbourhood(opened_config("hacc1", Path("/var/lib/hacc")), 0.0)
    now = 0.0

    def check(octets: bytes) -> None:
        nonlocal now
        now += 1.0
        with contextlib.suppress(WireError):
            message = parse_discovery(octets)
            if isinstance(message, AgentAdvertisement):
                address = int(IPv4Address("198.18.1.0")) + int(now) % 256
                lan.heard(Heard("core", address, len(octets), int(now) % 3, message), now)
        lan.handle_timer(now)
        assert len(list(lan.all())) < 3 * MOST

    return check


def announcements(_seed: int) -> list[bytes]:
    address = IPv4Address("198.18.1.11")
    return [cdp.CdpAnnouncement("hacc1", (address,), "lan", 1, "hacc", "Linux", 180).to_bytes()]


def cdp_packets() -> Check:
    def check(octets: bytes) -> None:
        with contextlib.suppress(WireError):
            cdp.parse(octets)

    return check


def pdus(_seed: int) -> list[bytes]:
    name = (1, 3, 6, 1, 2, 1, 44)
    return [
        agentx.encode_open(name, "hacc", 5, 1),
        agentx.encode_register(1, name, 2),
        agentx.encode_ping(1, 3),
        agentx.encode_request(
            agentx.Type.GET, 1, 4, agentx.Request(ranges=(agentx.Range(name, True, name),))
        ),
    ]


def agentx_pdus() -> Check:
    def check(octets: bytes) -> None:
        with contextlib.suppress(WireError):
            header = agentx.parse_header(octets)
            payload = octets[agentx.HEADER_OCTETS :]
            for parse in (agentx.parse_request, agentx.parse_response, agentx.parse_varbinds):
                with contextlib.suppress(WireError):
                    parse(header, payload)

    return check


def files(_seed: int) -> list[bytes]:
    folder = Path("/var/lib/hacc")
    return [to_toml(opened_config(host, folder)).encode() for host in ("hacc1", "ha1")]


def agent_files() -> Check:
    def check(octets: bytes) -> None:
        with contextlib.suppress(ConfigError):
            parse_config(octets.decode("utf-8", "replace"), "agent.toml")

    return check


TARGETS = {
    "member": Target(requests, a_member),
    "controller": Target(conversations, a_controller),
    "journal": Target(logs, journal, resummed),
    "follower": Target(streams, a_follower, resummed, fresh=1),
    "leader": Target(streams, a_leader, resummed, fresh=1),
    "watch": Target(orders, a_watch, resummed, fresh=1),
    "duty": Target(orders, a_duty, resummed, fresh=1),
    "radius": Target(answers, radius, reproven),
    "hsrp": Target(hellos, hsrp_packets),
    "discovery": Target(advertised, a_neighbourhood, summed),
    "cdp": Target(announcements, cdp_packets, summed),
    "agentx": Target(pdus, agentx_pdus),
    "agent.toml": Target(files, agent_files),
}


def run(target: Target, chance: random.Random, inputs: list[bytes], count: int) -> None:
    """So many mutations; the one that breaks a promise is told in hex.

    One in four is a mutation of a mutation, half of all change one octet and no length: else few
    would be read to the end.
    """
    check, mutants = target.check(), inputs[:1]
    for number in range(count):
        if number % target.fresh == 0:
            check = target.check()
        begun = chance.choice(inputs if chance.random() < 0.75 else mutants)
        octets = wire.mutated(begun, inputs, chance)
        if begun and chance.random() < 0.5:
            octets = begun[: (at := chance.randrange(len(begun)))] + chance.randbytes(1)
            octets += begun[at + 1 :]
        if chance.random() < 0.5:
            octets = target.repair(octets)
        try:
            check(octets)
        except Exception:
            print(f"fuzz: broken by {octets.hex()}", file=sys.stderr)
            raise
        mutants = [*mutants[-50:], octets]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TARGETS)}; all")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each of them")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    asked = parser.parse_args(arguments)
    names = asked.names or list(TARGETS)
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        work = functools.partial(for_seconds, asked.seconds, asked.seed)
        for told in pool.imap_unordered(work, names):
            print(told, flush=True)
    return 0


def for_seconds(seconds: float, seed: int, name: str) -> str:
    """One target, in a process of its own."""
    target, chance = TARGETS[name], random.Random(seed)
    inputs = target.corpus(seed)
    end, tried = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        run(target, chance, inputs, ROUND)
        tried += ROUND
    return f"fuzz: {name}: {tried} inputs, seed {seed}, every promise held"


if __name__ == "__main__":
    sys.exit(main())
