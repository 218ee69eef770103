"""The LAN, its routers, their daemons and journals."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any, Self

from bench import bindings
from hacc_agent import config
from hacc_agent.config import AgentConfig, Durability, Role, to_toml
from hacc_agent.control import Unanswered, ask
from hacc_agent.engine.home_agent.replay import timestamp
from hacc_agent.engine.record import Kind, Row
from hacc_agent.engine.slots import Slots
from hacc_agent.hsrp import config as hsrp
from hacc_agent.journal import Journal
from hacc_agent.roles import seed
from tasks import pki

CLUSTER = "bench"
VIRTUAL = IPv4Address("198.19.0.1")
POOL = IPv4Network("10.0.0.0/12")
NETWORK = "192.0.2."
GROUP = IPv4Address(f"{NETWORK}254")  # the controllers' address, which keepalived moves
ADDRESSES = {
    "controller1": IPv4Address(f"{NETWORK}1"),
    "controller2": IPv4Address(f"{NETWORK}2"),
    "member1": IPv4Address(f"{NETWORK}11"),
    "member2": IPv4Address(f"{NETWORK}12"),
    "agent": IPv4Address(f"{NETWORK}100"),
}
CONTROLLERS, MEMBERS = ("controller1", "controller2"), ("member1", "member2")
LINK_PORT = 43434
SPI, KEY = 0x100, "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
# s between requests of a probed subscriber: a controller holds eight of one at most, 0.8 s of them.
EVERY_S = 0.1
PLENTY = 10_000_000  # a second: admission is not what is measured
PATIENCE_S = 30.0

HELLO_MS, HOLD_MS = 200, 700
PRIORITIES = {"controller1": 129, "controller2": 128}
"""The standby's makes a hold time of VRRP 700 ms too: three hellos, and (256 - 128)/256 of a fourth
(RFC 5798, 6.1)."""

KEEPALIVED = """\
global_defs {{
    enable_script_security
    script_user root
    vrrp_version 3
}}
vrrp_instance controllers {{
    state BACKUP
    interface lan
    virtual_router_id 10
    priority {priority}
    advert_int {hello_s}
    virtual_ipaddress {{
        {group}/24 dev lan
    }}
    notify_master "{notify}"
}}
"""


def nai(number: int) -> bytes:
    return f"u{number:07}@example.net".encode()


def told(name: str, place: Path, keys: Path) -> AgentConfig:
    """The configuration of one of the four routers."""
    controls = name in CONTROLLERS
    return AgentConfig(
        cluster=CLUSTER,
        name=name,
        role=Role.CONTROLLER if controls else Role.HOME_AGENT,
        home_agent_address=VIRTUAL,
        networks=(POOL,),
        lifetime_s=1800,
        replay=config.Replay.TIMESTAMP,
        tolerance_s=7,
        binding_sync_s=15,
        max_bindings=None if controls else 600_000,
        lans=(config.Lan("lan", "lan", IPv4Interface(f"{ADDRESSES[name]}/24")),),
        gateways=(config.LanAddress("lan", GROUP),),
        controllers=tuple(
            config.Controller(each, 200 - n, (config.LanAddress("lan", ADDRESSES[each]),))
            for n, each in enumerate(CONTROLLERS)
        ),
        members=tuple(
            config.Member(
                each,
                config.MemberKind.LINUX,
                each == "member2",
                1,
                600_000,
                (POOL,) if each == "member1" else (),
                (config.LanAddress("lan", ADDRESSES[each]),),
            )
            for each in MEMBERS
        ),
        selection=config.Selection(0.1, config.Weights(1, 0, 0)),
        health=config.Health(100, 3, 5, 95, 3),
        snmp=config.Snmp(2, "public") if controls else None,
        realms=(
            config.Realm(
                "@example.net",
                POOL,
                POOL,
                1800,
                (config.AddressRange(POOL.network_address + 1, POOL.broadcast_address - 1),),
                config.Security(SPI, config.Algorithm.HMAC_MD5, KEY, config.Replay.TIMESTAMP, 7),
            ),
        ),
        nodes=(),
        foreign_agents=(),
        admission=config.Admission(PLENTY, PLENTY, PLENTY, PLENTY),
        link=config.Link(
            LINK_PORT,
            str(keys / "authority.pem"),
            str(keys / f"{name}.pem"),
            str(keys / f"{name}.key"),
        ),
        state_directory=str(place / name / "state"),
        runtime_directory=str(place / name / "run"),
        durability=Durability.PROCESS,
    )


def prepared(place: Path, count: int) -> Path:
    """A state directory: everybody is bound at the first member, with a home address and a name.

    Compiled code is on the disk, as on a router that had load before.
    """
    kernels = (sys.executable, "-m", "hacc_agent.engine.kernels", "relaying", "serving")
    subprocess.run((*kernels, "replaying"), check=True)
    pki.create_authority(place / "pki", CLUSTER, datetime.now(UTC))
    for name in (*CONTROLLERS, *MEMBERS):
        pki.issue(place / "pki", CLUSTER, name, datetime.now(UTC))
    own = told("member1", place / "first", place / "pki")
    journal = Journal(Path(own.state_directory), CLUSTER, lambda: _bindings(own, count))
    journal.open(lambda _records: None)
    journal.close(time.time())
    return Path(own.state_directory)


def _bindings(own: AgentConfig, count: int) -> Iterator[bytes]:
    slots = len(Slots(len(MEMBERS)).home_slots(0))
    agent = int(ADDRESSES["agent"])
    common = Row(
        Kind.BINDING,
        care_of_address=agent,
        source_address=agent,
        source_port=434,
        lifetime=1800,
        expires=int(time.time()) + 6 * 3600,  # longer than the run: nothing ends meanwhile
        identification=timestamp(time.time() - 60),  # of the request that was granted
        spi=SPI,
        home_agent=int(VIRTUAL),
    )

    def row(number: int) -> Row:
        home = int(POOL.network_address) + 1 + number
        return common._replace(slot=number % slots, home_address=home)

    return bindings.told(seed(own), count, nai, row)


class Site:
    """Everything running, from `with` to its end."""

    def __init__(self, place: Path, state: Path, count: int, protocol: str = "HSRP") -> None:
        """`protocol` moves the controllers' address: our HSRP, or keepalived's VRRP."""
        self.place = place
        self._protocol = protocol
        self._state, self._count = state, count
        self._prefix = f"f{os.getpid()}-"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._redundancy: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self._cable()
            for name in CONTROLLERS:
                self._start_redundancy(name)
            for name in (*MEMBERS, *CONTROLLERS):
                self._start(name)
            self._wait(lambda: self.status("controller1")["bindings"] == self._count)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self._daemons.values(), *self._redundancy.values()):
            process.kill()
            process.wait()
        for name in (*ADDRESSES, "fabric"):
            _remove(self._prefix + name)

    # ------------------------------------------------------------------ what is done to it

    def ready(self) -> None:
        """The first controller leads, the second has everything, members are well.

        And the backup has loaded its compiled code, as it does within seconds of hearing how much
        it may have to take over (`hacc_agent.quickening`).
        """

        def well() -> bool:
            status = self.status("controller1")
            states = {each["state"] for each in status["members"]}
            followers = status["log"]["followers"]
            return (
                states <= {"up", "failing"}
                and bool(followers)
                and followers[0]["behind"] < 100
                and self.status("controller2")["bindings"] == self._count
                and self.status("member1")["serves"]["obeys"] == "controller1"
                and "compiled code is in use" in (self.place / "member2" / "log").read_text()
            )

        self._wait(well)

    def kill(self, name: str) -> None:
        for processes in (self._daemons, self._redundancy):
            if name in processes:
                processes[name].send_signal(signal.SIGKILL)

    def pull(self, name: str) -> None:
        """Its cable."""
        self._ip("fabric", "link", "set", name, "down")

    def inside(self, name: str, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        words = ("setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", self._prefix + name)
        return subprocess.Popen((*words, *command), **options)

    def hello(self, name: str) -> None:
        """Returns right after the next one of a router has passed the bridge."""
        command = (sys.executable, "-m", "bench.failover.hello", name)
        with self.inside("fabric", *command, stdout=subprocess.PIPE) as tap:
            assert tap.stdout is not None
            assert tap.stdout.readline()

    # ------------------------------------------------------------------ what it says

    def status(self, name: str) -> dict[str, Any]:
        return next(ask(self.place / name / "run", "status"))

    def event(self, name: str, event: str, since: float) -> dict[str, Any]:
        """The first of its kind since a time; waits for it."""
        found: list[dict[str, Any]] = []

        def happened() -> bool:
            told = ask(self.place / name / "run", "events", limit=500)
            found[:] = [each for each in told if each["event"] == event and each["at"] >= since]
            return bool(found)

        self._wait(happened)
        return found[0]

    def became_active(self, name: str) -> float:
        """When it got the group address, s of Unix time."""
        found: list[float] = []

        def known() -> bool:
            found[:] = self._activations(name)
            return bool(found)

        self._wait(known)
        return found[-1]

    def _activations(self, name: str) -> list[float]:
        folder = self.place / name
        if self._protocol == "VRRP":
            told = folder / "active"
            return [told.stat().st_mtime] if told.exists() else []
        lines = [json.loads(line) for line in (folder / "speaker.log").read_text().splitlines()]
        return [
            datetime.fromisoformat(line["time"]).timestamp()
            for line in lines
            if line.get("after") == "Active"
        ]

    # ------------------------------------------------------------------ how it is made

    def _wait(self, what: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(Unanswered):
                if what():
                    return
            if time.monotonic() > end:
                raise TimeoutError(f"nothing happened within {PATIENCE_S:.0f} s")
            time.sleep(0.02)

    def _ip(self, where: str, *words: str) -> None:
        subprocess.run(("ip", "-n", self._prefix + where, *words), check=True)

    def _cable(self) -> None:
        for name in ("fabric", *ADDRESSES):
            subprocess.run(("ip", "netns", "add", self._prefix + name), check=True)
            self._ip(name, "link", "set", "lo", "up")
        self._ip("fabric", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        self._ip("fabric", "link", "set", "br0", "up")
        self._set("fabric", "net.bridge.bridge-nf-call-iptables=0")
        for name, address in ADDRESSES.items():
            peer = ("peer", "name", "lan", "netns", self._prefix + name)
            self._ip("fabric", "link", "add", "name", name, "type", "veth", *peer)
            self._ip("fabric", "link", "set", name, "master", "br0", "up")
            self._set(name, "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2")
            self._ip(name, "addr", "add", f"{address}/24", "dev", "lan")
            self._ip(name, "link", "set", "lan", "up")
            if name != "agent":
                self._ip(name, "addr", "add", f"{VIRTUAL}/32", "dev", "lo")
        for prefix in (VIRTUAL, POOL):
            self._ip("agent", "route", "add", str(prefix), "via", str(GROUP))

    def _set(self, where: str, *settings: str) -> None:
        command = ("ip", "netns", "exec", self._prefix + where, "sysctl", "-qw", *settings)
        subprocess.run(command, check=True)

    def _start_redundancy(self, name: str) -> None:
        (self.place / name).mkdir(parents=True)
        if self._protocol == "VRRP":
            self._start_keepalived(name)
        else:
            self._start_speaker(name)
        if name == CONTROLLERS[0]:
            self._wait(lambda: bool(self._activations(name)))

    def _start_speaker(self, name: str) -> None:
        folder = self.place / name
        group = hsrp.Group(
            *("controllers", "lan", 2, 10, GROUP),
            priority=PRIORITIES[name],
            hello_ms=HELLO_MS,
            hold_ms=HOLD_MS,
            own_mac=True,  # as on every controller
            preempt=True,
        )
        file = folder / "hsrp.toml"
        file.write_text(hsrp.to_toml(hsrp.HsrpConfig(name, (group,), (), str(folder / "hsrp"))))
        command = (sys.executable, "-m", "hacc_agent", "hsrp", "run", "-c", str(file))
        with (folder / "speaker.log").open("wb") as log:
            self._redundancy[name] = self.inside(name, *command, stdout=log, stderr=log)

    def _start_keepalived(self, name: str) -> None:
        folder = self.place / name
        notify = folder / "notify"
        notify.write_text(f"#!/bin/sh\ntouch {folder / 'active'}\n")
        notify.chmod(0o755)
        file = folder / "keepalived.conf"
        file.write_text(
            KEEPALIVED.format(
                priority=PRIORITIES[name], group=GROUP, notify=notify, hello_s=HELLO_MS / 1000
            )
        )
        pids = [f"--{kind}={folder / kind}" for kind in ("pid", "vrrp_pid", "checkers_pid")]
        with (folder / "keepalived.log").open("wb") as log:
            self._redundancy[name] = self.inside(
                name, "keepalived", "-n", "-l", "-P", "-f", str(file), *pids, stdout=log, stderr=log
            )

    def _start(self, name: str) -> None:
        folder = self.place / name
        own = told(name, self.place, self._state.parents[2] / "pki")
        if name != "member2":
            shutil.copytree(self._state, own.state_directory)
        folder.mkdir(exist_ok=True)
        file = folder / "agent.toml"
        file.write_text(to_toml(own))
        file.chmod(0o600)
        command = (sys.executable, "-m", "hacc_agent", "run", "-c", str(file))
        with (folder / "log").open("wb") as log:
            self._daemons[name] = self.inside(name, *command, stdout=log, stderr=log)

        def ready() -> bool:
            said = (folder / "log").read_text().splitlines()
            if self._daemons[name].poll() is not None:
                raise RuntimeError(f"{name} has ended: {said}")
            return any(json.loads(line)["event"] == "ready" for line in said if line[0] == "{")

        self._wait(ready)


def sweep() -> None:
    """Namespaces of a measurement that was killed."""
    listed = subprocess.run(("ip", "netns", "list"), check=True, capture_output=True, text=True)
    for line in listed.stdout.splitlines():
        left = re.match(r"f(\d+)-\w+", line)
        if left and not Path(f"/proc/{left[1]}").exists():
            _remove(left[0])


def _remove(namespace: str) -> None:
    subprocess.run(("ip", "netns", "del", namespace), check=False, capture_output=True)
