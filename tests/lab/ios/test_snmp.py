"""What a simulated router says by SNMP, asked with net-snmp's tools on a real LAN."""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from hacc_agent.config import MemberKind
from hacc_agent.engine.effects import Moment
from hacc_agent.engine.snmp import adjacency, objects
from hacc_agent.engine.snmp.adjacency import TABLES, Protocol
from hacc_agent.engine.snmp.objects import Oid, Value, dotted
from hacc_agent.engine.snmp.reading import Reading
from lab import simulator
from lab.ios import Console
from lab.ios.device import Device
from lab.ios.network import Network
from lab.ios.snmp import Access, access, view
from lab.lab import Lab
from lab.topology import Kind, Port, Router, Topology
from tests.lab.ios.test_home_agent import router
from tests.lab.labs import until

LINES = """\
hostname ios1
snmp-server community public RO
snmp-server group g v3 priv
snmp-server user lab g v3 auth sha authauthauth priv aes 128 privprivpriv
snmp-server user weak g v3 auth md5 authauthauth
snmp-server user open other v3 auth sha authauthauth priv aes 128 privprivpriv
"""
V2C = ("-v2c", "-c", "public")
KEYS = ("-a", "SHA", "-A", "authauthauth", "-x", "AES", "-X", "privprivpriv")
V3 = ("-v3", "-u", "lab", "-l", "authPriv", *KEYS)
NOW = Moment(1000.0, 1000.0)


def said(device: Device) -> dict[Oid, Value]:
    found: dict[Oid, Value] = {}
    seen = view(device, lambda: NOW)
    bind = seen.next((), (), inclusive=True, now=NOW)
    while bind.name and bind.data is not None:
        found[bind.name] = bind.data
        bind = seen.next(bind.name, (), inclusive=False, now=NOW)
    return found


def test_who_may_read_is_what_the_lines_say() -> None:
    device = Device.from_text("ios1", LINES)
    assert access(device) == Access(("public",), (("lab", "authauthauth", "privprivpriv"),))
    assert access(Device("blank")) == Access((), ())


def test_a_router_s_groups_and_neighbours() -> None:
    one, two = router("ios1"), router("ios2")
    network = Network([one, two])
    for device in network.devices.values():
        for name, _ in device.interfaces():
            if "Loopback" not in name:
                device.hardware[name] = "core"
    found = said(one)
    states = [
        value for name, value in found.items() if name[:-2] == objects.C_HSRP_GRP_STANDBY_STATE
    ]
    assert states == [6]  # of the pair, the one with the higher priority
    names = [value for name, value in found.items() if name[:-2] == objects.CDP_CACHE_DEVICE_ID]
    assert names == [two.hostname.encode()]
    (neighbour,) = adjacency.sightings(
        Protocol.CDP, *(list(found.items()) for _ in TABLES[Protocol.CDP])
    )
    assert neighbour == (two.hostname, "GigabitEthernet0/1", "198.18.1.32")
    detail = Console(one)("show cdp neighbors detail")
    for word in (
        f"Device ID: {two.hostname}",
        "IP address: 198.18.1.32",
        "port): GigabitEthernet0/1",
    ):
        assert word in detail  # from the same state
    assert b"simulator" in bytes(str(found[objects.oid("1.3.6.1.2.1.1.1.0")]), "ascii")


def test_a_controller_reads_all_its_figures() -> None:
    """The same code that reads a real one."""
    agent = said(router("ios1"))
    reading = Reading(0, MemberKind.IOS)
    for figure, source in reading.unknown():
        if not reading.knows(figure):
            found = [
                [name for name in agent if name[: len(column.name)] == column.name][:1]
                for column in source.columns
            ]
            reading.learned(figure, source, found)
    figures = reading.figures({name: agent.get(name) for name in reading.names()}, 1.0)
    assert figures.cpu_percent == 1
    assert figures.memory_free_percent == pytest.approx(74.3, abs=0.1)
    assert figures.hsrp_state is not None


@pytest.fixture(scope="module")
def alone() -> Iterator[Lab]:
    ports = (Port("ios1", "GigabitEthernet0/1", "core", None),)
    routers = (Router("ios1", Kind.IOS, IPv4Address("198.18.0.31"), "admin", ports),)
    with Lab(Topology(f"t{os.getpid()}-snmp", routers), keep_host_keys=False) as lab:
        edit(lab, *LINES.splitlines())
        edit(lab, "interface GigabitEthernet0/1", "ip address 198.18.1.31 255.255.255.0")
        edit(lab, "interface GigabitEthernet0/1", "no shutdown")
        yield lab


def edit(lab: Lab, *lines: str) -> None:
    request = {"do": "edit", "device": "ios1", "lines": list(lines)}
    assert simulator.ask(lab.directory, request)["rejected"] == []


def asked(lab: Lab, tool: str, access: tuple[str, ...], name: Oid) -> str:
    where = ["-On", "-t", "1", "-r", "0", "198.18.0.31", dotted(name)]
    done = lab.run_managed(["env", "MIBS=", tool, *access, *where])
    return str(done.stdout) + str(done.stderr)


@pytest.mark.lab
def test_net_snmp_reads_it_with_both_versions(alone: Lab) -> None:
    until(lambda: "STRING" in asked(alone, "snmpget", V2C, objects.oid("1.3.6.1.2.1.1.5.0")))
    for access_of in (V2C, V3):
        text = asked(alone, "snmpbulkwalk", access_of, objects.oid("1.3.6.1"))
        assert '.1.3.6.1.2.1.1.5.0 = STRING: "ios1"' in text
        assert "No more variables left" in text
    assert "Timeout" in asked(
        alone, "snmpget", ("-v2c", "-c", "wrong"), (1, 3, 6, 1, 2, 1, 1, 5, 0)
    )
    no_proof = ("-v3", "-u", "lab", "-l", "noAuthNoPriv")
    assert "ios1" not in asked(alone, "snmpget", no_proof, (1, 3, 6, 1, 2, 1, 1, 5, 0))


@pytest.mark.lab
def test_without_its_lines_nobody_answers(alone: Lab) -> None:
    name = objects.oid("1.3.6.1.2.1.1.5.0")
    until(lambda: "ios1" in asked(alone, "snmpget", V2C, name))
    edit(alone, "no snmp-server community public")
    until(lambda: "ios1" not in asked(alone, "snmpget", V2C, name))
    assert "ios1" in asked(alone, "snmpget", V3, name)
    edit(alone, "snmp-server community public RO")
    until(lambda: "ios1" in asked(alone, "snmpget", V2C, name))
