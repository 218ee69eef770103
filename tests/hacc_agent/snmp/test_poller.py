"""The process beside the daemon: asks a stock snmpd, hears net-snmp's snmptrap and snmpinform."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from hacc_agent.config import MemberKind
from hacc_agent.daemon import Clock
from hacc_agent.engine.discovery.layer2 import Survey
from hacc_agent.engine.health import Figures, Trap, TrapKind
from hacc_agent.engine.snmp import objects
from hacc_agent.engine.snmp.objects import dotted
from hacc_agent.engine.snmp.traps import AT_ONCE
from hacc_agent.snmp import poller
from hacc_agent.snmp.messages import Asked, Odd, Silent, Whom
from hacc_agent.snmp.poller import Poller
from hacc_agent.snmp.reader import Access
from tests.hacc_agent.snmpd import AUTH, COMMUNITY, ENVIRONMENT, PRIV, USER, Snmpd
from tests.loopback import free_port

PATIENCE_S = 15.0
V2C = Access(2, COMMUNITY)
V3 = Access(3, "", USER, AUTH, PRIV)
Told = Figures | Silent | Trap | Odd


PAIR = Whom(
    MemberKind.IOS,
    ("127.0.0.97",),
    (("ios1", ("127.0.0.31",)), ("ios2", ("127.0.0.32", "127.0.0.33"))),
)


def lone(address: str) -> Whom:
    return Whom(MemberKind.LINUX, (address,))


class Beside:
    """The daemon's end, with its loop played here."""

    def __init__(self, access: Access, port: int, *members: Whom) -> None:
        self.clock = Clock()
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind(("127.0.0.1", 0))
        self.notifications = bound.getsockname()[1]
        self.told: list[Told] = []
        self.logged: list[str] = []
        self.surveys: list[Survey] = []

        def note(told: Told, _: object) -> None:
            self.told.append(told)

        asked = Asked(access, port, 0.3, members)
        self.poller = Poller(
            asked, bound, note, note, note, note, self.surveys.append,
            lambda line, **_: self.logged.append(line), self.clock(),
        )  # fmt: skip

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, (self.told, self.logged)
            select.select([self.poller.fileno()], [], [], 0.05)
            self.poller.handle(self.clock())

    def of(self, kind: type[Told]) -> list[Told]:
        return [told for told in self.told if isinstance(told, kind)]

    @property
    def traps(self) -> list[tuple[int, TrapKind, str]]:
        return [
            (told.member, told.kind, told.detail) for told in self.told if isinstance(told, Trap)
        ]

    @property
    def odd(self) -> set[tuple[int | None, str]]:
        return {(told.member, told.what) for told in self.told if isinstance(told, Odd)}


@pytest.fixture(scope="module")
def snmpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snmpd]:
    folder = tmp_path_factory.mktemp("snmpd")
    found = Snmpd(folder, folder / "agentx")
    with found.running():
        yield found


@pytest.fixture
def beside(request: pytest.FixtureRequest, snmpd: Snmpd) -> Iterator[Beside]:
    found = Beside(request.param, snmpd.port, lone("127.0.0.1"), lone("127.0.0.99"), PAIR)
    yield found
    found.poller.close()


@pytest.mark.parametrize("beside", [V2C, V3], indirect=True, ids=["v2c", "v3"])
def test_members_are_asked_again_and_again_and_silent_ones_are_told_of(beside: Beside) -> None:
    beside.until(lambda: len(beside.of(Figures)) >= 3 and bool(beside.of(Silent)))
    figures = beside.of(Figures)[-1]
    assert isinstance(figures, Figures)
    assert figures.member == 0
    assert figures.memory_free_percent is not None
    assert abs(beside.clock().steady - figures.at) < 60  # the daemon's clock, not the process's
    assert all(isinstance(told, Silent) and told.member > 0 for told in beside.of(Silent))


@pytest.mark.parametrize("beside", [V2C], indirect=True)
def test_a_process_that_dies_is_replaced(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "AGAIN_S", (0.1,))
    beside.until(lambda: bool(beside.of(Figures)))
    process = beside.poller._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    beside.until(lambda: bool(beside.logged))
    beside.told.clear()
    beside.until(lambda: bool(beside.of(Figures)))
    assert beside.logged == ["the process that asks by SNMP ended"]


@pytest.mark.parametrize("beside", [V2C], indirect=True)
def test_it_ends_with_the_daemon(beside: Beside) -> None:
    """However that ended: nobody has to tell it."""
    beside.until(lambda: bool(beside.of(Figures)))
    process = beside.poller._process
    assert process is not None
    beside.poller._ours.close()
    assert process.wait(PATIENCE_S) == 0
    beside.poller._ours = socket.socket()  # for the fixture to close


def notify(beside: Beside, tool: str, access: tuple[str, ...], *varbinds: str, kind: str) -> int:
    where = f"127.0.0.1:{beside.notifications}"
    command = [tool, *access, "-t", "2", "-r", "0", where, "", kind, *varbinds]
    done = subprocess.run(
        command,
        env={**ENVIRONMENT, "SNMP_PERSISTENT_DIR": "/nonexistent"},
        capture_output=True,
        timeout=30,
        check=False,
    )
    return done.returncode


DOWN = (f"{dotted(objects.IF_DESCR)}.2", "s", "eth1")
BAD = "a notification with"
AS_V2C = ("-v2c", "-c", COMMUNITY)
ENGINE = ("-e", "0x80001f8880aabbccdd")


def as_v3(user: str = USER, auth: str = AUTH, priv: str = PRIV) -> tuple[str, ...]:
    return ("-v3", "-u", user, "-l", "authPriv", "-a", "SHA", "-A", auth, "-x", "AES", "-X", priv)


@pytest.mark.parametrize(
    ("beside", "access"), [(V2C, AS_V2C), (V3, as_v3())], indirect=["beside"], ids=["v2c", "v3"]
)
def test_traps_and_informs(beside: Beside, access: tuple[str, ...]) -> None:
    beside.until(lambda: bool(beside.of(Figures)))  # it is there
    engine = ENGINE if access[0] == "-v3" else ()
    notify(beside, "snmptrap", (*access, *engine), *DOWN, kind=dotted(objects.LINK_DOWN))
    beside.until(lambda: len(beside.traps) == 1)
    assert notify(beside, "snmpinform", access, kind=dotted(objects.COLD_START)) == 0
    beside.until(lambda: len(beside.traps) == 2)
    assert beside.traps == [(0, TrapKind.LINK_DOWN, "eth1"), (0, TrapKind.COLD_START, "")]


@pytest.mark.parametrize(
    ("beside", "access"), [(V2C, AS_V2C), (V3, as_v3())], indirect=["beside"], ids=["v2c", "v3"]
)
def test_the_routers_of_a_pair_notify_from_addresses_of_their_own(
    beside: Beside, access: tuple[str, ...]
) -> None:
    beside.until(lambda: bool(beside.of(Figures)))

    def heard(count: int) -> bool:
        return len(beside.traps) == count

    senders = {"127.0.0.31": "ios1", "127.0.0.32": "ios2", "127.0.0.33": "ios2", "127.0.0.97": ""}
    for number, address in enumerate(senders):
        # Each router is an SNMP engine of its own.
        engine = ("-e", f"0x80001f8880aabbcc{number:02x}") if access[0] == "-v3" else ()
        source = f"--clientaddr={address}"
        notify(beside, "snmptrap", (source, *access, *engine), kind=dotted(objects.COLD_START))
        beside.until(partial(heard, number + 1))
    found = [(told.member, told.router) for told in beside.told if isinstance(told, Trap)]
    assert found == [(2, router) for router in senders.values()]


@pytest.mark.parametrize(
    ("beside", "access", "why"),
    [
        (V2C, ("-v2c", "-c", "wrong"), f"{BAD} a wrong community"),
        (
            V3,
            (*as_v3(auth="wrong-auth"), *ENGINE),
            f"{BAD} a wrong authentication key",
        ),
        (V3, (*as_v3(priv="wrong-priv"), *ENGINE), f"{BAD} a wrong privacy key"),
        (V3, (*as_v3(user="nobody"), *ENGINE), f"{BAD} an unknown user"),
        (
            V3,
            ("-v3", "-u", USER, "-l", "noAuthNoPriv", *ENGINE),
            "a notification without authentication and privacy",
        ),
        (V3, AS_V2C, f"{BAD} a wrong community"),
    ],
    indirect=["beside"],
    ids=["community", "authentication", "privacy", "user", "no-proof", "other-version"],
)
def test_a_notification_that_proves_nothing_is_told_of_and_not_believed(
    beside: Beside, access: tuple[str, ...], why: str
) -> None:
    beside.until(lambda: bool(beside.of(Figures)))
    notify(beside, "snmptrap", access, *DOWN, kind=dotted(objects.LINK_DOWN))
    beside.until(lambda: bool(beside.odd))
    assert beside.odd == {(0, why)}
    assert not beside.traps


@pytest.mark.parametrize("beside", [V2C], indirect=True)
def test_strangers_garbage_and_storms(beside: Beside) -> None:
    beside.until(lambda: bool(beside.of(Figures)))
    where = ("127.0.0.1", beside.notifications)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.66", 0))
        stranger.sendto(b"anything", where)
        beside.until(lambda: bool(beside.odd))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as member:
        member.bind(("127.0.0.99", 0))
        for garbage in (b"", b"\x30\x82", bytes(300), b"\xff" * 40):
            member.sendto(garbage, where)
        for _ in range(2 * AT_ONCE):
            member.sendto(b"\x30\x03\x02\x01\x07", where)
        beside.until(lambda: len(beside.odd) == 3)
    assert beside.odd == {
        (None, "a notification from a stranger, 127.0.0.66"),
        (1, f"{BAD} octets that are no SNMP"),
        (1, "more notifications than are listened to"),
    }
    notify(beside, "snmptrap", AS_V2C, *DOWN, kind=dotted(objects.LINK_DOWN))
    beside.until(lambda: bool(beside.traps))  # another member is still heard


def test_the_port_is_free_again_when_it_is_closed() -> None:
    found = Beside(V2C, free_port(), lone("127.0.0.98"))
    found.poller.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", found.notifications))
