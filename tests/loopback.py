"""A cluster on loopback: the golden site's routers as processes, with plain UDP between them.

Each cluster has a network of its own in 127.0.0.0/8, so that tests run side by side; a router's
address in it ends as in the golden site. The daemons are those of `hacc-agent run`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from hacc_agent.config import SEALED, AgentConfig, Algorithm, Link, Transport, parse, to_toml
from hacc_agent.control import ask
from hacc_agent.engine.home_agent.replay import NTP_EPOCH
from hacc_agent.wire import (
    ExtensionType,
    Key,
    NetworkAccessIdentifier,
    RegistrationReply,
    RegistrationRequest,
    RequestFlags,
    authenticate,
)
from hacc_agent.wire import parse as parse_message
from tasks.compile import compile_site
from tasks.intent import load_site

ROOT = Path(__file__).resolve().parent.parent
(WEST,) = compile_site(load_site(ROOT / "tests/golden/site"))

SECRET = "0123456789abcdef" * 2
"""In place of every sealed secret."""

PORT = 10434
PATIENCE_S = 20.0


def own_network() -> str:
    """The first three octets of a network that no other test process uses at this time."""
    number = os.getpid() & 0x7FFF
    return f"127.{128 | number >> 8}.{number & 0xFF}"


def free_port() -> int:
    """Of UDP, on all addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])


def opened_config(host: str, folder: Path) -> AgentConfig:
    """A golden router's configuration with its secrets opened, its files in a folder."""
    golden = WEST.device(host).agent
    assert golden is not None
    opened = parse(SEALED.sub(SECRET, to_toml(golden)), "agent.toml")
    snmp = opened.snmp and dataclasses.replace(
        opened.snmp, port=PORT, notification_port=free_port()
    )
    return dataclasses.replace(
        opened,
        snmp=snmp,
        state_directory=str(folder / "state"),
        runtime_directory=str(folder / "run"),
        agentx=str(folder / "agentx"),
    )


def agent_config(host: str, folder: Path, network: str) -> AgentConfig:
    """The same, moved to loopback."""
    text = to_toml(opened_config(host, folder)).replace("198.18.1.", f"{network}.")
    text = re.sub(r'(home_agent_address = )".*"', rf'\1"{network}.100"', text)
    text = re.sub(r'interface = ".*"', 'interface = "lo"', text)
    return dataclasses.replace(parse(text, "agent.toml"), transport=Transport.UDP, port=PORT)


@dataclass(slots=True)
class Agent:
    """A daemon, and what it has said."""

    config: AgentConfig
    folder: Path
    before: Callable[[], None] | None = None  # what its process does first
    environment: Mapping[str, str] = field(default_factory=dict)  # beside ours
    process: subprocess.Popen[bytes] | None = None

    @property
    def file(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def said(self) -> list[dict[str, Any]]:
        lines = (self.folder / "log").read_bytes().split(b"\n")[:-1]
        return [json.loads(line) if line.startswith(b"{") else {"event": line} for line in lines]

    def start(self) -> None:
        """Returns when it serves. Fails with its own words when it does not."""
        self.launch()
        self.wait_for("ready")

    def launch(self, *arguments: str) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file.write_text(to_toml(self.config))
        command = (sys.executable, "-m", "hacc_agent", "run", "-c", str(self.file), *arguments)
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                preexec_fn=self.before,
                env={**os.environ, **self.environment},
            )
        return self.process

    def wait_for(self, event: str, behind: int = 0) -> dict[str, Any]:
        """The first line that says so, behind that many others."""
        assert self.process is not None
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            for line in self.said[behind:]:
                if line["event"] == event:
                    return line
            assert not ended, f"{self.config.name} has ended: {self.said}"
            time.sleep(0.01)
        raise AssertionError(f"{self.config.name} did not say {event!r}: {self.said}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


def asked(agent: Agent, *words: str) -> list[dict[str, Any]]:
    """What a command says about a daemon, as JSON."""
    command = (sys.executable, "-m", "hacc_agent", *words, "--json", "-c", str(agent.file))
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def told(agent: Agent, *words: str) -> tuple[int, str]:
    """Exit code, and what a person reads."""
    command = (sys.executable, "-m", "hacc_agent", *words, "-c", str(agent.file))
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return done.returncode, done.stdout + done.stderr


def refused(agent: Agent) -> str:
    """Why it does not start: one line, no traceback, exit code 1."""
    process = agent.launch()
    assert process.wait(PATIENCE_S) == 1
    said = [line for line in agent.said if line["event"] != "journal read"]
    assert len(said) == 1, said
    why: str = said[0]["why"]
    return why


def until(happened: Callable[[], bool]) -> None:
    """Waits for what the daemons do by themselves."""
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def status(agent: Agent) -> dict[str, Any]:
    """The same as `asked` for its status, without a process for the question."""
    return next(iter(ask(Path(agent.config.runtime_directory), "status")))


@dataclass(slots=True)
class Loopback:
    """A cluster's daemons and a mobile node's side of it."""

    network: str
    agents: dict[str, Agent] = field(default_factory=dict)

    def __getitem__(self, host: str) -> Agent:
        return self.agents[host]

    @property
    def home_agent(self) -> IPv4Address:
        return IPv4Address(f"{self.network}.100")

    def mobile_node(self, name: str = "ann@example.net") -> MobileNode:
        return MobileNode(self.home_agent, IPv4Address(f"{self.network}.200"), name=name)


def bindings(west: Loopback, name: str = "ann@example.net") -> list[dict[str, Any]]:
    """What both daemons say of a mobile node's, but for the time."""
    return [
        each | {"left_s": 0}
        for agent in west.agents.values()
        for each in ask(Path(agent.config.runtime_directory), "bindings", mobile=name)
        if each["state"] == "binding"
    ]


@contextmanager
def cluster(
    folder: Path, *hosts: str, keys: Path | None = None, complete: bool = False
) -> Iterator[Loopback]:
    """These routers of the golden site, running. All are ended at the end, whatever happens.

    `complete`: nobody is told of members that do not run, and no request is tried on them.

    With a folder of certificates they are linked. The virtual address is a controller's own here,
    since one machine cannot have it twice: that of hacc2 ends in 101.
    """
    made = Loopback(own_network())
    for host in hosts:
        config = agent_config(host, folder / host, made.network)
        if host == "hacc2":
            config = dataclasses.replace(
                config, home_agent_address=IPv4Address(f"{made.network}.101")
            )
        if complete:
            there = tuple(each for each in config.members if each.name in hosts)
            config = dataclasses.replace(config, members=there)
        if keys is not None:
            files = (keys / name for name in ("authority.pem", f"{host}.pem", f"{host}.key"))
            config = dataclasses.replace(config, link=Link(PORT, *map(str, files)))
        made.agents[host] = Agent(config, folder / host)
    with running(made.agents):
        yield made


@contextmanager
def running(agents: Mapping[str, Agent]) -> Iterator[None]:
    """Started, and ended at the end, whatever happens."""
    try:
        for agent in agents.values():
            agent.start()
        yield
    finally:
        for agent in agents.values():
            if agent.process is not None and agent.process.poll() is None:
                agent.process.kill()
                agent.process.wait()


class MobileNode:
    """A mobile node of the golden site's realm, together with its Foreign Agent's socket."""

    SPI = 256
    KEY = Key(Algorithm.HMAC_MD5, bytes.fromhex(SECRET))

    def __init__(
        self,
        home_agent: IPv4Address,
        care_of: IPv4Address,
        port: int = PORT,
        name: str = "ann@example.net",
    ) -> None:
        self.home_agent, self.care_of, self.port = home_agent, care_of, port
        self.towards = home_agent  # where its Foreign Agent's packets for it arrive
        self.name = NetworkAccessIdentifier(name.encode())
        self.address = IPv4Address(0)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((str(care_of), 0))
        self.socket.settimeout(PATIENCE_S)
        self.last = 0  # Identification of the last request
        self.ahead_s = 0  # of the Home Agent's clock, as far as it has told

    def request(self, lifetime: int = 600) -> bytes:
        """A request that nobody has sent before."""
        seconds, part = divmod(time.time_ns(), 1_000_000_000)
        seconds += self.ahead_s + NTP_EPOCH
        identification = seconds << 32 | (part << 32) // 1_000_000_000
        self.last = max(self.last + 1, identification)
        message = RegistrationRequest(
            RequestFlags(0),
            lifetime,
            self.address,
            self.home_agent,
            self.care_of,
            self.last,
            (self.name,),
        )
        return authenticate(
            message.to_bytes(), ExtensionType.MOBILE_HOME_AUTHENTICATION, self.SPI, self.KEY
        )

    def follow(self, reply: RegistrationReply) -> None:
        """Code 133: the Home Agent's time counts, where it is behind ours too (RFC 5944, 5.7.1)."""
        self.ahead_s = (reply.identification >> 32) - NTP_EPOCH - int(time.time())
        self.last = 0

    def send(self, message: bytes) -> None:
        self.socket.sendto(message, (str(self.towards), self.port))

    def answer(self) -> RegistrationReply:
        octets, source = self.socket.recvfrom(4096)
        assert source == (str(self.towards), self.port)
        reply = parse_message(octets)
        assert isinstance(reply, RegistrationReply)
        return reply

    def register(self, lifetime: int = 600) -> RegistrationReply:
        self.send(self.request(lifetime))
        reply = self.answer()
        if not int(self.address):
            self.address = reply.home_address
        return reply

    def close(self) -> None:
        self.socket.close()
