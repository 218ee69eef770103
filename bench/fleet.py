"""Ten thousand IOS routers checked, beside plain Nornir and Netmiko that only read them.

    python -m bench.fleet [ROUTERS]

The routers are simulated (lab.ios.crowd), in one process with a core of its own; 50 of them, in
25 pairs with HSRP and Home Agents, are a cluster's. Ours is `hacc check` of their configuration:
each is rendered, logged in to, read, and compared with its intent. It runs in one process, in two,
and in two workers of dask; the peer runs Nornir's threaded runner with as many threads and
Netmiko's `send_command("show running-config")`, on the same routers, half before and half after.
One router in a hundred has been changed by hand, and exactly these must be found.

The measure is routers per second of the CPU of whoever asks, all its processes added up: not the
simulator's, which would be other people's routers. Host keys are known before, to both. Each way's
line is on standard error when it ends; all five take six minutes for 10,000, and 40 s for 1,000.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nornir.core import Nornir
from nornir.core.inventory import Defaults, Groups, Host, Hosts, Inventory
from nornir.core.plugins.connections import ConnectionPluginRegister
from nornir.core.task import Result, Task
from nornir.plugins.runners import ThreadedRunner
from nornir_netmiko.connections.netmiko import Netmiko
from nornir_netmiko.tasks import netmiko_send_command

from bench.machine import machine
from lab.ios.passwords import type5
from tasks import pipeline, push
from tasks.check.configuration import judge
from tasks.devices.fleet import WORKERS, Failure, Fleet
from tasks.fleet.beyond import LOCAL
from tasks.fleet.choice import Choice, work_on
from tasks.fleet.work import Work
from tasks.hostkeys import HostKey, known_as, offered
from tasks.pipeline import Opened, Prepared
from tasks.rendered import Platform
from tasks.running import Running
from tasks.secrets import resolve

ROUTERS = 10_000
PAIRS = 25  # of a cluster
DRIFTED = 100  # one router in so many was changed by hand
THREADS = 50  # of the peer, which is fastest so; Netmiko pauses too much for fewer
LIMIT = 1.0  # times the peer's throughput per core, for one process
PASSWORD = "bench"
NAMES = ("PASSWORD", "MN_KEY", "PAIR_KEY", "HSRP_KEY", "OSPF_KEY", "COMMUNITY")
KEYS = {**dict.fromkeys(NAMES, "0123456789abcdef"), "PASSWORD": PASSWORD}
REFERENCES = {f"env:{name}": key for name, key in KEYS.items()}

GROUPS = """\
linux: {platform: linux, username: root}
ios: {platform: cisco_ios, username: admin}
"""
DEFAULTS = 'data: {password: "env:PASSWORD", enable: "env:PASSWORD"}\n'
CLUSTER = """\
cluster: c{n}
home_agent: {{address: 10.{n}.3.1, networks: [10.{n}.64.0/18], lifetime: 1800}}
lans: {{core: {{network: 10.{n}.0.0/24}}}}
controllers:
  members: [c{n}-hacc1, c{n}-hacc2]
  redundancy:
    protocol: vrrp
    groups: [{{lan: core, group: 250, address: 10.{n}.0.254}}]
home_agents:
{members}
mobile_nodes:
  - {{realm: "@c{n}.example", pool: 10.{n}.64.0/19,
     security: {{spi: 0x100, algorithm: hmac-md5, key: "env:MN_KEY"}}}}
routing: {{ospf: {{process: 1, area: 0, authentication: {{md5: "env:OSPF_KEY"}}}}}}
snmp: {{version: 2c, community: "env:COMMUNITY"}}
"""
MEMBER = """\
  - pair: c{n}-p{pair}
    hosts: [{first}, {second}]
    redundancy:
      protocol: hsrp
      groups: [{{lan: core, group: {pair}, address: 10.{n}.0.{address}}}]
      authentication: {{md5: "env:HSRP_KEY"}}
    security: {{spi: 0x300, algorithm: hmac-md5, key: "env:PAIR_KEY"}}
"""
CONSOLE = """\
hostname {name}
username admin privilege 15 secret 5 {secret}
interface GigabitEthernet0/1
 ip address {address} 255.255.255.0
archive
 path flash:archive
"""


def address_of(number: int) -> str:
    """A router's own address on loopback."""
    return f"127.{64 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"


def write_inventory(root: Path, routers: int, port: int) -> None:
    (root / "clusters").mkdir(parents=True)
    (root / "groups.yaml").write_text(GROUPS)
    (root / "defaults.yaml").write_text(DEFAULTS)
    hosts = []
    count = 0
    for n in range(-(-routers // (2 * PAIRS))):
        members = []
        for place, name in ((1, f"c{n}-hacc1"), (2, f"c{n}-hacc2")):
            hosts.append(_host(name, f"192.0.2.{n}", 22 + place, "linux", n, "lan", place))
        for pair in range(1, PAIRS + 1):
            names = [f"c{n}-r{2 * pair - 1}", f"c{n}-r{2 * pair}"]
            members.append(
                MEMBER.format(n=n, pair=pair, address=100 + pair, first=names[0], second=names[1])
            )
            for half, name in enumerate(names):
                place = 10 + 2 * pair + half
                hosts.append(
                    _host(name, address_of(count), port, "ios", n, "GigabitEthernet0/1", place)
                )
                count += 1
        (root / f"clusters/c{n}.yaml").write_text(CLUSTER.format(n=n, members="".join(members)))
    (root / "hosts.yaml").write_text("".join(hosts))


def _host(
    name: str, hostname: str, port: int, group: str, cluster: int, interface: str, place: int
) -> str:
    return (
        f"{name}:\n  hostname: {hostname}\n  port: {port}\n  groups: [{group}]\n  data:\n"
        f"    router_id: 10.{cluster}.1.{place}\n"
        f"    interfaces: {{{interface}: {{lan: core, address: 10.{cluster}.0.{place}/24}}}}\n"
    )


def configurations(prepared: Prepared) -> Mapping[str, str]:
    """What the routers hold, by their addresses: what was meant, but for the drifted ones."""
    held: dict[str, str] = {}
    of = {d.host: d for cluster in prepared.clusters for d in cluster.devices}
    secret = type5(PASSWORD, "hacc")
    for host, rendered in prepared.rendered.items():
        if rendered.platform is not Platform.IOS:
            continue
        number = len(held)
        [file] = rendered.files
        address = of[host].ports[0].address.ip
        console = CONSOLE.format(name=host, address=address, secret=secret)
        text = resolve(file.text, REFERENCES)
        if number % DRIFTED == 0:
            text += "interface GigabitEthernet0/1\n standby 1 priority 7\n"
        held[prepared.site.inventory[host].hostname] = console + text
    return held


@contextlib.contextmanager
def simulated(texts: Mapping[str, str], directory: Path, port: int, core: int) -> Iterator[int]:
    """The routers, in a process, of that number, that keeps to one core."""
    config = directory / "crowd.json"
    config.write_text(json.dumps(texts))
    with (directory / "simulator.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.ios.crowd", "--port", str(port), str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        try:
            os.sched_setaffinity(process.pid, {core})
            process.stdout.readline()
            yield process.pid
        finally:
            process.communicate()


# ------------------------------------------------------------------ what is measured


@dataclass(frozen=True, slots=True)
class Ran:
    """One way to go through the routers."""

    routers: int
    found: int  # that were changed by hand
    load: float  # seconds, of files and models, before the first router is called
    cpu: float  # seconds, of all processes, after that
    clock: float
    peak: tuple[int, int]  # MiB: of the process that asks, of the largest of its workers


@dataclass(frozen=True, slots=True)
class Looked:
    """What a worker found in a part."""

    routers: int
    drifted: int
    worker: int  # its process, and the most memory that it had until then, MiB
    peak: int


def look(prepared: Prepared, opened: Opened, routers: Fleet) -> Looked:
    """`hacc check --only configuration` of the IOS routers of a part."""
    paths = {
        host: push.paths_of(rendered)
        for host, rendered in prepared.rendered.items()
        if rendered.platform is Platform.IOS
    }
    held = push.fetch(routers, paths)
    for failure in held.values():
        if isinstance(failure, Failure):
            raise failure.error
    devices = {d.host: d for cluster in prepared.clusters for d in cluster.devices}
    findings = [
        finding
        for host, running in held.items()
        if isinstance(running, Running)
        for finding in judge(devices[host], prepared.rendered[host], running, opened.values)
    ]
    me = os.getpid()
    return Looked(len(held), len({finding.host for finding in findings}), me, peak_of(me))


def ours(root: Path, choice: Choice) -> Ran:
    begin = time.perf_counter()
    prepared = pipeline.prepare(root / "inventory")
    loaded = time.perf_counter()
    looked: list[Looked] = []
    before = _cpu()
    for outcome in work_on(prepared, Work(look, repeatable=True), choice):
        if outcome.value is None:
            raise SystemExit(f"bench.fleet: {outcome.problems[0]}")
        looked.append(outcome.value)
    me = os.getpid()
    return Ran(
        sum(one.routers for one in looked),
        sum(one.drifted for one in looked),
        loaded - begin,
        _cpu() - before,
        time.perf_counter() - loaded,
        (peak_of(me), max((one.peak for one in looked if one.worker != me), default=0)),
    )


def peer(root: Path, half: int) -> Ran:
    """Nornir with its own runner, and Netmiko; without an inventory of files, which takes 20 s."""
    port = json.loads((root / "port").read_text())
    count = json.loads((root / "count").read_text())
    mine = range(half * count // 2, (half + 1) * count // 2)
    hosts = Hosts(
        {
            f"r{n}": Host(
                f"r{n}",
                hostname=address_of(n),
                port=port,
                username="admin",
                password=PASSWORD,
                platform="cisco_ios",
            )
            for n in mine
        }
    )
    ConnectionPluginRegister.register("netmiko", Netmiko)
    nornir = Nornir(
        Inventory(hosts=hosts, groups=Groups(), defaults=Defaults()), runner=ThreadedRunner(THREADS)
    )

    def read(task: Task) -> Result:
        try:
            text = task.run(netmiko_send_command, command_string="show running-config").result
            return Result(task.host, result=len(text))
        finally:
            task.host.close_connections()

    begin, cpu = time.perf_counter(), _cpu()
    results = nornir.run(read)
    if results.failed:
        raise SystemExit(f"bench.fleet: the peer failed: {results.failed_hosts}")
    peak = (peak_of(os.getpid()), 0)
    return Ran(len(results), 0, 0.0, _cpu() - cpu, time.perf_counter() - begin, peak)


def _cpu() -> float:
    """Seconds of this process and of those of its own that have ended."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    others = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def peak_of(process: int) -> int:
    """The most memory that a process ever had, in MiB.

    Not `getrusage`'s: that begins with what its parent had when it was started.
    """
    status = Path(f"/proc/{process}/status").read_text()
    [kib] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(kib) // 1024


# Each in a process of its own, so that memory and time are its own.
WAYS: Mapping[str, Callable[[Path], Ran]] = {
    "Nornir + Netmiko, first half": lambda root: peer(root, 0),
    "hacc, 1 process": lambda root: ours(root, Choice(1)),
    "hacc, 2 processes": lambda root: ours(root, Choice(2)),
    "hacc, dask with 2 workers": lambda root: ours(root, Choice(2, LOCAL)),
    "Nornir + Netmiko, second half": lambda root: peer(root, 1),
}


def one(root: Path, name: str, cores: set[int]) -> Ran:
    done = subprocess.run(
        [sys.executable, "-c", _CODE, str(root), name],
        env={**os.environ, **KEYS},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    if done.returncode:
        raise SystemExit(f"bench.fleet: {name}: exit {done.returncode}")
    return Ran(**json.loads(done.stdout.splitlines()[-1]))


_CODE = """\
import dataclasses, json, sys
from pathlib import Path
from bench import fleet
if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(fleet.WAYS[sys.argv[2]](Path(sys.argv[1])))))
"""


def main(routers: int = ROUTERS) -> int:
    cores = sorted(os.sched_getaffinity(0))
    root = Path(tempfile.mkdtemp(prefix="hacc-bench-"))
    try:
        port = _free_port()
        write_inventory(root / "inventory", routers, port)
        texts = configurations(pipeline.prepare(root / "inventory"))
        (root / "port").write_text(json.dumps(port))
        (root / "count").write_text(json.dumps(len(texts)))
        ran: dict[str, Ran] = {}
        with simulated(texts, root, port, cores[-1]) as simulator:
            key = offered("127.0.0.1", port, 10)
            _know(root / ".hacc/known_hosts", texts, port, key)
            _tell(HEADER)
            for name in WAYS:
                ran[name] = one(root, name, set(cores))
                _tell(row(name, ran[name]))
            _tell(f"the simulator held {peak_of(simulator)} MiB at most")
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return report(ran, len(texts))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _know(path: Path, addresses: Iterable[str], port: int, key: HostKey) -> None:
    path.parent.mkdir()
    blob = base64.b64encode(key.blob).decode()
    path.write_text("".join(f"{known_as(a, port)} {key.kind} {blob}\n" for a in addresses))


HEADER = (
    f"{'':<31}{'routers/s':>10}{'a core':>8}{'ms each':>9}{'s':>7}{'load s':>8}{'peak MiB':>14}"
)


def row(name: str, one: Ran) -> str:
    peak = f"{one.peak[0]} + {one.peak[1]}" if one.peak[1] else f"{one.peak[0]}"
    return (
        f"{name:<31}{one.routers / one.clock:>10.0f}{one.routers / one.cpu:>8.0f}"
        f"{1000 * one.cpu / one.routers:>9.2f}{one.clock:>7.1f}{one.load:>8.1f}{peak:>14}"
    )


def report(ran: Mapping[str, Ran], routers: int) -> int:
    print(f"{routers} simulated IOS routers, {WORKERS} threads in each process that asks")
    print(HEADER)
    for name, one in ran.items():
        print(row(name, one))
    theirs = [one for one in ran.values() if not one.load]
    least = sum(one.cpu for one in theirs) / sum(one.routers for one in theirs)
    checked = [one for one in ran.values() if one.load]
    ratio = least * checked[0].routers / checked[0].cpu
    wrong = -(-routers // DRIFTED)
    right = all(one.routers == routers and one.found == wrong for one in checked)
    print(f"{wrong} had been changed by hand; found, by each: {[one.found for one in checked]}")
    print(f"limit: with 1 process x {LIMIT:g} of the peer's routers per core; x {ratio:.2f}")
    print(machine())
    return 0 if right and ratio >= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
