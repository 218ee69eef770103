"""A real FreeRADIUS with the entries that `hacc render --radius` writes, asked by our socket.

The server runs on loopback with a configuration folder of its own. Routers and Foreign Agents are
told apart by their address, so each of the topology's gets one in 127.0.0.0/8.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import secrets
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from hacc_agent.config import Algorithm, Radius, Replay, Security
from hacc_agent.engine.effects import Answer, AskAaa, Moment, Verdict
from hacc_agent.radius import RadiusSocket
from tasks.radius import entries
from tasks.secrets import resolve
from tests import clusters

SERVER = shutil.which("freeradius") or shutil.which("radiusd")
needs_server = pytest.mark.skipif(SERVER is None, reason="no freeradius here")

RADIUS_TOPOLOGY = clusters.cases()["radius"]
OPENED = {
    "env:RADIUS_SECRET": "shared%{User-Name}${prefix}$x",  # nothing in it may be expanded
    "env:FA_AAA": "of-the-foreign-agent",
    "env:HELD_AAA": "open%{sesame}",
    "env:HELD_KEY": "00112233445566778899aabbccddeeff",  # begins with NUL
    "env:MN7_AAA": "seven",
    "env:MN7_KEY": "sixteen-octets-!",
}
HOME_AGENT, FOREIGN_AGENT, STRANGER = "127.43.4.21", "127.43.4.9", "127.43.4.66"
LOOPBACK = {
    "198.18.1.21": HOME_AGENT, "198.18.0.21": "127.43.4.121", "198.19.255.21": "127.43.4.221",
    "198.18.1.22": "127.43.4.22", "198.18.0.22": "127.43.4.122", "198.19.255.22": "127.43.4.222",
    "198.18.9.1": FOREIGN_AGENT,
}  # fmt: skip

# The least that a server needs; what the entries say of themselves is done: one word, one line.
RADIUSD = """\
prefix = /usr
libdir = {libdir}
logdir = {folder}
run_dir = {folder}
pidfile = {folder}/radiusd.pid
security {{
    reject_delay = 0
}}
modules {{
    chap {{
    }}
}}
client other {{
    ipaddr = {stranger}
    secret = known-too
}}
$INCLUDE clients-hacc-site.conf
policy {{
    $INCLUDE policy.d/
}}
server default {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = {port}
    }}
    authorize {{
        hacc-site
        chap
    }}
    authenticate {{
        chap
    }}
    post-auth {{
{proof}
    }}
}}
"""
PROOF = "        update reply {\n            &Message-Authenticator := 0x00\n        }"


def libdir() -> str:
    return next((str(p.parent) for p in Path("/usr/lib").rglob("rlm_chap.so")), "/usr/lib")


def folder_with(folder: Path, port: int, *, proves: bool = True) -> Path:
    """A configuration folder, the entries' secrets open, their addresses loopback's."""
    (folder / "policy.d").mkdir(parents=True)
    for file in entries(RADIUS_TOPOLOGY).files:
        text = resolve(file.text, OPENED)
        for address, local in LOOPBACK.items():
            text = text.replace(f"ipaddr = {address}\n", f"ipaddr = {local}\n")
        (folder / file.path).write_text(text)
    (folder / "radiusd.conf").write_text(
        RADIUSD.format(
            folder=folder, libdir=libdir(), port=port, stranger=STRANGER,
            proof=PROOF if proves else "",
        )
    )  # fmt: skip
    return folder


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(folder: Path) -> Iterator[None]:
    assert SERVER is not None
    # A test that is killed takes the server with it. Without -X it says too little to fill a pipe.
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", SERVER, "-f", "-l", "stdout", "-d", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    ) as server:
        try:
            assert server.stdout is not None
            said = b""
            deadline = time.monotonic() + 30
            while b"Ready to process requests" not in said:
                left = deadline - time.monotonic()
                ready, _, _ = select.select([server.stdout], [], [], max(0.0, left))
                piece = os.read(server.stdout.fileno(), 65536) if ready else b""
                assert piece, f"it does not start: {said[-2000:].decode(errors='replace')}"
                said += piece
            yield
        finally:
            server.kill()


@dataclasses.dataclass
class Desk:
    """Our socket, with a clock that moves when nothing comes."""

    asker: RadiusSocket
    answers: dict[int, Answer]

    def ask(self, question: AskAaa) -> Answer:
        self.asker.ask(question)
        deadline = time.monotonic() + 30
        while question.number not in self.answers and time.monotonic() < deadline:
            due = self.asker.next_deadline()
            assert due is not None
            wait = max(0.0, due - time.monotonic())
            if select.select([self.asker], [], [], wait)[0]:
                self.asker.drain()
            self.asker.handle_timer()
        return self.answers[question.number]


@contextlib.contextmanager
def desk(port: int, source: str, secret: str, **changes: int) -> Iterator[Desk]:
    told = RADIUS_TOPOLOGY.device("ha1").agent
    assert told is not None
    values = {"timeout_ms": 3000, "tries": 3} | changes
    radius = Radius(IPv4Address("127.0.0.1"), secret, port, **values)
    answers: dict[int, Answer] = {}
    asker = RadiusSocket(
        radius,
        told,
        secrets.token_bytes,
        lambda: Moment(time.monotonic(), time.time()),
        answers.__setitem__,
    )
    with contextlib.closing(asker):
        with socket.socket(fileno=os.dup(asker.fileno())) as same:
            same.bind((source, 0))
        yield Desk(asker, answers)


def question(number: int, nai: str, key: str, challenge: bytes = b"a challenge") -> AskAaa:
    """What a mobile node sends (RFC 4721, 8)."""
    preceding = b"a Registration Request up to the SPI"
    digest = hashlib.md5(preceding).digest()
    authenticator = hashlib.md5(challenge[:1] + key.encode() + digest + challenge[-237:]).digest()
    return AskAaa(number, nai.encode(), preceding, authenticator, challenge, 2)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    found = free_port()
    with running(folder_with(tmp_path_factory.mktemp("radius") / "raddb", found)):
        yield found


@needs_server
def test_freeradius_takes_the_entries(tmp_path: Path) -> None:
    assert SERVER is not None
    done = subprocess.run(
        [SERVER, "-X", "-C", "-d", str(folder_with(tmp_path / "raddb", 1812))],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert done.stdout.rstrip().endswith("Configuration appears to be OK")


HELD = Security(257, Algorithm.HMAC_MD5, OPENED["env:HELD_KEY"], Replay.TIMESTAMP, 7)
MN7 = Security(258, Algorithm.HMAC_MD5, b"sixteen-octets-!".hex(), Replay.TIMESTAMP, 7)
ACCEPTED, REJECTED = Answer(Verdict.ACCEPTED), Answer(Verdict.REJECTED)


@needs_server
@pytest.mark.parametrize(
    ("nai", "key", "answer"),
    [
        ("joe@held.example", "open%{sesame}", Answer(Verdict.ACCEPTED, HELD)),
        ("joe@HELD.Example", "open%{sesame}", Answer(Verdict.ACCEPTED, HELD)),
        ("198.19.112.7", "seven", Answer(Verdict.ACCEPTED, MN7)),
        ("joe@held.example", "another", REJECTED),
        ("joe@heldxexample", "open%{sesame}", REJECTED),
        ("joe@held.example.com", "open%{sesame}", REJECTED),
        ("@held.example", "open%{sesame}", REJECTED),
        ("joe@nowhere.example", "open%{sesame}", REJECTED),
    ],
    ids=["realm", "realm-in-capitals", "address", "key", "dot", "longer", "no-user", "unknown"],
)
def test_a_home_agent_asks(port: int, nai: str, key: str, answer: Answer) -> None:
    with desk(port, HOME_AGENT, OPENED["env:RADIUS_SECRET"]) as home_agent:
        assert home_agent.ask(question(1, nai, key)) == answer


@needs_server
@pytest.mark.parametrize("octets", [1, 2, 237, 238, 255])
def test_a_challenge_of_any_length_fits(port: int, octets: int) -> None:
    with desk(port, HOME_AGENT, OPENED["env:RADIUS_SECRET"]) as home_agent:
        asked = question(1, "joe@held.example", "open%{sesame}", bytes(range(1, octets + 1)))
        assert home_agent.ask(asked).verdict is Verdict.ACCEPTED


@needs_server
def test_a_foreign_agent_learns_the_home_agent_and_no_key(port: int) -> None:
    with desk(port, FOREIGN_AGENT, OPENED["env:FA_AAA"]) as foreign_agent:
        asked = question(1, "joe@held.example", "open%{sesame}")
        assert foreign_agent.ask(asked) == ACCEPTED
    assert addresses(port, FOREIGN_AGENT, OPENED["env:FA_AAA"], asked) == [
        IPv4Address("198.19.0.1")
    ]


@needs_server
def test_another_client_of_the_server_learns_no_key(port: int) -> None:
    with desk(port, STRANGER, "known-too") as stranger:
        assert stranger.ask(question(1, "joe@held.example", "open%{sesame}")) == ACCEPTED


@needs_server
def test_a_server_that_proves_nothing_is_believed_until_it_does(tmp_path: Path) -> None:
    old = free_port()
    asked = question(1, "joe@held.example", "open%{sesame}")
    with (
        running(folder_with(tmp_path / "raddb", old, proves=False)),
        desk(old, HOME_AGENT, OPENED["env:RADIUS_SECRET"]) as home_agent,
    ):
        assert home_agent.ask(asked) == Answer(Verdict.ACCEPTED, HELD)


@needs_server
def test_with_another_secret_nobody_answers(port: int) -> None:
    """FreeRADIUS drops what does not prove that it comes from its client (RFC 3579, 3.2)."""
    with desk(port, HOME_AGENT, "another", timeout_ms=50, tries=2) as home_agent:
        asked = question(1, "joe@held.example", "open%{sesame}")
        assert home_agent.ask(asked) == Answer(Verdict.UNANSWERED)
        assert home_agent.asker.counters.retries == 1


def test_where_nobody_listens_a_question_is_given_up() -> None:
    with desk(free_port(), "127.0.0.1", "secret", timeout_ms=10, tries=3) as home_agent:
        asked = question(1, "joe@held.example", "open%{sesame}")
        assert home_agent.ask(asked) == Answer(Verdict.UNANSWERED)


def test_what_comes_from_elsewhere_is_not_the_servers() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        server.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        with desk(server.getsockname()[1], "127.0.0.1", "s", timeout_ms=60_000) as home_agent:
            home_agent.asker.ask(question(1, "joe@held.example", "k"))
            packet, source = server.recvfrom(4096)
            head = b"\x03" + packet[1:2] + b"\0\x14"
            reject = head + hashlib.md5(head + packet[4:20] + b"s").digest()
            other.sendto(reject, source)
            assert select.select([home_agent.asker], [], [], 10)[0]
            home_agent.asker.drain()
            assert (home_agent.answers, home_agent.asker.counters.forged) == ({}, 1)
            server.sendto(reject, source)
            assert select.select([home_agent.asker], [], [], 10)[0]
            home_agent.asker.drain()
            assert home_agent.answers == {1: REJECTED}


def addresses(port: int, source: str, secret: str, asked: AskAaa) -> list[IPv4Address]:
    """3GPP2-Home-Agent-IP-Address of the server's answer, read without our client."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as spy,
        desk(port, source, secret, timeout_ms=60_000) as relayed,
    ):
        spy.bind(("127.0.0.1", 0))
        spy.settimeout(10)
        relayed.asker._server = spy.getsockname()
        relayed.asker.ask(asked)
        packet = spy.recv(4096)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forwarding:
            forwarding.bind((source, 0))
            forwarding.settimeout(10)
            forwarding.sendto(packet, ("127.0.0.1", port))
            reply = forwarding.recv(4096)
    prefix = b"\x1a\x0c" + (5535).to_bytes(4) + b"\x07\x06"
    pieces = reply.split(prefix)[1:]
    return [IPv4Address(piece[:4]) for piece in pieces]
