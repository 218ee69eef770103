"""Both libraries against a stock snmpd, with keys that hold and keys that do not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from hacc_agent.config import MemberKind
from hacc_agent.engine.health import Figures
from hacc_agent.engine.snmp import objects
from hacc_agent.snmp.asking import Sweep
from hacc_agent.snmp.messages import Asked, Whom
from hacc_agent.snmp.reader import Access, SnmpReader, Unanswered
from hacc_agent.snmp.with_gufo import GufoReader
from hacc_agent.snmp.with_pysnmp import PysnmpReader
from tests.hacc_agent.snmpd import AUTH, COMMUNITY, PRIV, USER, Snmpd

READERS = pytest.mark.parametrize("make", [PysnmpReader, GufoReader])
Make = Callable[[Access, int], SnmpReader]

V2C = Access(2, COMMUNITY)
V3 = Access(3, "", USER, AUTH, PRIV)


@pytest.fixture(scope="module")
def snmpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snmpd]:
    folder = tmp_path_factory.mktemp("snmpd")
    found = Snmpd(folder, folder / "agentx")
    with found.running():
        yield found


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("with_gufo", "with_pysnmp"):
        monkeypatch.setattr(f"hacc_agent.snmp.{module}.TIMEOUT_S", 0.3)
    monkeypatch.setattr("hacc_agent.snmp.with_pysnmp.ENGINE_S", 0.5)


def done(
    make: Make, access: Access, port: int, what: Callable[[SnmpReader], Coroutine[Any, Any, Any]]
) -> Any:
    async def run() -> Any:
        found = make(access, port)
        try:
            return await what(found)
        finally:
            found.close()

    return asyncio.run(run())


async def told(found: SnmpReader, port: int) -> Figures:
    asked = Asked(V2C, port, 5.0, (Whom(MemberKind.LINUX, ("127.0.0.1",)),))
    return await Sweep(asked, found, None).ask(0)


@READERS
@pytest.mark.parametrize("access", [V2C, V3], ids=["v2c", "v3"])
def test_the_memory_of_a_linux_router(make: Make, access: Access, snmpd: Snmpd) -> None:
    figures = done(make, access, snmpd.port, lambda found: told(found, snmpd.port))
    assert figures.bindings is None  # nobody serves them here
    assert 0 < figures.memory_free_percent <= 100


@READERS
def test_both_say_the_same_as_net_snmp(make: Make, snmpd: Snmpd) -> None:
    """Of all types that there are in a table, over several answers."""
    column = objects.oid("1.3.6.1.2.1.1.9.1")  # sysOREntry: names, texts, times
    found = done(make, V2C, snmpd.port, lambda reads: reads.walk("127.0.0.1", column, 1000))
    lines = snmpd.ask("snmpwalk", "-OnUe", objects.dotted(column))
    assert [objects.dotted(name) for name, _ in found] == [line.split()[0][1:] for line in lines]
    for (_, value), line in zip(found, lines, strict=True):
        text = line.partition(": ")[2]
        match value:
            case bytes():
                assert value.decode() == text.strip('"')
            case tuple():
                assert objects.dotted(value) == text.strip(".")
            case _:
                assert f"({value})" in line


@READERS
def test_a_walk_ends_where_it_has_to(make: Make, snmpd: Snmpd) -> None:
    system, beyond = objects.oid("1.3.6.1.2.1.1.9.1.3"), objects.oid("1.3.6.1.6.3.99")
    assert len(done(make, V2C, snmpd.port, lambda reads: reads.walk("127.0.0.1", system, 3))) == 3
    assert done(make, V2C, snmpd.port, lambda reads: reads.walk("127.0.0.1", beyond, 3)) == []


@READERS
def test_what_is_not_there_is_none(make: Make, snmpd: Snmpd) -> None:
    there, absent = objects.oid("1.3.6.1.2.1.1.5.0"), objects.oid("1.3.6.1.2.1.1.99.0")
    found = done(make, V2C, snmpd.port, lambda reads: reads.get("127.0.0.1", (there, absent)))
    assert found == {there: socket.gethostname().encode(), absent: None}


@READERS
@pytest.mark.parametrize(
    "access",
    [
        Access(2, "wrong"),
        Access(3, "", "nobody", AUTH, PRIV),
        Access(3, "", USER, "wrong-auth", PRIV),
        Access(3, "", USER, AUTH, "wrong-priv"),
    ],
    ids=["community", "user", "authentication", "privacy"],
)
def test_wrong_keys_are_no_answer(make: Make, access: Access, snmpd: Snmpd) -> None:
    with pytest.raises(Unanswered):
        done(make, access, snmpd.port, lambda found: told(found, snmpd.port))


@READERS
def test_nobody_there_is_no_answer(make: Make) -> None:
    with pytest.raises(Unanswered):
        done(make, V2C, 9, lambda found: told(found, 9))


@READERS
def test_a_router_that_restarts_is_read_on(make: Make, tmp_path: Path) -> None:
    """It was killed, so it has forgotten its engine and its boots (RFC 3414, 2.3)."""
    snmpd = Snmpd(tmp_path, tmp_path / "agentx")

    async def twice(found: SnmpReader) -> None:
        for _ in range(2):
            with snmpd.running():
                deadline = asyncio.get_running_loop().time() + 10
                while True:
                    try:
                        await told(found, snmpd.port)
                        break
                    except Unanswered:
                        assert asyncio.get_running_loop().time() < deadline
            with pytest.raises(Unanswered):
                await told(found, snmpd.port)

    done(make, V3, snmpd.port, twice)


@READERS
@pytest.mark.parametrize(
    "garbage",
    [b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\0" * 600, b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    ids=["empty", "short", "long-length", "zeros", "http"],
)
def test_garbage_is_no_answer(make: Make, garbage: bytes) -> None:
    async def against(found: SnmpReader) -> None:
        loop = asyncio.get_running_loop()

        class Answers(asyncio.DatagramProtocol):
            def connection_made(self, transport: Any) -> None:
                self.transport = transport

            def datagram_received(self, _: bytes, addr: tuple[str, int]) -> None:
                self.transport.sendto(garbage, addr)

        transport, _ = await loop.create_datagram_endpoint(Answers, ("127.0.0.1", port))
        try:
            with pytest.raises(Unanswered):
                await told(found, port)
        finally:
            transport.close()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done(make, V2C, port, against)
