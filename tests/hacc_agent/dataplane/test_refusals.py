"""What the kernel may refuse: a word about it, the next implementation, or no start."""

from __future__ import annotations

import dataclasses
import errno
import gc
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hacc_agent import packets
from hacc_agent.daemon import Clock
from hacc_agent.dataplane.controller import TcxRelay
from hacc_agent.dataplane.kernel import KernelRefused, Map, Program
from hacc_agent.dataplane.maps import Folder
from hacc_agent.dataplane.member import TcxTunnels
from hacc_agent.dataplane.plane import Plane, PlaneFailed
from hacc_agent.engine.networks import routed
from hacc_agent.engine.record import RECORD, STRUCT, Kind, Records, Row
from hacc_agent.reload import why_not
from hacc_agent.roles import Controller, engine
from tests.loopback import opened_config
from tests.segment import Namespace

pytestmark = pytest.mark.lab

VIRTUAL, NETWORK = IPv4Address("198.19.0.1"), IPv4Network("198.19.64.0/24")
NOWHERE = Path("/nonexistent")
SLOTS = np.zeros(64, np.uint16)


def refuses(code: int) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> Any:
        raise OSError(code, os.strerror(code))

    return refuse


def refuses_program(*_: object, **__: object) -> Any:
    raise KernelRefused("program hacc: Permission denied; R0 !read_ok")


def refuses_map(*_: object, **__: object) -> Any:
    raise KernelRefused("map pool0 of 256 entries: Operation not permitted")


FAULTS: dict[str, tuple[type, str, Callable[..., Any], str]] = {
    "no CAP_BPF": (Map, "create", refuses_map, "pool0 of 256 entries: Operation not permitted"),
    "the verifier": (Program, "load", refuses_program, "R0 !read_ok"),
    "a kernel before 6.6": (Program, "attach", refuses(errno.EINVAL), "Invalid argument"),
    "somebody else's program": (Program, "attach", refuses(errno.EBUSY), "busy"),
}


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with closing(Namespace()) as made:
        made.ip("link", "add", "lan", "type", "veth", "peer", "name", "far")
        yield made


def relay() -> TcxRelay:
    return TcxRelay(
        *(VIRTUAL, (NETWORK,), ("lan",), SLOTS, 1, lambda _: None),
        mobile_networks=True,
        folder=Folder("relay", "refused", NOWHERE),
    )


def tunnels() -> TcxTunnels:
    return TcxTunnels(
        *(VIRTUAL, (NETWORK,), ("lan",), lambda _: []),
        mobile_networks=True,
        folder=Folder("member", "refused", NOWHERE),
    )


def said_by(made: Callable[[], Plane]) -> str:
    """Why there is no plane."""
    try:
        made()
    except PlaneFailed as why:
        return str(why)
    raise AssertionError("there is one")


def descriptors() -> int:
    """Open ones; memory of maps has one, as long as anybody refers to it."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("made", [relay, tunnels])
def test_a_refusal_is_told_and_leaves_nothing_open(
    namespace: Namespace,
    monkeypatch: pytest.MonkeyPatch,
    made: Callable[[], Plane],
    fault: str,
) -> None:
    owner, name, refusal, told = FAULTS[fault]
    with namespace.inside():
        made().close()
        before = descriptors()
        monkeypatch.setattr(owner, name, refusal)
        assert told in said_by(made)
        assert descriptors() == before


def test_a_machine_whose_calls_have_other_numbers_is_named(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "m68k")
    with namespace.inside(), pytest.raises(PlaneFailed, match="no known number on m68k"):
        relay()


# ------------------------------------------------------------------ what the daemon does then


class Said(list[str]):
    def __call__(self, event: str, sender: str = "", **fields: str | int) -> None:  # noqa: ARG002
        self.append(" ".join([event, *(f"{name}={value}" for name, value in fields.items())]))


def on_a_controller(folder: Path, said: Said) -> packets.RelayPackets:
    config = opened_config("hacc1", folder)
    return packets.RelayPackets(config, engine(config, Clock()), said)  # type: ignore[arg-type]  # a controller's


def test_where_programs_are_refused_nftables_do_it(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Map, "create", refuses_map)
    said = Said()
    with namespace.inside():
        moved = on_a_controller(tmp_path, said)
        assert moved.plane.kind == "nftables"
        moved.close()
    assert said == [
        "packets are moved by nftables why=tcx: map pool0 of 256 entries: Operation not permitted"
    ]


def test_where_nothing_works_each_says_why(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Map, "create", refuses_map)
    monkeypatch.setenv("PATH", "/nonexistent")
    with (
        namespace.inside(),
        pytest.raises(PlaneFailed, match=r"^tcx: map .*; nftables: there is no nft"),
    ):
        on_a_controller(tmp_path, Said())


def test_an_interface_that_cannot_be_seen_is_said_every_time(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Said()
    with namespace.inside(), closing(relay()) as made:
        namespace.ip("link", "add", "later", "type", "veth", "peer", "name", "later-far")
        monkeypatch.setattr(Program, "attach", refuses(errno.ENOMEM))
        packets._look(made, said, 0)
    assert said == ["packets of an interface cannot be seen why=tcx: Cannot allocate memory"]


# ------------------------------------------------------------------ maps that are full


def bound(*homes: str) -> Records:
    rows = [
        Row(Kind.BINDING, home_address=int(IPv4Address(home)), care_of_address=number)
        for number, home in enumerate(homes, 1)
    ]
    return np.frombuffer(b"".join(STRUCT.pack(*row) for row in rows), RECORD)


@pytest.mark.parametrize("made", [relay, tunnels])
def test_who_finds_no_room_is_counted_and_said_once(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch, made: Callable[[], Plane]
) -> None:
    monkeypatch.setattr("hacc_agent.dataplane.maps.OTHERS", 2)
    monkeypatch.setattr("hacc_agent.dataplane.maps.MOBILE_NETWORKS", 1)
    said = Said()
    with namespace.inside(), closing(made()) as plane:
        plane.load(bound("192.0.2.1", "192.0.2.2", "192.0.2.3"))
        networks = [IPv4Network("203.0.113.0/25"), IPv4Network("203.0.113.128/25")]
        full = packets._look(plane, said, 0)
        plane.follow(np.frombuffer(routed(1, networks), RECORD))
        full = packets._look(plane, said, full)
        packets._look(plane, said, full)
    room = "no room for a home address in the data plane times=1"
    assert said == [room, room]


# ------------------------------------------------------------------ another configuration


def test_another_member_has_packets_from_the_reload_on(
    namespace: Namespace, tmp_path: Path
) -> None:
    """The plane is made anew with more slots; who is bound stays so all the time."""
    config = opened_config("hacc1", tmp_path)
    few = dataclasses.replace(config, members=config.members[:1])
    controller = engine(few, Clock())
    assert isinstance(controller, Controller)
    with namespace.inside():
        try:
            moved = packets.RelayPackets(few, controller, Said())
        except PlaneFailed as why:
            pytest.skip(str(why))
        home = int(IPv4Address("198.19.64.5"))
        controller.apply(STRUCT.pack(*Row(Kind.BINDING, home_address=home, care_of_address=1)))
        moved.load()
        controller.reconfigure(config, Clock()())
        moved.reconfigure(config)
        assert moved.plane.lead(home) == "slot 0, nobody is reached"
        assert [one.reason for one in moved.members()] == [each.name for each in config.members]
        last = len(controller.slots.member_of) - 1
        moved.follow(controller.slots.rewrite([(last, 0)], 1))
        moved.close()


def test_a_member_without_mobile_networks_gets_its_first_by_a_restart(tmp_path: Path) -> None:
    config = opened_config("ha1", tmp_path)
    (realm, *others) = config.realms
    realm = dataclasses.replace(realm, mobile_networks=(IPv4Network("203.0.113.0/24"),))
    more = dataclasses.replace(config, realms=(realm, *others))
    assert "mobile_networks" in why_not(config, more, 10**9)
    assert why_not(config, config, 10**9) == ""
