"""The routers' forwarding plane: each with a network namespace on the fabric, and port 434 in it.

Level-driven like the rest of the lab: what a router is on its LANs is asked a few times a second,
and when it is something else than before, it gets a new namespace. Linux does what IOS would do
there, ARP, addresses, routes. Its `standby` lines run the HSRP speaker of our own routers there,
and its `snmp-server` lines an agent.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import subprocess
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from ipaddress import IPv4Interface
from typing import Final

from hacc_agent.daemon import Clock
from hacc_agent.datagrams import Datagrams
from hacc_agent.engine.effects import Endpoint

from ..namespaces import GUEST, own_network, run_in_network
from . import standby
from .device import Device
from .forwarding import PORT, Forwarding, Port, forwarding
from .hearing import listen
from .home_agent import Registrations, redundancy, told
from .snmp_agent import Agent, bind
from .speaking import Plug, Speaking

GLANCE: Final = 0.2
"""Seconds between two looks: below the hold time of 700 ms that clusters are configured with."""

_TABLE: Final = 434  # of routes, in a namespace where nobody else has any


class Planes:
    """The planes of all routers of one process, and the Home Agents behind them.

    `bridges`: LAN -> its bridge, in the network namespace of this process.
    """

    def __init__(
        self, devices: Mapping[str, Device], bridges: Mapping[str, str], log: Callable[[str], None]
    ) -> None:
        self._devices = devices
        self._bridges = bridges
        self._log = log
        self._clock = Clock()
        self._planes: dict[str, tuple[Forwarding, ExitStack]] = {}
        self._homes: dict[str, Registrations] = {}
        self._speaking: dict[str, Speaking] = {}
        self.agents = {name: Agent(device, self._clock) for name, device in devices.items()}
        self._told: set[str] = set()

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                self.settle()
                await asyncio.sleep(GLANCE)
        finally:
            for _, stack in self._planes.values():
                stack.close()
            for agent in self.agents.values():
                agent.close()

    def settle(self) -> None:
        """Make every router what it is."""
        now = self._clock()
        for device in self._devices.values():
            try:
                self._settle(device)
                self.agents[device.name].settle()
            except Exception:
                # A fault of ours in what one router does with packets, perhaps at a line half-way
                # through a change: its console, and the other routers, are there all the same.
                self._tell(f"{device.name}: its forwarding plane: {traceback.format_exc()}")
        for home in self._homes.values():
            home.handle_timer(now)

    def _tell(self, text: str) -> None:
        """Once, though it is found again at each glance."""
        if text not in self._told:
            self._told.add(text)
            self._log(text)

    def _settle(self, device: Device) -> None:
        device.home_agent = home = self._home(device)
        wanted = forwarding(device, frozenset(self._bridges))
        before = self._planes.get(device.name)
        if before is None or before[0] != wanted:
            speaking = self._speaking.pop(device.name, None)
            if speaking is not None:
                speaking.powered = device.powered
            if before is not None:
                del self._planes[device.name]
                before[1].close()
            device.live = None
            if not wanted.ports:
                return
            stack = ExitStack()
            self._planes[device.name] = wanted, stack
            try:
                self._build(device, wanted, home, stack)
            except (OSError, subprocess.SubprocessError) as error:
                self._log(f"{device.name}: its forwarding plane: {error}")
        self._speak(device, wanted)

    def _speak(self, device: Device, there: Forwarding) -> None:
        """Have the router's speaker do what its `standby` lines say now."""
        speaking = self._speaking.get(device.name)
        if speaking is not None:
            names = {port.interface: f"lan{n}" for n, port in enumerate(there.ports)}
            speaking.settle(tuple(standby.groups(device, names)), standby.objects(device))
            device.live = speaking.live()

    def _home(self, device: Device) -> Registrations | None:
        """The Home Agent that a router is, or is a half of."""
        config = told(device) if device.powered else None
        if config is None:
            return None
        key = redundancy(device) or device.name
        home = self._homes.get(key)
        if home is None:
            home = self._homes[key] = Registrations(config, os.urandom)
        elif home.config.name == device.name:  # of a pair, the one that came first is asked
            home.configure(config)
        return home

    def _build(
        self, device: Device, wanted: Forwarding, home: Registrations | None, stack: ExitStack
    ) -> None:
        worker = stack.enter_context(ThreadPoolExecutor(1, device.name))
        namespace = worker.submit(own_network).result()
        stack.callback(os.close, namespace)
        path = f"/proc/{os.getpid()}/fd/{namespace}"
        cables = [(_name(device, port), port) for port in wanted.ports]
        stack.callback(_ip, "".join(f"link del {name}\n" for name, _ in cables), forgiving=True)
        _ip(
            "".join(
                f"link add name {name} type veth peer name lan{number} address {_mac(name)} "
                f'netns {path}\nlink set {name} alias "{GUEST}{device.name}"\n'
                f"link set {name} master {self._bridges[port.lan]} up\n"
                for number, (name, port) in enumerate(cables)
            )
        )
        failed = run_in_network(
            path,
            "sysctl",
            "-qw",
            *(f"net.ipv4.conf.{scope}.rp_filter=0" for scope in ("all", "default")),
            "net.ipv4.conf.all.arp_ignore=1",
            "net.ipv4.conf.all.arp_announce=2",
        )
        failed = failed or run_in_network(path, "ip", "-batch", "-", text=lines(wanted))
        if failed:
            raise OSError(failed)
        self._speaking[device.name] = Speaking(
            [
                Plug(f"lan{n}", IPv4Interface(port.address), int(_mac(name).replace(":", ""), 16))
                for n, (name, port) in enumerate(cables)
            ],
            worker,
            lambda: self._clock().steady,
            lambda text: self._log(f"{device.name}: {text}"),
            stack,
        )
        listen(
            {f"lan{n}": port.interface for n, (_, port) in enumerate(cables)},
            device.heard,
            worker,
            lambda: self._clock().wall,
            stack,
        )
        stack.callback(device.heard.clear)
        agent, opened = self.agents[device.name], worker.submit(bind, "").result()
        agent.listen(opened)
        stack.callback(agent.leave, opened)
        if home is None or str(home.config.home_agent_address) not in wanted.loopbacks:
            return
        address = int(home.config.home_agent_address)
        requests = worker.submit(Datagrams, address, PORT).result()
        stack.callback(requests.close)
        loop = asyncio.get_running_loop()
        loop.add_reader(requests.fileno(), self._answer, requests, home)
        stack.callback(loop.remove_reader, requests.fileno())

    def _answer(self, opened: Datagrams, home: Registrations) -> None:
        if not opened.receive():
            return
        now, batch, answers = self._clock(), opened.batch, []
        for row in range(batch.count):
            payload = batch.octets[row, : batch.length[row]].tobytes()
            source = Endpoint(int(batch.address[row]), int(batch.port[row]))
            answers += [(octets, source) for octets in home.receive(payload, source, now)]
        if answers:
            opened.sender.send_all(answers)


def lines(wanted: Forwarding) -> str:
    """ip(8) commands that make a fresh namespace what a router is."""
    found = ["link set lo up", *(f"addr add {one}/32 dev lo" for one in wanted.loopbacks)]
    for number, port in enumerate(wanted.ports):
        name = f"lan{number}"
        found += [f"addr add {port.address} dev {name}", f"link set {name} up"]
    if wanted.replies:
        found += [
            f"rule add ipproto udp sport {PORT} lookup {_TABLE}",
            f"route add default via {wanted.replies} table {_TABLE}",
        ]
    return "\n".join(found) + "\n"


def _name(device: Device, port: Port) -> str:
    digest = hashlib.blake2s(f"{device.name}/{port.lan}".encode(), digest_size=5)
    return f"ios-{digest.hexdigest()}"  # 14 characters: an interface's name has 15 at most


def _mac(name: str) -> str:
    """Locally administered, and the same after every change."""
    return "02:" + hashlib.blake2s(name.encode(), digest_size=5).digest().hex(":")


def _ip(batch: str, *, forgiving: bool = False) -> None:
    command = ["ip", *(["-force"] if forgiving else []), "-batch", "-"]
    with contextlib.ExitStack() as stack:
        if forgiving:
            stack.enter_context(contextlib.suppress(subprocess.SubprocessError))
        subprocess.run(
            command, input=batch, text=True, capture_output=True, check=not forgiving, timeout=30
        )
