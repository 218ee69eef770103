"""Whole daemons whose disk fills up, and whose power goes: no acknowledged binding is lost."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from hacc_agent.control import ask
from hacc_agent.wire import ReplyCode
from tests.hacc_agent.pair import certificates
from tests.loopback import (
    PATIENCE_S,
    Agent,
    Loopback,
    MobileNode,
    cluster,
    status,
    told,
    until,
)

CLONE_NEWNS = 0x00020000  # linux/sched.h: a namespace of mounts
SIZE = 512 << 10  # octets: the state of a daemon with a few bindings, and room for some more
FULL = "the journal cannot be written: changes are in memory alone"
WHOLE = "the journal is whole again"


@dataclass(frozen=True)
class SmallDisk:
    """A file system of its own, seen only by who enters its namespace, gone with its keeper."""

    keeper: int  # process
    folder: Path

    def enter(self) -> None:
        """For a process that is about to become a daemon."""
        namespace = os.open(f"/proc/{self.keeper}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNS):
            raise OSError(ctypes.get_errno(), "setns")

    @property
    def seen(self) -> Path:
        """The folder, from outside."""
        return Path(f"/proc/{self.keeper}/root{self.folder}")

    def fill(self) -> None:
        """To the last octet."""
        with (self.seen / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))

    def free(self) -> None:
        (self.seen / "filler").unlink()


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """The keeper ends when its input does: with the test, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    script = 'mount -t tmpfs -o size="$1" small "$2" && echo mounted && exec cat'
    command = ("unshare", "--mount", "sh", "-c", script, "sh", str(SIZE), str(folder))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == b"mounted\n"
        yield SmallDisk(keeper.pid, folder)


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[Loopback]:
    hosts = ("hacc1", "hacc2", "ha1", "ha2")
    keys = certificates(tmp_path / "keys", "west", *hosts)
    with cluster(tmp_path, *hosts, keys=keys) as running:
        yield running


def registered(node: MobileNode) -> IPv4Address:
    """Its home address. Who took its slots over tells it the time first, which is no failure."""
    reply = node.register()
    if reply.code == ReplyCode.IDENTIFICATION_MISMATCH:
        reply = node.register()
    assert reply.code == 0
    return reply.home_address


def until_full(agent: Agent, node: MobileNode) -> None:
    """It goes on while the last page of the file fills up, and then as well."""
    before = len(agent.said)

    def heard() -> bool:
        registered(node)
        return any(line["event"] == FULL for line in agent.said[before:])

    until(heard)


def power_fails(agent: Agent) -> None:
    assert agent.stop(signal.SIGKILL) == -signal.SIGKILL


@pytest.mark.lab
def test_a_full_disk_is_told_and_what_was_acknowledged_is_not_lost(linked: Loopback) -> None:
    """It stops nobody. The standby has everything; and so has the disk, once it has room again."""
    first, second = linked["hacc1"], linked["hacc2"]
    first.stop()
    names = [f"{name}@example.net" for name in ("ann", "bob", "eve")]
    with (
        small_disk(Path(first.config.state_directory)) as disk,
        closing(linked.mobile_node(names[0])) as ann,
        closing(linked.mobile_node(names[1])) as bob,
        closing(linked.mobile_node(names[2])) as eve,
    ):
        first.before = disk.enter
        first.start()
        registered(ann)
        disk.fill()
        until_full(first, bob)
        assert first.wait_for(FULL)["why"] == "no space left on device"
        assert "no space left on device" in told(first, "status")[1]
        assert len([line for line in first.said if line["event"] == FULL]) == 1
        until(lambda: status(second)["bindings"] == 2)
        disk.free()
        first.wait_for(WHOLE)
        power_fails(first)
        first.start()
        assert status(first)["bindings"] == 2
        registered(bob)  # so this one leads again
        disk.fill()
        until_full(first, eve)
        until(lambda: status(second)["bindings"] == 3)
        power_fails(first)
        for node in (ann, bob, eve):
            home = node.address
            node.towards = IPv4Address(f"{linked.network}.101")  # where hacc2 has the virtual one
            assert registered(node) == home, second.said
        assert status(second)["bindings"] == 3


@pytest.mark.lab
def test_a_member_without_room_goes_on_and_says_so(tmp_path: Path) -> None:
    with (
        cluster(tmp_path, "hacc1", "ha1") as west,
        small_disk(tmp_path / "small") as disk,
        closing(west.mobile_node()) as node,
    ):
        member = west["ha1"]
        member.stop()
        member.config = dataclasses.replace(member.config, state_directory=str(disk.folder))
        member.before = disk.enter
        member.start()
        disk.fill()
        until_full(member, node)
        disk.free()
        member.wait_for(WHOLE)
        power_fails(member)
        member.start()
        assert member.wait_for("ready")["bindings"] == 1
        home = node.address
        assert registered(node) == home


NODES = 40
DEATHS = (1, 29)  # replies until then


def drain(node: MobileNode) -> None:
    """What has arrived: an acknowledgement counts whoever has died since."""
    node.socket.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            node.address = node.answer().home_address
    node.socket.settimeout(PATIENCE_S)


def home_addresses(agent: Agent) -> set[str]:
    return {
        each["home_address"]
        for each in ask(Path(agent.config.runtime_directory), "bindings")
        if each["state"] == "binding"
    }


@pytest.mark.parametrize(
    "killed", [("hacc1",), ("ha1", "ha2"), ("hacc1", "ha1", "ha2")], ids="+".join
)
def test_power_fails_in_the_middle_of_a_crowd(tmp_path: Path, killed: tuple[str, ...]) -> None:
    """Who was told that he is registered is found afterwards, by the controller and the member."""
    with cluster(tmp_path, "hacc1", "ha1", "ha2") as west, contextlib.ExitStack() as stack:
        nodes = [
            stack.enter_context(closing(west.mobile_node(f"mn{number}@example.net")))
            for number in range(NODES)
        ]
        for replies in DEATHS:
            for node in nodes:
                node.send(node.request())
            for node in nodes[:replies]:
                node.address = node.answer().home_address
            for host in killed:
                power_fails(west[host])
            for node in nodes:
                drain(node)
            for host in killed:
                west[host].start()
            acknowledged = {str(node.address) for node in nodes if int(node.address)}
            assert len(acknowledged) >= replies
            assert acknowledged <= home_addresses(west["hacc1"])
            assert acknowledged <= home_addresses(west["ha1"]) | home_addresses(west["ha2"])
        for node in nodes:
            drain(node)
            assert node.register().code == 0
