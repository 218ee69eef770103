"""A member through a stock snmpd, asked with net-snmp's own tools: they know nothing of us."""

from __future__ import annotations

import dataclasses
import re
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from hacc_agent.config import MemberKind
from hacc_agent.control import ask
from hacc_agent.daemon import Clock
from hacc_agent.engine.snmp import objects
from hacc_agent.engine.snmp.member import VIOLATIONS_S
from hacc_agent.engine.snmp.objects import Oid, dotted
from hacc_agent.engine.snmp.view import FRESH_S
from hacc_agent.snmp.messages import Asked, Whom
from hacc_agent.snmp.poller import Poller
from hacc_agent.snmp.reader import Access
from hacc_agent.wire import Key
from hacc_agent.wire.registry import ReplyCode
from tests.hacc_agent.snmpd import AUTH, COMMUNITY, ENVIRONMENT, PATIENCE_S, PRIV, USER, Snmpd
from tests.loopback import Agent, MobileNode, agent_config, free_port, own_network, running

LINE = re.compile(r"\.([\d.]+) = (?:([\w-]+): )?(.*)")
V3 = ("-v3", "-u", USER, "-l", "authPriv", "-a", "SHA", "-A", AUTH, "-x", "AES", "-X", PRIV)


def parsed(lines: list[str]) -> dict[Oid, str]:
    found = [LINE.fullmatch(line) for line in lines]
    return {objects.oid(line[1]): line[3].strip() for line in found if line}


@dataclass(frozen=True, slots=True)
class Served:
    """A member of the golden site, and its router's snmpd."""

    snmpd: Snmpd
    member: Agent
    network: str

    def mobile_node(self, number: int) -> MobileNode:
        made = MobileNode(
            self.member.config.home_agent_address,
            IPv4Address(f"{self.network}.{200 + number}"),
            name=f"mn{number}@example.net",
        )
        made.towards = IPv4Address(f"{self.network}.21")
        made.home_agent = made.towards
        return made

    def number(self, name: Oid) -> int:
        (value,) = parsed(self.snmpd.ask("snmpget", dotted(name))).values()
        return int(value)


@contextmanager
def served(folder: Path, more: str = "", network: str = "") -> Iterator[Served]:
    network = network or own_network()
    member = Agent(agent_config("ha1", folder / "ha1", network), folder / "ha1")
    member.folder.mkdir()
    snmpd = Snmpd(folder / "snmpd", Path(member.config.agentx))
    more += f"agentaddress udp:{network}.21:{snmpd.port}\n"  # where a controller asks
    with snmpd.running(more), running({"ha1": member}):
        member.wait_for("serving SNMP")
        yield Served(snmpd, member, network)


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, list[MobileNode]]]:
    _, high, low = own_network().split(".")  # beside which others of this process have room
    network = f"127.{int(high) - 128 or 127}.{low}"
    with served(tmp_path_factory.mktemp("served"), network=network) as found:
        nodes = [found.mobile_node(number) for number in range(3)]
        for node in nodes:
            assert node.register().code == ReplyCode.ACCEPTED
        yield found, nodes
        for node in nodes:
            node.close()


def test_bindings_are_a_table(bound: tuple[Served, list[MobileNode]]) -> None:
    """With snmpbulkwalk, which refuses names that do not increase."""
    found, nodes = bound
    expected = {
        (*node.address.packed, *node.care_of.packed): (str(node.address), str(node.care_of))
        for node in nodes
    }
    deadline = (
        time.monotonic() + PATIENCE_S + 10
    )  # a new binding is seen when its block was looked at
    while True:
        lines = found.snmpd.ask("snmpbulkwalk", dotted(objects.HA_MOBILITY_BINDING_ENTRY))
        table = parsed(lines)
        if len(table) >= 8 * len(nodes):
            break
        assert time.monotonic() < deadline, lines
        time.sleep(0.5)
    assert list(table) == sorted(table)
    at = len(objects.HA_MOBILITY_BINDING_ENTRY)
    columns = {
        column: {name[at + 1 :]: value for name, value in table.items() if name[at] == column}
        for column in range(1, 9)
    }
    for index, (address, care_of) in expected.items():
        assert columns[1][index] == address
        assert columns[2][index] == care_of
        assert columns[3][index] == care_of  # where its request came from
        assert columns[7][index] == "600"
        assert 0 < int(columns[8][index]) <= 600


def test_a_binding_that_ended_is_seen_no_more(bound: tuple[Served, list[MobileNode]]) -> None:
    found, _ = bound
    node = found.mobile_node(9)
    node.register()
    time.sleep(FRESH_S)
    before = found.number((*objects.CMI_HA_REG_TOTAL_MOBILITY_BINDINGS, 0))
    node.register(lifetime=0)
    node.close()
    time.sleep(FRESH_S)
    assert found.number((*objects.CMI_HA_REG_TOTAL_MOBILITY_BINDINGS, 0)) == before - 1
    lines = found.snmpd.ask("snmpwalk", dotted((*objects.HA_MOBILITY_BINDING_ENTRY, 1)))
    assert str(node.address) not in "\n".join(lines)


def test_scalars_and_load_with_version_3(bound: tuple[Served, list[MobileNode]]) -> None:
    found, nodes = bound
    lines = found.snmpd.ask("snmpwalk", dotted(objects.MIP_MIB), access=V3)
    scalars = parsed(lines)
    assert int(scalars[*objects.HA_REGISTRATION, 3, 0]) >= len(nodes)  # haRegistrationAccepted
    assert scalars[*objects.MIP_ENABLE, 0] == "1"
    load = parsed(found.snmpd.ask("snmpwalk", dotted(objects.oid("1.3.6.1.4.1.9")), access=V3))
    assert 0 <= int(load[*objects.CPM_CPU_TOTAL_5SEC_REV, 1]) <= 100
    assert int(load[*objects.CEMP_MEM_POOL_HC_FREE, 1, 1]) > 0
    assert int(load[*objects.CMI_HA_MAXIMUM_BINDINGS, 0]) == found.member.config.max_bindings


def test_nothing_can_be_set(tmp_path: Path) -> None:
    with served(tmp_path, "rwcommunity labrw\n") as found:
        name = dotted((*objects.CMI_HA_MAXIMUM_BINDINGS, 0))
        where = f"127.0.0.1:{found.snmpd.port}"
        done = subprocess.run(
            ["snmpset", "-v2c", "-c", "labrw", "-On", where, name, "u", "1"],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert "notWritable" in done.stderr
        assert found.number((*objects.CMI_HA_MAXIMUM_BINDINGS, 0)) > 1


def test_violations_reach_a_trap_receiver_once(tmp_path: Path) -> None:
    """net-snmp's snmptrapd says what it received."""
    port = free_port()
    heard = tmp_path / "heard"
    command = ["setpriv", "--pdeathsig", "KILL", "snmptrapd", "-f", "-n", "-On", "-Lf", str(heard)]
    (tmp_path / "snmptrapd.conf").write_text("disableAuthorization yes\n")
    command += ["-C", "-c", str(tmp_path / "snmptrapd.conf"), f"udp:127.0.0.1:{port}"]
    receiver = subprocess.Popen(
        command, env={**ENVIRONMENT, "SNMP_PERSISTENT_DIR": str(tmp_path / "trapd")}
    )
    try:
        more = f"trap2sink 127.0.0.1:{port} labro\n"
        with served(tmp_path, more) as found:
            node = found.mobile_node(1)
            node.KEY = Key(node.KEY.algorithm, b"not its key.....")
            for _ in range(5):
                assert node.register().code == ReplyCode.MOBILE_NODE_AUTHENTICATION
            node.close()
            deadline = time.monotonic() + PATIENCE_S
            while not heard.exists() or dotted(objects.MIP_AUTH_FAILURE) not in heard.read_text():
                assert time.monotonic() < deadline, heard.read_text()
                time.sleep(0.05)
            time.sleep(0.2)
            told = heard.read_text()
            assert told.count(dotted(objects.MIP_AUTH_FAILURE)) == 1, VIOLATIONS_S
            assert f"IpAddress: {node.care_of}" in told
    finally:
        receiver.kill()
        receiver.wait()


def test_snmpd_may_be_restarted(tmp_path: Path) -> None:
    network = own_network()
    member = Agent(agent_config("ha1", tmp_path / "ha1", network), tmp_path / "ha1")
    member.folder.mkdir()
    snmpd = Snmpd(tmp_path / "snmpd", Path(member.config.agentx))
    with running({"ha1": member}):
        assert "no such file" in member.wait_for("not serving SNMP")["why"]
        for times in (1, 2):
            with snmpd.running():
                while [line["event"] for line in member.said].count("serving SNMP") < times:
                    time.sleep(0.05)
                assert snmpd.ask("snmpget", dotted((*objects.MIP_ENABLE, 0)))
        assert member.stop() == 0


def test_a_controller_knows_its_members_load(tmp_path: Path) -> None:
    """Whole daemons: member, its snmpd, and the controller that reads it with version 3."""
    with served(tmp_path) as member:
        config = agent_config("hacc1", tmp_path / "hacc1", member.network)
        assert config.snmp is not None
        port = member.snmpd.port
        access = dataclasses.replace(config.snmp, port=port, user=USER, auth=AUTH, priv=PRIV)
        health = dataclasses.replace(config.health, snmp_interval_s=1)
        config = dataclasses.replace(config, snmp=access, health=health)
        controller = Agent(config, tmp_path / "hacc1")
        with running({"hacc1": controller}):
            told = found = None
            deadline = time.monotonic() + PATIENCE_S
            while not found or found["bindings"] is None:
                assert time.monotonic() < deadline, (told, controller.said)
                time.sleep(0.1)
                (told,) = ask(Path(config.runtime_directory), "status")
                (found,) = [each["figures"] for each in told["members"] if each["name"] == "ha1"]
            assert found["source"] == "SNMP"
            assert found["bindings"] == 0
            assert 0 < found["memory_free_percent"] <= 100
            silent = [line for line in controller.said if line["event"] == "no answer to SNMP"]
            assert len({line["member"] for line in silent}) == len(silent)  # each said once
            assert "ha1" not in {line["member"] for line in silent}


def test_its_bindings_can_be_had_from_its_table(bound: tuple[Served, list[MobileNode]]) -> None:
    """As those of a stock Home Agent, for a controller that starts empty."""
    found, nodes = bound
    clock = Clock()
    stock = Whom(MemberKind.IOS, ("127.0.0.1",))
    asked = Asked(Access(2, COMMUNITY), found.snmpd.port, 60.0, (stock,))

    def nothing(*_: object, **__: object) -> None:
        """Its load is of no interest here."""

    poller = Poller(asked, None, nothing, nothing, nothing, nothing, nothing, nothing, clock())
    rows: list[Sequence[int]] = []
    ends: list[str] = []
    try:
        deadline = time.monotonic() + PATIENCE_S + 10
        while len(rows) < len(nodes):  # a new binding is seen when its block was looked at
            rows.clear()
            ends.clear()
            poller.walk(0, rows.extend, ends.append)
            while not ends:
                assert time.monotonic() < deadline, rows
                select.select([poller.fileno()], [], [], 0.1)
                poller.handle(clock())
    finally:
        poller.close()
    assert ends == [""]
    assert {IPv4Address(row[0]) for row in rows} >= {node.address for node in nodes}
    assert {IPv4Address(row[1]) for row in rows} == {node.care_of for node in nodes}
