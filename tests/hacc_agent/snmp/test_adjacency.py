"""Tables of neighbours as routers serve them: read from a stock snmpd that passes them on.

snmpd.conf(5), `pass_persist`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hacc_agent.config import MemberKind
from hacc_agent.engine.discovery.layer2 import Survey
from hacc_agent.engine.snmp.adjacency import TABLES, Protocol, Row, Sighting, sightings
from hacc_agent.engine.snmp.objects import Oid, dotted
from hacc_agent.snmp.asking import Sweep
from hacc_agent.snmp.messages import Asked, Told, Whom, decode, encode
from hacc_agent.snmp.reader import Access, SnmpReader
from hacc_agent.snmp.with_gufo import GufoReader
from hacc_agent.snmp.with_pysnmp import PysnmpReader
from tests.hacc_agent.snmpd import COMMUNITY, Snmpd

Make = Callable[[Access, int], SnmpReader]
V2C = Access(2, COMMUNITY)
CDP, LLDP = TABLES[Protocol.CDP], TABLES[Protocol.LLDP]

# Name, type as `pass_persist` wants it, value. The first index of LLDP is a time.
SERVED: dict[Protocol, list[tuple[Oid, str, str]]] = {
    Protocol.CDP: [
        ((*CDP.address, 2, 1), "octet", "C6 12 01 0B"),
        ((*CDP.address, 2, 7), "octet", "C6 12 01 20"),
        ((*CDP.name, 2, 1), "string", "hacc1.example.net"),
        ((*CDP.name, 2, 7), "string", "ios2"),
        ((*CDP.port, 2, 1), "string", "lan"),
        ((*CDP.port, 2, 7), "string", "GigabitEthernet0/1"),
    ],
    Protocol.LLDP: [
        ((*LLDP.port, 300, 2, 1), "string", "lan"),
        ((*LLDP.name, 300, 2, 1), "string", "hacc1"),
        ((*LLDP.name, 900, 2, 5), "string", "ha2"),
        ((*LLDP.address, 300, 2, 1, 1, 4, 198, 18, 1, 11), "integer", "2"),
        ((*LLDP.address, 900, 2, 5, 2, 16, *range(16)), "integer", "2"),  # IPv6
    ],
}
SEEN = {
    Protocol.CDP: (
        Sighting("hacc1.example.net", "lan", "198.18.1.11"),
        Sighting("ios2", "GigabitEthernet0/1", "198.18.1.32"),
    ),
    Protocol.LLDP: (Sighting("hacc1", "lan", "198.18.1.11"), Sighting("ha2", "", "")),
}

PASSED = """\
import json, sys
rows = sorted(json.load(open(sys.argv[1])))
for word in iter(sys.stdin.readline, ""):
    if word.strip() == "PING":
        print("PONG", flush=True)
        continue
    wanted = [int(number) for number in sys.stdin.readline().strip().strip(".").split(".")]
    exact = word.strip() == "get"
    for name, kind, value in rows:
        if name == wanted if exact else name > wanted:
            print("." + ".".join(map(str, name)), kind, value, sep="\\n", flush=True)
            break
    else:
        print("NONE", flush=True)
"""


@pytest.fixture(scope="module", params=Protocol)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Protocol, Snmpd]]:
    folder = tmp_path_factory.mktemp("adjacency")
    protocol: Protocol = request.param
    found = Snmpd(folder, folder / "agentx")
    (folder / "rows").write_text(json.dumps(SERVED[protocol]))
    (folder / "passed.py").write_text(PASSED)
    root = ".1.3.6.1.4.1.9.9.23" if protocol is Protocol.CDP else ".1.0.8802"
    command = f"{sys.executable} {folder / 'passed.py'} {folder / 'rows'}"
    with found.running(f"pass_persist {root} {command}\n"):
        yield protocol, found


def surveys(make: Make, snmpd: Snmpd, whom: Whom) -> list[Told]:
    """What is told of a member's neighbours, and came over the socket to the daemon."""
    told: list[Told] = []

    async def tell(what: Told) -> None:
        told.append(decode(encode(what), 0.0))

    async def run() -> None:
        reader = make(V2C, snmpd.port)
        sweep = asyncio.create_task(
            Sweep(Asked(V2C, snmpd.port, 0.01, (whom,)), reader, tell).run()
        )
        try:
            while not any(isinstance(each, Survey) for each in told):
                await asyncio.sleep(0.01)
        finally:
            sweep.cancel()
            await asyncio.gather(sweep, return_exceptions=True)
            reader.close()

    asyncio.run(asyncio.wait_for(run(), 20))
    return [each for each in told if isinstance(each, Survey)]


@pytest.mark.parametrize("make", [PysnmpReader, GufoReader], ids=["pysnmp", "gufo"])
def test_a_member_s_neighbours(make: Make, served: tuple[Protocol, Snmpd]) -> None:
    protocol, snmpd = served
    whom = Whom(MemberKind.LINUX, ("127.0.0.1",))
    assert surveys(make, snmpd, whom) == [Survey(0, "", protocol.value, SEEN[protocol])]


def test_the_routers_of_a_pair_are_asked_each(served: tuple[Protocol, Snmpd]) -> None:
    protocol, snmpd = served
    pair = Whom(
        MemberKind.LINUX, ("127.0.0.1",), (("ios1", ("127.0.0.1",)), ("ios2", ("127.0.0.98",)))
    )
    first = surveys(GufoReader, snmpd, pair)[0]
    assert first == Survey(0, "ios1", protocol.value, SEEN[protocol])


def test_who_has_no_such_table(tmp_path: Path) -> None:
    snmpd = Snmpd(tmp_path / "bare", tmp_path / "agentx")
    with snmpd.running():
        (told,) = surveys(GufoReader, snmpd, Whom(MemberKind.LINUX, ("127.0.0.1",)))
    assert told == Survey(0, "", "")


GARBAGE: dict[str, tuple[Protocol, list[Row], list[Row], list[Row], tuple[Sighting, ...]]] = {
    "types": (
        Protocol.CDP,
        [((*CDP.name, 1, 1), 7), ((*CDP.name, 1, 2), None), ((*CDP.name, 1, 3), b"")],
        [],
        [],
        (),
    ),
    "addresses": (
        Protocol.CDP,
        [((*CDP.name, 1, 1), b"a"), ((*CDP.name, 1, 2), b"b")],
        [((*CDP.port, 1, 1), 5)],
        [((*CDP.address, 1, 1), b"\x01\x02"), ((*CDP.address, 1, 2), b"\x01\x02\x03\x04\x05")],
        (Sighting("a", "", ""), Sighting("b", "", "")),
    ),
    "other-rows": (
        Protocol.CDP,
        [((*CDP.name, 1, 1), b"a")],
        [((*CDP.port, 1, 2), b"Gi1")],
        [((*CDP.address, 2, 1), b"\x01\x02\x03\x04")],
        (Sighting("a", "", ""),),
    ),
    "control-characters": (
        Protocol.LLDP,
        [((*LLDP.name, 0, 1, 1), b"a\x1b[2J\n" + b"x" * 500)],
        [],
        [],
        (Sighting("a?[2J?" + "x" * 58, "", ""),),
    ),
    "indices": (
        Protocol.LLDP,
        [((*LLDP.name, 0, 1, 1), b"a"), ((*LLDP.name, 0, 1, 2), b"b")],
        [],
        [
            ((*LLDP.address, 0, 1, 1, 1, 4, 198, 18, 1, 256), 2),
            ((*LLDP.address, 0, 1, 2, 1, 4, 198, 18, 1), 2),
            ((*LLDP.address, 0, 1), 2),
        ],
        (Sighting("a", "", ""), Sighting("b", "", "")),
    ),
}


@pytest.mark.parametrize("case", GARBAGE)
def test_nobody_gets_what_is_anothers_or_nobody_can_read(case: str) -> None:
    protocol, names, ports, addresses, expected = GARBAGE[case]
    assert sightings(protocol, names, ports, addresses) == expected


def test_the_numbers_are_those_of_the_mibs() -> None:
    assert [dotted(column) for column in CDP] == [
        f"1.3.6.1.4.1.9.9.23.1.2.1.1.{column}" for column in (6, 7, 4)
    ]
    assert dotted(LLDP.name) == "1.0.8802.1.1.2.1.4.1.1.9"
