"""Ours: the daemon as it is deployed, on a journal that holds a million bindings already."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from bench import bindings
from hacc_agent import config
from hacc_agent.config import AgentConfig, Durability, Role, Transport, to_toml
from hacc_agent.engine.home_agent.replay import timestamp
from hacc_agent.engine.record import Kind, Row, Trait
from hacc_agent.engine.slots import Slots
from hacc_agent.journal import Journal
from hacc_agent.roles import seed
from hacc_agent.wire import RequestFlags

from .deployed import (
    AGENTS,
    FIRST_AGENT,
    FIRST_MEMBER,
    LENGTHS,
    MEMBERS,
    NODES,
    RELAY,
    SERVED,
    Deployed,
    running,
    wait_for,
)
from .lan import ADDRESS, FRAME_MEMBER, RELAY_LAN, RELAY_MAC, lan

POOL = IPv4Network("10.0.0.0/11")  # the generator's mobile nodes
SPI, KEY = 0x100, "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
PLENTY = 10_000_000  # a second: admission is not what is measured


def base(place: Path, transport: Transport, first_member: IPv4Address) -> AgentConfig:
    """A controller with its members."""
    lo = config.Lan("lan", "lo", IPv4Interface(f"{RELAY}/8"))
    size = 2 * SERVED
    return AgentConfig(
        cluster="bench",
        name="controller",
        role=Role.CONTROLLER,
        home_agent_address=RELAY,
        networks=(POOL,),
        lifetime_s=1800,
        replay=config.Replay.TIMESTAMP,
        tolerance_s=7,
        binding_sync_s=15,
        max_bindings=None,
        lans=(lo,),
        gateways=(),
        controllers=(
            config.Controller("controller", 100, (config.LanAddress("lan", lo.address.ip),)),
        ),
        members=tuple(
            config.Member(
                f"member{n}",
                config.MemberKind.LINUX,
                False,
                1,
                500_000,
                (IPv4Network((int(POOL.network_address) + n * 2**18, 14)),),
                (config.LanAddress("lan", first_member + n),),
            )
            for n in range(MEMBERS)
        ),
        selection=config.Selection(0.1, config.Weights(1, 0, 0)),
        health=config.Health(100, 3, 5, 95, 3),
        snmp=config.Snmp(2, "public"),
        realms=(
            config.Realm(
                "@example.net",
                POOL,
                POOL,
                1800,
                (config.AddressRange(POOL.network_address + 1, POOL.network_address + size),),
                config.Security(SPI, config.Algorithm.HMAC_MD5, KEY, config.Replay.TIMESTAMP, 7),
            ),
        ),
        nodes=(),
        foreign_agents=(),
        transport=transport,
        admission=config.Admission(PLENTY, PLENTY, PLENTY, PLENTY),
        state_directory=str(place / "state"),
        runtime_directory=str(place / "run"),
        durability=Durability.PROCESS,
    )


def _granted() -> Row:
    """What all bindings have in common: longer than the run, so that nothing ends meanwhile."""
    return Row(
        Kind.BINDING,
        source_port=434,
        lifetime=1800,
        expires=int(time.time()) + 3600,
        identification=timestamp(time.time() - 60),
        spi=SPI,
        home_agent=int(RELAY),
    )


def held(told: AgentConfig) -> Iterator[bytes]:
    """A binding of each of the generator's mobile nodes, spread evenly over the members."""
    per_member = len(Slots(MEMBERS)) // MEMBERS
    common = _granted()
    for letter, first_address, lengths in (("u", 0, 1), ("v", 0x100000, LENGTHS)):

        def nai(number: int, letter: str = letter, lengths: int = lengths) -> bytes:
            return f"{letter}{number:07}@example.net{'x' * (number % lengths)}".encode()

        def row(number: int, first_address: int = first_address) -> Row:
            agent = int(FIRST_AGENT) + number % AGENTS
            return common._replace(
                slot=number % MEMBERS * per_member + number // MEMBERS % per_member,
                home_address=int(POOL.network_address) + first_address + number,
                care_of_address=agent,
                source_address=agent,
            )

        yield from bindings.told(seed(told), NODES, nai, row)


def served(told: AgentConfig) -> Iterator[bytes]:
    """A binding of each mobile node that the generator asks a member for: its requests renew."""
    common = _granted()._replace(flags=RequestFlags.REVERSE_TUNNEL, traits=Trait.DYNAMIC)

    def row(number: int) -> Row:
        agent = int(FIRST_AGENT) + number % AGENTS
        return common._replace(
            home_address=int(POOL.network_address) + 1 + number,
            care_of_address=agent,
            source_address=agent,
        )

    yield from bindings.told(seed(told), SERVED, lambda n: f"u{n:07}@example.net".encode(), row)


def write_journal(told: AgentConfig) -> None:
    """The state directory of a router that has been there for long."""
    state = held if told.role is Role.CONTROLLER else served
    journal = Journal(Path(told.state_directory), told.cluster, lambda: state(told))
    journal.open(lambda _records: None)
    journal.close(time.time())


@contextmanager
def started(told: AgentConfig, place: Path, inside: tuple[str, ...] = ()) -> Iterator[int]:
    """The daemon, on a machine that has had load before; yields its process."""
    place.mkdir()
    write_journal(told)
    kernels = "relaying" if told.role is Role.CONTROLLER else "serving"
    compiler = (sys.executable, "-m", "hacc_agent.engine.kernels", kernels, "replaying")
    subprocess.run(compiler, check=True)
    file = place / "agent.toml"
    file.write_text(to_toml(told))
    file.chmod(0o600)
    log = place / "log"
    command = (*inside, sys.executable, "-m", "hacc_agent", "run", "-c", str(file))
    with running(command, log) as process:
        wait_for(process, log, "ready")
        yield process.pid


@contextmanager
def controller(
    place: Path, port: int, programs: Path, *, durable: bool = False
) -> Iterator[Deployed]:
    del programs
    told = dataclasses.replace(
        base(place, Transport.UDP, FIRST_MEMBER),
        port=port,
        durability=Durability.MACHINE if durable else Durability.PROCESS,
    )
    with started(told, place) as process:
        target = (str(RELAY), str(port), str(FIRST_MEMBER), str(MEMBERS))
        yield Deployed("udp", target, (process,), log=place / "log")


@contextmanager
def member(place: Path, port: int, programs: Path) -> Iterator[Deployed]:
    """A Home Agent, asked by the generator in the place of its controller."""
    del programs
    common = base(place, Transport.UDP, FIRST_MEMBER)
    address = FIRST_MEMBER + MEMBERS  # not one that the generator plays
    told = dataclasses.replace(
        common,
        name="member0",
        role=Role.HOME_AGENT,
        port=port,
        lans=(config.Lan("lan", "lo", IPv4Interface(f"{address}/8")),),
        members=(
            dataclasses.replace(common.members[0], addresses=(config.LanAddress("lan", address),)),
            *common.members[1:],
        ),
        max_bindings=2 * SERVED,
        snmp=None,
    )
    with started(told, place) as process:
        target = (str(address), str(port), str(RELAY), str(SPI), KEY)
        yield Deployed("member", target, (process,), log=place / "log")


@contextmanager
def controller_on_frames(place: Path, port: int, programs: Path) -> Iterator[Deployed]:
    del port, programs
    with lan("frames") as segment:
        common = base(place, Transport.FRAMES, FRAME_MEMBER)
        told = dataclasses.replace(
            common,
            home_agent_address=ADDRESS,
            lans=(config.Lan("lan", "h0", RELAY_LAN),),
            controllers=(
                config.Controller("controller", 100, (config.LanAddress("lan", RELAY_LAN.ip),)),
            ),
        )
        with started(told, place, segment.relay) as process:
            target = ("h0", str(ADDRESS), RELAY_MAC, str(FRAME_MEMBER), str(MEMBERS))
            yield Deployed(
                "frames", ("s0", *target[1:]), (process,), segment.generator, place / "log"
            )
